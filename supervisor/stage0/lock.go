package stage0

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// LockRecord says who holds, or last held, a data directory.
type LockRecord struct {
	Held      bool // somebody holds the lock now
	Stage0PID int  // pids as in the holder's pid namespace
	Stage1PID int  // 0: none at the moment of writing
	BootID    string
	PIDNS     uint64 // inode of the pid namespace; 0: unknown
	Host      string
	Since     time.Time
}

// recordLen is fixed, so that one write replaces the whole record.
const recordLen = 512

// lockPatience outlasts a [ReadLock] that is just looking.
const lockPatience = 300 * time.Millisecond

func lockPath(dataDir string) string { return filepath.Join(dataDir, "state", "lock") }

// ReadLock reads the record of dataDir. Without a lock file the error wraps fs.ErrNotExist; of another user it
// wraps fs.ErrPermission.
func ReadLock(dataDir string) (LockRecord, error) {
	f, err := os.Open(lockPath(dataDir))
	if err != nil {
		return LockRecord{}, fmt.Errorf("read lock of %s: %w", dataDir, err)
	}
	defer f.Close()
	buf := make([]byte, recordLen)
	n, err := f.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return LockRecord{}, fmt.Errorf("read lock of %s: %w", dataDir, err)
	}
	record := parseRecord(string(buf[:n]))
	record.Held = tryLock(f, unix.LOCK_SH) == unix.EWOULDBLOCK // closing f gives a shared lock back
	return record, nil
}

func parseRecord(text string) LockRecord {
	var r LockRecord
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch key {
		case "stage0":
			r.Stage0PID, _ = strconv.Atoi(value)
		case "stage1":
			r.Stage1PID, _ = strconv.Atoi(value)
		case "boot":
			r.BootID = value
		case "pidns":
			r.PIDNS, _ = strconv.ParseUint(value, 10, 64)
		case "host":
			r.Host = value
		case "since":
			r.Since, _ = time.Parse(time.RFC3339, value)
		}
	}
	return r
}

// text is the record padded to its fixed length.
func (r LockRecord) text() []byte {
	s := fmt.Sprintf("sourcegraph-lock 1\nstage0 %d\nstage1 %d\nboot %s\npidns %d\nhost %s\nsince %s\n",
		r.Stage0PID, r.Stage1PID, r.BootID, r.PIDNS, r.Host, r.Since.UTC().Format(time.RFC3339))
	if len(s) > recordLen {
		s = s[:recordLen-1] + "\n"
	}
	return []byte(s + strings.Repeat("\n", recordLen-len(s)))
}

// LockedError is the refusal of a second `run`.
type LockedError struct {
	DataDir string
	Holder  LockRecord
	here    LockRecord // who asks
}

// Error names the holder.
func (e *LockedError) Error() string {
	h, who := e.Holder, ""
	switch {
	case h.Stage0PID == 0:
		who = "a process that left no name"
	case h.BootID != e.here.BootID:
		who = fmt.Sprintf("pid %d of host %s", h.Stage0PID, h.Host)
	case h.PIDNS != e.here.PIDNS:
		who = fmt.Sprintf("pid %d in another container (host %s)", h.Stage0PID, h.Host)
	case !alive(h.Stage0PID):
		who = fmt.Sprintf("supervisor pid %d, which stops the services of pid %d that has died", h.Stage1PID, h.Stage0PID)
	default:
		who = fmt.Sprintf("pid %d (supervisor pid %d) on host %s", h.Stage0PID, h.Stage1PID, h.Host)
	}
	if !h.Since.IsZero() {
		who += " since " + h.Since.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("use data directory %s: it is held by %s", e.DataDir, who)
}

// Hint says what to do.
func (e *LockedError) Hint() string {
	return fmt.Sprintf("stop it first: sourcegraph shutdown --data %s; or give this one a directory of its own with --data", e.DataDir)
}

// dataDirError is a data directory that cannot be used at all.
type dataDirError struct {
	error
	hint string
}

func (e dataDirError) Unwrap() error { return e.error }
func (e dataDirError) Hint() string  { return e.hint }

// dataLock is the held lock. Its open file description is shared with each stage 1, so it is free only when both are gone.
type dataLock struct {
	file   *os.File
	record LockRecord
}

func takeLock(dataDir string) (*dataLock, error) {
	f, err := openLock(dataDir)
	if err != nil {
		return nil, dataDirError{fmt.Errorf("use data directory %s: %w", dataDir, err), remedyFor(dataDir, err)}
	}
	me := self()
	for until := After(lockPatience); ; time.Sleep(10 * time.Millisecond) {
		err = tryLock(f, unix.LOCK_EX)
		if err == nil {
			return &dataLock{file: f, record: me}, nil
		}
		if err != unix.EWOULDBLOCK || until.Left() < 0 {
			break
		}
	}
	defer f.Close()
	if err != unix.EWOULDBLOCK {
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	holder, err := ReadLock(dataDir)
	if err != nil {
		return nil, err
	}
	return nil, &LockedError{DataDir: dataDir, Holder: holder, here: me}
}

func openLock(dataDir string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Join(dataDir, "state"), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(lockPath(dataDir), os.O_RDWR|os.O_CREATE, 0o600) // who can open it can hold it
}

// remedyFor an error of [openLock].
func remedyFor(dataDir string, err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s; run as its owner, change its owner to uid %d, or choose another with --data", ownerOf(dataDir), os.Getuid())
	case errors.Is(err, unix.EROFS):
		return "its file system is mounted read-only: mount it writable, or choose another directory with --data"
	case errors.Is(err, unix.ENOSPC):
		return "its file system is full: free some space"
	default:
		return "choose another directory with --data"
	}
}

// ownerOf names the owner of dir or of its nearest parent that exists.
func ownerOf(dir string) string {
	for {
		if info, err := os.Stat(dir); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				return fmt.Sprintf("%s belongs to uid %d, mode %s", dir, st.Uid, info.Mode().Perm())
			}
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		return dir + " cannot be read"
	}
}

func tryLock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err != unix.EINTR {
			return err
		}
	}
}

// name writes the record with the present stage 1. The lock holds also where it cannot be written (full disk).
func (l *dataLock) name(stage1 int) error {
	l.record.Stage1PID = stage1
	if _, err := l.file.WriteAt(l.record.text(), 0); err != nil {
		return fmt.Errorf("write record into %s: %w", l.file.Name(), err)
	}
	return nil
}

func self() LockRecord {
	r := LockRecord{Stage0PID: os.Getpid(), Since: time.Now()}
	r.BootID, _ = readSmall("/proc/sys/kernel/random/boot_id") // without /proc the record says less
	r.Host, _ = os.Hostname()
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/pid", &st) == nil {
		r.PIDNS = st.Ino
	}
	return r
}

func alive(pid int) bool {
	return pid > 0 && unix.Kill(pid, 0) != unix.ESRCH
}
