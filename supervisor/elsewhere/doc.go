// Package elsewhere asks what the site runs on other machines whether Sourcegraph could work with it, and says what is wrong and what to do.
//
//	Check ─▶ Databases:   reach · sign in · version · primary · encoding and collation · extensions · rights
//	      ─▶ RedisServer: reach · sign in · role
//	      ─▶ Storage:     reach · speaks S3 · key · region · bucket · right to list it
//
// A probe of the bundled server needs no password, since the appliance made it; here the site's own is tried, so that a typing error shows at once
// and not as a migration that fails an hour later. Nothing is written, and nothing is kept open.
package elsewhere
