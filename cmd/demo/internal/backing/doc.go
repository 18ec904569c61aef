// Package backing starts a real PostgreSQL and a real Redis for tests. No program imports it.
package backing
