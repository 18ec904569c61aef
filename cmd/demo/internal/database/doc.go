// Package database is the demo's PostgreSQL: where it is, and every statement that the frontend and the worker send to it.
//
// The schema comes from package migrator. No statement is built from text that came from outside.
package database
