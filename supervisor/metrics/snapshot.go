package metrics

import (
	"context"
	"time"
)

// Source is who knows.
type Source interface {
	// Snapshot is all that is shown in one scrape. What cannot be had before ctx ends is left out.
	Snapshot(ctx context.Context) Snapshot
}

// Snapshot is one scrape. Times that are zero, and pointers that are nil, are not shown.
type Snapshot struct {
	Version        string // of the appliance
	Product        string // of the release
	Release        string // its version
	Limits         string // grade of enforcement: v2, v1, soft
	Isolation      string // full, partial
	Ready          bool
	Stopping       bool
	Since          time.Time // when this supervisor began
	Lives          uint64    // supervisors that this appliance has had since it started, this one included
	Instances      []Instance
	Host           *Host
	Events         Events
	Door           *Door // sums over all doors of this supervisor; nil before the first answer
	DoorAnswered   bool  // the figures of Door are of this scrape
	SnapshotFaults int   // parts that could not be had in time
}

// Instance is one instance of a service.
type Instance struct {
	Service     string
	Number      int
	State       string
	Wanted      bool
	Since       time.Time // of the state
	ReadySince  time.Time // zero if it is not ready
	Run         uint64
	MemoryLimit int64  // bytes; 0: none
	Tally       Counts // since this supervisor began
	Log         Log
	Use         *Use // nil if nothing runs
}

// Use is what the processes of a run use. A figure that nothing counts here is zero, and not shown.
type Use struct {
	Memory     int64 // bytes
	MemoryPeak int64 // bytes, of this run
	CPU        time.Duration
	Processes  int
	Tasks      int // processes and threads
	FDs        int // of the main process
}

// Log is what came out of an instance.
type Log struct {
	Lines, Bytes               uint64
	DroppedLines, DroppedBytes uint64
	Waiting                    int // bytes
}

// Events is the state of the history.
type Events struct {
	Open                       bool
	Appended, Written, Dropped uint64
}

// Host is the machine.
type Host struct {
	MemoryTotal, MemoryAvailable uint64             // bytes
	Load                         [3]float64         // over 1, 5 and 15 minutes
	CPU                          map[string]float64 // seconds by mode
	CPUs                         int
	Disk                         *Disk // of the data directory
}

// Disk is a file system.
type Disk struct {
	Total, Available uint64 // bytes; what an ordinary user may use
	Inodes           uint64
	InodesFree       uint64
}
