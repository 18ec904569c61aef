// Package worker is the demo's background life: it has gitserver clone and fetch every repository, notes how that went, and keeps the list of
// repositories what the code hosts' configurations say.
//
//	code hosts ─(at start, every minute)─▶ repos table ─(due, or woken by NOTIFY)─▶ gitserver /repo-update ─▶ status, error and next time in the table
//
// It gets the database's address from the frontend, and exits 1 when that changes. Several workers do not hurt each other: a repository is claimed for a lease.
package worker
