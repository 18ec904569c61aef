package engine

import (
	"errors"
	"fmt"

	"github.com/sourcegraph/appliance/supervisor/api"
)

type edge struct {
	in api.State
	ev Kind
}

// step is what the machine does on an edge beside entering the state.
type step int

const (
	stay        step = iota // nothing
	gate                    // go on at once if the needs are ready
	spawn                   // next run
	watch                   // process is there: probe it
	settle                  // ready: stop waiting for it
	complete                // a oneshot is done
	stopOrdered             // signal once every dependent is gone
	stopNow                 // signal
	hasten                  // the grace ends earlier
	prove                   // main process ended: the rest must
	kill                    // SIGKILL
	giveUp                  // it does not die
	backOff                 // arm the restart
	idle                    // nothing runs, nothing is armed
)

type move struct {
	to api.State
	do step
}

// moves are the legal moves; one line is one arrow of the drawing in doc.go.
var moves = map[edge]move{
	{api.Stopped, StartWanted}: {api.Waiting, gate},
	{api.Stopped, StopWanted}:  {api.Stopped, stay},
	{api.Stopped, NeedHeld}:    {api.Stopped, stay},

	{api.Waiting, StartWanted}: {api.Waiting, gate},
	{api.Waiting, NeedsReady}:  {api.Starting, spawn},
	{api.Waiting, NeedHeld}:    {api.Waiting, stay},
	{api.Waiting, StopIdle}:    {api.Stopped, idle},

	{api.Starting, StartWanted}:    {api.Starting, stay},
	{api.Starting, Spawned}:        {api.Starting, watch},
	{api.Starting, SpawnedReady}:   {api.Ready, settle},
	{api.Starting, SpawnFailed}:    {api.Backoff, backOff},
	{api.Starting, SpawnRefused}:   {api.Failed, idle},
	{api.Starting, ProbePassed}:    {api.Ready, settle},
	{api.Starting, ProbeFailed}:    {api.Starting, stay}, // somebody else answers, or what is elsewhere says why not
	{api.Starting, StartTimeout}:   {api.Stopping, stopNow},
	{api.Starting, Hung}:           {api.Stopping, stopNow},
	{api.Starting, Exited}:         {api.Stopping, prove},
	{api.Starting, StopWanted}:     {api.Stopping, stopOrdered},
	{api.Starting, RestartWanted}:  {api.Stopping, stopNow},
	{api.Starting, NeedHeld}:       {api.Stopping, stopOrdered},
	{api.Starting, DependentsGone}: {api.Starting, stay},

	{api.Ready, StartWanted}:   {api.Ready, stay},
	{api.Ready, ProbePassed}:   {api.Ready, stay},
	{api.Ready, ProbeFailed}:   {api.Degraded, stay},
	{api.Ready, Hung}:          {api.Stopping, stopNow},
	{api.Ready, Exited}:        {api.Stopping, prove},
	{api.Ready, StopWanted}:    {api.Stopping, stopOrdered},
	{api.Ready, StopIdle}:      {api.Stopped, idle},
	{api.Ready, RestartWanted}: {api.Stopping, stopNow},
	{api.Ready, NeedHeld}:      {api.Stopping, stopOrdered},

	{api.Degraded, StartWanted}:   {api.Degraded, stay},
	{api.Degraded, ProbePassed}:   {api.Ready, settle},
	{api.Degraded, ProbeFailed}:   {api.Degraded, stay},
	{api.Degraded, Hung}:          {api.Stopping, stopNow},
	{api.Degraded, Exited}:        {api.Stopping, prove},
	{api.Degraded, StopWanted}:    {api.Stopping, stopOrdered},
	{api.Degraded, RestartWanted}: {api.Stopping, stopNow},
	{api.Degraded, NeedHeld}:      {api.Stopping, stopOrdered},

	{api.Stopping, StartWanted}:    {api.Stopping, stay}, // it returns once it is dead
	{api.Stopping, StopWanted}:     {api.Stopping, stay}, // a second one neither repeats nor shortens
	{api.Stopping, StopSooner}:     {api.Stopping, hasten},
	{api.Stopping, RestartWanted}:  {api.Stopping, stay},
	{api.Stopping, NeedHeld}:       {api.Stopping, stay},
	{api.Stopping, Spawned}:        {api.Stopping, stay}, // signalled as soon as it can be; see Machine.spawned
	{api.Stopping, ProbePassed}:    {api.Stopping, stay},
	{api.Stopping, ProbeFailed}:    {api.Stopping, stay},
	{api.Stopping, Hung}:           {api.Stopping, stay},
	{api.Stopping, DependentsGone}: {api.Stopping, stopNow},
	{api.Stopping, GraceElapsed}:   {api.Stopping, kill},
	{api.Stopping, KillElapsed}:    {api.Unkillable, giveUp},
	{api.Stopping, Exited}:         {api.Stopping, prove},
	{api.Stopping, SpawnFailed}:    {api.Stopping, prove},
	{api.Stopping, SpawnRefused}:   {api.Stopping, prove},
	{api.Stopping, DeadAsked}:      {api.Stopped, idle},
	{api.Stopping, DeadAgain}:      {api.Waiting, gate},
	{api.Stopping, DeadLater}:      {api.Backoff, backOff},
	{api.Stopping, DeadForGood}:    {api.Failed, idle},
	{api.Stopping, DeadCompleted}:  {api.Ready, complete},

	{api.Unkillable, StartWanted}:   {api.Unkillable, stay},
	{api.Unkillable, StopWanted}:    {api.Unkillable, stay},
	{api.Unkillable, NeedHeld}:      {api.Unkillable, stay},
	{api.Unkillable, Exited}:        {api.Unkillable, stay},
	{api.Unkillable, DeadAsked}:     {api.Stopped, idle},
	{api.Unkillable, DeadAgain}:     {api.Waiting, gate},
	{api.Unkillable, DeadLater}:     {api.Backoff, backOff},
	{api.Unkillable, DeadForGood}:   {api.Failed, idle},
	{api.Unkillable, DeadCompleted}: {api.Ready, complete},

	{api.Backoff, StartWanted}:    {api.Waiting, gate},
	{api.Backoff, RestartWanted}:  {api.Waiting, gate},
	{api.Backoff, BackoffElapsed}: {api.Waiting, gate},
	{api.Backoff, NeedHeld}:       {api.Waiting, idle},
	{api.Backoff, StopIdle}:       {api.Stopped, idle},

	{api.Failed, StartWanted}:   {api.Waiting, gate},
	{api.Failed, RestartWanted}: {api.Waiting, gate},
	{api.Failed, NeedHeld}:      {api.Failed, stay},
	{api.Failed, StopIdle}:      {api.Stopped, idle},

	{api.Stopped, RestartWanted}: {api.Waiting, gate},
	{api.Waiting, RestartWanted}: {api.Waiting, gate},
}

// Refused says that an event is not possible in a state. It is an answer, never a reason to end.
type Refused struct {
	State api.State
	Event Kind
}

func (r *Refused) Error() string { return fmt.Sprintf("%s is not possible while %s", r.Event, r.State) }

// next only decides, so that a test can walk every pair.
func next(in api.State, ev Kind) (move, error) {
	m, ok := moves[edge{in, ev}]
	if !ok {
		return move{to: in}, &Refused{in, ev}
	}
	return m, nil
}

// IsRefused tells a [Refused] from other errors.
func IsRefused(err error) bool {
	var r *Refused
	return errors.As(err, &r)
}
