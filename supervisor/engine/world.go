package engine

import "time"

// World is everything outside the machines: processes, files, probes and time. Its methods return at once; what comes of them
// arrives as events through the function given to Attach. They are called from the goroutine of the machine named.
type World interface {
	Now() time.Time
	// Spawn starts the run's process: Spawned or SpawnFailed, and after Spawned one Exited.
	Spawn(name string, run uint64)
	// Probe watches a run's readiness and liveness until it is dead: ProbePassed, ProbeFailed, Hung.
	Probe(name string, run uint64)
	// Signal sends the stop signal; a run that is still being prepared is cancelled and answers SpawnFailed.
	Signal(name string, run uint64)
	// Kill sends SIGKILL to all that is left of a run until nothing is: Dead. force says that the main process may live.
	Kill(name string, run uint64, force bool)
	// Arm fires TimerFired with the timer's number after d.
	Arm(name string, run, timer uint64, d time.Duration)
	// Publish shows what a machine is now, and keeps it where the next supervisor finds it.
	Publish(view View)
}
