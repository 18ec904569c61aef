// Package search runs a query over the repositories: it picks them, resolves their revisions at gitserver, and lets searcher look into each, some at a time.
//
//	repositories ─▶ filters ─▶ (8 at a time) resolve ─▶ searcher ─▶ matches, as they are found ─▶ emit
//	                                   │
//	                                   └─▶ cloning, missing or timed out: told at the end, not an error
//
// It ends early when the limit is hit, the time is over or the client is gone; everything it began is cancelled then.
package search
