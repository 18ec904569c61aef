// Package engine decides what happens to every service: when it starts, restarts, stops and counts as dead.
//
//	          needs ready          probe passed
//	waiting ─────────────▶ starting ───────────▶ ready ◀──▶ degraded
//	 ▲  ▲ ▲                   │ │                  │           │      probe failed / passed
//	 │  │ │                   │ └── exited, stop ──┼───────────┘
//	 │  │ └── need lost ──────┤                    ▼
//	 │  │                     │                 stopping ──── still there ───▶ unkillable
//	 │  └── timer ── backoff ◀┼── failed run ──────┤                               │
//	 │                        ▼                    ├── stopped ◀───────────────────┘
//	 └── start ── failed ◀────┴── permanent ───────┘
//
// A [Machine] is the state of one service: [Machine.Handle] takes one [Event] and returns the [Action]s that follow from it, from
// the table in moves.go. It does no I/O, reads no clock and holds no lock. An [Engine] gives each machine one goroutine that owns
// it; all that happens outside goes through the [World], so that a test can be the world, its clock included.
//
// The order between services has no coordinator. Each machine tells its neighbours in the graph what it is and what it intends
// ([Snapshot]): a start waits for the needs to be ready; an ordered stop waits until every dependent has said that it is held and
// has been proved dead; a crash tells nobody to stop.
package engine
