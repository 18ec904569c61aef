// Package e2e holds the end-to-end tests of the appliance: the real supervisor runs the demo release on real PostgreSQL, Redis and git, in
// directories and on ports of its own.
//
//	test ─▶ sourcegraph run ─▶ supervise ─▶ door ─▶ frontend ─▶ gitserver, searcher
//	  │                                       ▲
//	  └── searches at a steady rate ──────────┘   while the test kills, stops and restarts what stands behind
//
// Times of recovery are logged, never asserted beyond a bound that means "not at all". E2E_CHAOS=5m lengthens the run of random faults,
// E2E_SEED repeats one, E2E_ARTIFACTS=DIR keeps the screenshots.
package e2e
