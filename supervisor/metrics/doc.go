// Package metrics shows what the supervisor knows in Prometheus' text format.
//
//	scrape ─▶ Handler ─▶ Collector ─▶ Source.Snapshot (the supervisor: states, cgroups, host, logs, store, door)
//	                                        ▲
//	transitions ─▶ Tally (one per instance: restarts by cause, time to ready) ┘
//
// It promises that a family has one name, one type, one unit and one help text, all in the table of families.go, from which REFERENCE.md is
// made; that what is named total only grows while the supervisor lives, also when a new front door counts from zero; and that nothing is
// read, computed or allocated while nobody scrapes, except for the few words of a Tally.
//
// It reads nothing by itself: no process, no file, no socket. The supervisor does that, in its Snapshot.
package metrics
