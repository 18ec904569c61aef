// Bench measures the figures of ARCHITECTURE.md, side by side with peers, and prints them as its table.
//
//	go run ./cmd/bench [-only NAME,…] [-rounds N] [-o FILE]
//
// A round runs each contestant once, in turn, so that a noisy minute hurts all of them; the table shows medians. Services are [tiny]
// programs which say themselves when they run. Ours is driven as an engineer would: drop-ins in services.d, `run --release none`.
// Every contestant has a directory of its own, warmed up by one start that does not count, as on a machine that boots again.
//
// It is no test: nothing fails when a figure is missed. The table says so.
package main
