package engine

import (
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
)

// Kind names what happened to a service, or what somebody wants of it.
type Kind int

// What comes in. The second group is what a coarse event means in the machine's present situation; see Machine.refine.
const (
	StartWanted    Kind = iota + 1
	StopWanted          // ordered: dependents first
	RestartWanted       // this service only
	NeighbourMoved      // From published Snap
	Spawned             // the process runs; PID is 0 for kinds without one
	SpawnFailed         // nothing runs; Err, and Permanent if a retry is useless
	ProbePassed
	ProbeFailed // readiness lost, after the probe's failures
	Hung        // liveness lost
	Exited      // the main process ended; others of its cgroup may live
	Dead        // proved: nothing of the run is left
	TimerFired  // the machine's one timer

	NeedsReady     // the gate is open
	NeedHeld       // a need does not intend to run
	DependentsGone // an ordered stop may signal
	SpawnedReady   // no readiness to wait for
	StopIdle       // a stop with no process to end
	StopSooner     // a stop under way gets less time
	StartTimeout
	GraceElapsed
	KillElapsed
	BackoffElapsed
	SpawnRefused  // SpawnFailed and permanent
	DeadAsked     // and it should be: stopped
	DeadAgain     // and it should run: at once, as soon as its needs are ready
	DeadLater     // and it should run: after the back-off
	DeadForGood   // and a retry is useless
	DeadCompleted // a oneshot that did its work
	nothing       // the event means nothing here

	ping      // the owner answers on reply
	replanned // another definition, other neighbours
)

var kindNames = map[Kind]string{
	StartWanted: "start", StopWanted: "stop", RestartWanted: "restart", NeighbourMoved: "neighbour moved", Spawned: "spawned",
	SpawnFailed: "spawn failed", ProbePassed: "probe passed", ProbeFailed: "probe failed", Hung: "hung", Exited: "exited", Dead: "dead",
	TimerFired: "timer", NeedsReady: "needs ready", NeedHeld: "need held", DependentsGone: "dependents gone", SpawnedReady: "spawned, ready",
	StopIdle: "stop, idle", StopSooner: "stop sooner", StartTimeout: "start timeout", GraceElapsed: "grace elapsed", KillElapsed: "kill elapsed",
	BackoffElapsed: "back-off elapsed", SpawnRefused: "spawn refused", DeadAsked: "dead as asked", DeadAgain: "dead, again",
	DeadLater: "dead, later", DeadForGood: "dead for good", DeadCompleted: "completed", nothing: "nothing",
}

func (k Kind) String() string { return kindNames[k] }

// Event is one message to one machine.
type Event struct {
	Kind  Kind
	Run   uint64 // the life it is about; 0 for what is not about one. Another than the present one is dropped
	Timer uint64 // TimerFired: the number it was armed with
	Actor string // who wants it

	Grace     time.Duration // StopWanted: instead of the definition's, when a stop budget is shared out
	Shutdown  bool          // StopWanted: the whole appliance ends, and passes by what cannot be killed
	PID       int           // Spawned
	Exit      api.Exit      // Exited
	Expected  bool          // Exited: the service said that it wants to be restarted
	Final     string        // Exited: the line in which the service said that no restart mends it
	Killed    bool          // Dead: something had to be killed for it
	Err       error         // SpawnFailed, ProbeFailed, Hung
	Permanent bool          // SpawnFailed
	Cause     api.Cause     // SpawnFailed
	From      string        // NeighbourMoved
	Snap      Snapshot      // NeighbourMoved
	Evidence  map[string]string

	reply      chan struct{}      // ping
	inst       *services.Instance // replanned
	dependents []string           // replanned
	neighbours []string           // replanned
}

// Snapshot is what a machine tells its neighbours.
type Snapshot struct {
	Name  string
	State api.State
	Ready bool // answers; a oneshot that completed
	Held  bool // does not intend to run: not wanted, being stopped in order, or a need of it is held
	Alive bool // a process may exist
	Over  bool // neither runs nor will by itself: stopped or failed
}

// Do is what the world must do for a machine.
type Do int

// The actions.
const (
	DoSpawn   Do = iota + 1 // start the process of Run; answers Spawned or SpawnFailed, later Exited
	DoProbe                 // watch readiness and liveness of Run until it is dead; answers ProbePassed, ProbeFailed, Hung
	DoSignal                // send the stop signal to Run
	DoKill                  // SIGKILL everything of Run, prove it; answers Dead
	DoProve                 // the main process ended: SIGKILL what is left of Run, prove it; answers Dead
	DoArm                   // fire Timer after Delay
	DoPublish               // tell the neighbours and the record what the machine is now
)

// Action is one thing to do.
type Action struct {
	Do    Do
	Run   uint64
	Timer uint64
	Delay time.Duration
	View  View // DoPublish
}
