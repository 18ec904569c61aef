// Package store keeps the appliance's events: every transition with its cause, every operator's command.
//
//	Append ─▶ recent (memory, bounded) ─▶ one writer ─▶ Pebble
//	              │                                       │
//	              └────────▶ followers         queries ◀──┘
//
// It is history, not state: nothing that a service's start or stop needs waits for it. Append never blocks; while the store is not open
// yet, or its disk is full or stalled, events stay in memory, and only when that is full the oldest are dropped, and counted.
// An event that was written survives a kill of the supervisor. After a loss of power the last ones may be missing, unless
// [Store.Flush] has returned before.
//
// A store that is corrupt, or written by a newer version, is renamed to <dir>.unreadable-<time> and a new one begun: events can be
// done without, a supervisor cannot.
package store
