package stage0

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Version is the version of the protocol. A later version may lengthen the header and add types; it never moves a field.
const Version = 1

// Type says what a [Message] means. A receiver ignores types that it does not know.
type Type uint8

// The messages, with the fields that count. All directions are seen from stage 1.
const (
	Hello  Type = iota + 1 // in: Version, PID of stage 0, Run = number of this life, Gives, Exits, Stop, Deadline, Text = why this life began
	Give                   // in: Name, Files; a stored descriptor. No Files: it was dropped meanwhile
	Store                  // out: Name, Files; keep these, instead of what Name had
	Drop                   // out: Name
	Know                   // out: Name, Run, PID, StartTime, Cgroup. PID 0 makes only the cgroup known
	Exit                   // in: Name, Run, PID, StartTime, Status
	Ack                    // out: Name, Run; forget this process
	Ready                  // out
	Refuse                 // out: Code, 2 or 6; Text = why
	Beat                   // out
	Stop                   // in: Deadline
	Reload                 // in
	Done                   // out: Code
	Status                 // out: Text, one line for systemd; while starting or stopping also a sign of progress
)

var typeNames = [...]string{Hello: "HELLO", Give: "GIVE", Store: "STORE", Drop: "DROP", Know: "KNOW", Exit: "EXIT", Ack: "ACK",
	Ready: "READY", Refuse: "REFUSE", Beat: "BEAT", Stop: "STOP", Reload: "RELOAD", Done: "DONE", Status: "STATUS"}

// String is the name that ARCHITECTURE.md uses.
func (t Type) String() string {
	if int(t) < len(typeNames) && typeNames[t] != "" {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Message is one packet between stage 0 and stage 1.
type Message struct {
	Type         Type
	Version      int        // of the sender; filled in by the receiver
	Name         string     // of a stored descriptor or a service's instance; at most 255 bytes
	Run          uint64     // run number; in HELLO the life of stage 1, counted from 1
	PID          int        // in the pid namespace of stage 0
	StartTime    uint64     // clock ticks since boot, field 22 of /proc/PID/stat
	Cgroup       string     // absolute directories, joined by NUL; at most 8 KiB
	Status       uint32     // raw wait status
	Code         int        // exit code
	Deadline     Instant    // zero: none
	Gives, Exits int        // HELLO: how many GIVE and EXIT messages follow
	Stop         bool       // HELLO: this life is to stop everything
	Text         string     // for people; at most 4 KiB
	Files        []*os.File // at most 64; Send leaves them open, Recv hands them over
}

// Instant is a moment on CLOCK_MONOTONIC, in nanoseconds: the same in both processes, whatever the wall clock does.
type Instant int64

// After is d from now.
func After(d time.Duration) Instant { return monotonic() + Instant(d) }

// Left is the time until i; negative when it has passed.
func (i Instant) Left() time.Duration { return time.Duration(i - monotonic()) }

func monotonic() Instant {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0 // not possible on Linux
	}
	return Instant(ts.Nano())
}

// Bounds of a packet.
const (
	maxName   = 255
	maxCgroup = 8 << 10
	maxText   = 4 << 10
	maxFiles  = 64 // SCM_MAX_FD is 253
	headerLen = 56
	maxPacket = headerLen + maxName + maxCgroup + maxText + 1024 // room for a later version's header
)

var errShort = errors.New("packet is shorter than its header says")

// encode is the packet of m without its files. Strings beyond their bounds are an error, a long Text is cut.
func encode(m Message) ([]byte, error) {
	if len(m.Name) > maxName || len(m.Cgroup) > maxCgroup {
		return nil, fmt.Errorf("encode %s for %.40q: name of %d bytes (at most %d), cgroup of %d (at most %d)",
			m.Type, m.Name, len(m.Name), maxName, len(m.Cgroup), maxCgroup)
	}
	text := m.Text[:min(len(m.Text), maxText)]
	b := make([]byte, headerLen, headerLen+len(m.Name)+len(m.Cgroup)+len(text))
	le := binary.LittleEndian
	b[0], b[1] = Version, byte(m.Type)
	le.PutUint16(b[2:], headerLen)
	le.PutUint64(b[4:], m.Run)
	le.PutUint32(b[12:], uint32(m.PID))
	le.PutUint64(b[16:], m.StartTime)
	le.PutUint32(b[24:], m.Status)
	le.PutUint32(b[28:], uint32(m.Code))
	le.PutUint64(b[32:], uint64(m.Deadline))
	le.PutUint32(b[40:], uint32(m.Gives))
	le.PutUint32(b[44:], uint32(m.Exits))
	le.PutUint16(b[48:], uint16(len(m.Name)))
	le.PutUint16(b[50:], uint16(len(m.Cgroup)))
	le.PutUint16(b[52:], uint16(len(text)))
	if m.Stop {
		b[54] = 1
	}
	b = append(b, m.Name...)
	b = append(b, m.Cgroup...)
	return append(b, text...), nil
}

// decode reads a packet of this or a later version; it never panics. Files are not part of the bytes.
func decode(b []byte) (Message, error) {
	if len(b) < headerLen {
		return Message{}, fmt.Errorf("decode packet of %d bytes: %w", len(b), errShort)
	}
	le := binary.LittleEndian
	if b[0] < Version {
		return Message{}, fmt.Errorf("decode packet of protocol version %d, want %d or later", b[0], Version)
	}
	m := Message{
		Type: Type(b[1]), Version: int(b[0]),
		Run:       le.Uint64(b[4:]),
		PID:       int(int32(le.Uint32(b[12:]))),
		StartTime: le.Uint64(b[16:]),
		Status:    le.Uint32(b[24:]),
		Code:      int(int32(le.Uint32(b[28:]))),
		Deadline:  Instant(le.Uint64(b[32:])),
		Gives:     int(le.Uint32(b[40:])),
		Exits:     int(le.Uint32(b[44:])),
		Stop:      b[54]&1 == 1,
	}
	header, name, cgroup, text := int(le.Uint16(b[2:])), int(le.Uint16(b[48:])), int(le.Uint16(b[50:])), int(le.Uint16(b[52:]))
	if header < headerLen || len(b) < header+name+cgroup+text {
		return Message{}, fmt.Errorf("decode %s of %d bytes: %w", m.Type, len(b), errShort)
	}
	if name > maxName || cgroup > maxCgroup || text > maxText {
		return Message{}, fmt.Errorf("decode %s: name of %d, cgroup of %d, text of %d bytes are too long", m.Type, name, cgroup, text)
	}
	b = b[header:]
	m.Name, m.Cgroup, m.Text = string(b[:name]), string(b[name:name+cgroup]), string(b[name+cgroup:name+cgroup+text])
	return m, nil
}
