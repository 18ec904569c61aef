// Package process starts, watches, signals and reaps the operating system's processes, and proves that they are gone.
//
//	Spec ─▶ Spawner.Start ─▶ Process ─▶ Wait (peeks) ─▶ caller records the exit ─▶ Reap
//	           │                 └────▶ Signal, SignalGroup (through the pidfd)
//	           └▶ *ExecError: which step, which path, which errno, permanent or not
//
//	Scanner ─▶ Table ─▶ Marked · Descendants · EnvMarked · Strays
//	   └─▶ Kill ─▶ dead, or *Unkillable with evidence
//
// A child is born with everything that confines it: its own session and process group, no_new_privs, an empty bounding
// set, its user, its groups (the mark of its run among them), its cgroups, its descriptor limit, default signals and an
// empty signal mask. No helper program runs between fork and exec: what Go's fork cannot set is set on the thread that
// forks, which the Spawner owns and no other goroutine ever runs on.
//
// A process is never signalled by number alone: a pidfd, or a pid with its start time, names it for ever. Nobody waits
// for "any child": every process has one waiter, and one netpoll entry instead of a thread.
//
// The package knows nothing of services, restart rules or logs, and creates no cgroup.
package process
