// Package probe asks a service once whether it answers, and says in a person's words what it answered.
//
//	Prober.Do ─▶ http · tcp · postgres · redis · exec ─▶ Result{OK, Detail, Err}
//	Listen ─▶ Notify: READY=1, STATUS=, WATCHDOG=1 of sd_notify, as they come
//
// A probe is one connection, written by hand: a request of one line and the first line of the answer. It costs no goroutine that stays, no pool and
// no transport, which matters when thirty services are asked every ten seconds for years. The whole probe has one deadline, so a
// server that sends a byte a second is as silent as one that sends none.
//
// What a probe needs no password for it asks without one. Log lines are matched by those who read them. How often to ask, and
// what follows from an answer, is the engine's business.
package probe
