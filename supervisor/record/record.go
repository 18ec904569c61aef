package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Schema is what this version writes. A reader takes lower ones and quarantines higher ones.
const Schema = 1

// maxSize bounds a record that is read, in bytes; ours are about 1 KiB.
const maxSize = 1 << 20

// Record is one instance: the process that it runs as, if any, and what must not be lost with the supervisor.
type Record struct {
	Schema  int    `json:"schema"`
	Name    string `json:"name"`    // instance name: gitserver/1
	Service string `json:"service"` // definition's name

	Run       uint64   `json:"run"`                  // number of this life; never reused
	PID       int      `json:"pid"`                  // 0: none, or forked but not yet written down
	StartTime uint64   `json:"start_time,omitempty"` // clock ticks since boot
	BootID    string   `json:"boot_id"`
	Cgroups   []string `json:"cgroups,omitempty"` // directories
	UID       int      `json:"uid"`
	Mark      int      `json:"mark,omitempty"`     // supplementary group of this run; 0: none
	EnvMark   string   `json:"env_mark,omitempty"` // value of APPLIANCE_RUN
	Hash      string   `json:"hash,omitempty"`     // of the instance that it was started from

	Addresses map[string]string `json:"addresses,omitempty"`

	State      string            `json:"state"`
	Since      time.Time         `json:"since"`
	Reason     string            `json:"reason,omitempty"`
	Evidence   map[string]string `json:"evidence,omitempty"`
	ReadySince time.Time         `json:"ready_since,omitzero"`
	Completed  bool              `json:"completed,omitempty"` // a oneshot that did its work
	Restarts   int               `json:"restarts"`
	Exits      []Exit            `json:"exits,omitempty"`    // last ones, newest first
	Backoff    *Backoff          `json:"backoff,omitempty"`  // set while it waits
	Failures   map[string]int    `json:"failures,omitempty"` // consecutive short runs, by cause
	Stopped    *Stopped          `json:"stopped,omitempty"`  // an operator stopped it
	Ordered    bool              `json:"ordered,omitempty"`  // its stop waits for what needs it
	PlanHash   string            `json:"plan,omitempty"`     // accepted plan
}

// Exit is how an earlier run ended.
type Exit struct {
	At     time.Time `json:"at"`
	Run    uint64    `json:"run"`
	Cause  string    `json:"cause"`
	Status int       `json:"status"` // as wait4(2) encodes it
	Known  bool      `json:"known"`  // false: nobody could say
	Detail string    `json:"detail,omitempty"`
}

// Backoff is the wait before the next run.
type Backoff struct {
	Until time.Time `json:"until"`
	Cause string    `json:"cause"`
	Count int       `json:"count"`
}

// Stopped is an operator's stop: it holds until an operator's start.
type Stopped struct {
	By string    `json:"by"` // uid and command
	At time.Time `json:"at"`
}

func (r Record) encode() ([]byte, error) {
	if r.Name == "" {
		return nil, errors.New("write a run record: it has no name")
	}
	r.Schema = Schema
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the run record of %s: %w", r.Name, err)
	}
	return append(b, '\n'), nil
}

func decode(b []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, err
	}
	if r.Schema > Schema {
		return Record{}, fmt.Errorf("schema %d is newer than %d", r.Schema, Schema)
	}
	if r.Schema < 1 || r.Name == "" {
		return Record{}, errors.New("not a run record")
	}
	return r, nil
}

// BootID names this boot of the machine; a pid and a start time mean nothing in another one.
func BootID() (string, error) {
	b := make([]byte, 36)
	fd, err := unix.Open("/proc/sys/kernel/random/boot_id", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		var n int
		n, err = unix.Read(fd, b)
		b = b[:max(n, 0)]
	}
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return string(b), nil
}
