// Package siteconfig looks at a site configuration as far as that is possible without the product's own schema, which is part of the product.
package siteconfig
