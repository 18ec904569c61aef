// Package product changes what the product keeps in its own database, for who is locked out of its pages: users, and the site configuration.
//
//	Open ─▶ which tables and columns are there ─▶ one transaction of the statements that the product itself would send ─▶ or a refusal that names what differs
//	Init ─▶ POST /-/site-init, the product's own way to the first administrator
//
// Sourcegraph's schema grows over its releases: roles came, then tenants. What is there is asked, not derived from a version, and a column that a row
// needs and that this package does not know is a refusal. The demo has the same tables. Source of every statement: sourcegraph: internal/database
// (users.go, user_roles.go, global_state.go, conf.go) @3.38 and @5, migrations/frontend/squashed.sql @5 and @7.
//
// What it does not do: write the product's own log of security events, or count users against a licence.
package product
