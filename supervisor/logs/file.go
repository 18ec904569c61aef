package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	currentName = "current"
	markName    = "mark"
	plainExt    = ".log"
	packedExt   = ".log.zst"
	unreadyExt  = ".log.zst.new"

	// lookEvery is how often a file in use is compared with its name: someone may have moved, removed or emptied it (E49).
	lookEvery = time.Second
)

// dirName is the folder of an instance: a name may not hold a slash.
func dirName(instance string) string { return strings.ReplaceAll(instance, "/", "@") }

// instanceName is the opposite of dirName.
func instanceName(dir string) string { return strings.ReplaceAll(dir, "@", "/") }

// file is a service's log on disk. It is opened by the first write, so that a start waits for no disk.
type file struct {
	dir     string
	maxSize int64
	keep    int
	maxAge  time.Duration
	packer  *packer

	f       *os.File // nil: not open
	mark    *os.File // see [mark]
	inode   uint64
	size    int64
	first   int64     // lines that the log has had before this file
	lines   int64     // and with it
	born    time.Time // of the first line
	looked  time.Time
	rotated []string // names without extension, oldest first
}

// append writes whole lines. After an error nothing of them is in the file.
func (f *file) append(lines []byte, now time.Time) error {
	if err := f.prepare(int64(len(lines)), now); err != nil {
		return err
	}
	count := bytes.Count(lines, []byte{'\n'})
	if err := f.promise(len(lines), count); err != nil {
		return err
	}
	n, err := f.f.Write(lines)
	if err == nil {
		f.size += int64(n)
		f.lines += int64(count)
		return nil
	}
	if n > 0 {
		err = errors.Join(err, f.f.Truncate(f.size))
	}
	return fmt.Errorf("write log %s: %w", f.f.Name(), cause(err))
}

// cause drops path and verb, which the caller says once.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// prepare makes the current file ready to take n more bytes.
func (f *file) prepare(n int64, now time.Time) error {
	if f.f != nil && now.Sub(f.looked).Abs() >= lookEvery {
		f.look(now)
	}
	if f.f == nil {
		if err := f.open(now); err != nil {
			return err
		}
	}
	if f.size > 0 && (f.size+n > f.maxSize || f.tooOld(now)) {
		return f.rotate(now)
	}
	return nil
}

// tooOld says whether the current file has to be rotated because of its age. With n files of MaxAge/n each, a line is gone at most one
// n-th after MaxAge.
func (f *file) tooOld(now time.Time) bool {
	return f.maxAge > 0 && now.Sub(f.born) > f.maxAge/time.Duration(max(f.keep, 1))
}

// look closes the file if it is no longer the one of its name, and follows an emptied one.
func (f *file) look(now time.Time) {
	f.looked = now
	var byName, byFD unix.Stat_t
	fd, err := rawFD(f.f)
	if err == nil {
		err = unix.Fstat(fd, &byFD)
	}
	if err == nil {
		err = unix.Stat(f.f.Name(), &byName)
	}
	if err != nil || byName.Ino != byFD.Ino || byName.Dev != byFD.Dev {
		f.close()
		return
	}
	f.size = byFD.Size
}

func (f *file) open(now time.Time) error {
	if err := os.MkdirAll(f.dir, 0o750); err != nil {
		return fmt.Errorf("make log directory %s: %w", f.dir, cause(err))
	}
	name := filepath.Join(f.dir, currentName)
	if st, err := os.Lstat(name); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("open log %s: it is no regular file but %s", name, st.Mode().Type())
	}
	cur, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return fmt.Errorf("open log %s: %w", name, cause(err))
	}
	if err := f.adopt(cur, now); err != nil {
		cur.Close()
		return fmt.Errorf("open log %s: %w", name, cause(err))
	}
	f.f, f.looked = cur, now
	f.rotated = rotatedNames(f.dir)
	f.packer.add(f.dir)
	return nil
}

// adopt reads where cur stands, cuts what a killed supervisor left half written, and opens the mark.
func (f *file) adopt(cur *os.File, now time.Time) error {
	mark, err := os.OpenFile(filepath.Join(f.dir, markName), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return err
	}
	st, err := cur.Stat()
	if err != nil {
		mark.Close()
		return err
	}
	f.size, f.inode = st.Size(), inode(st)
	if err := f.resume(cur, mark); err != nil {
		mark.Close()
		return err
	}
	f.born = firstTime(cur, now)
	f.mark = mark
	return nil
}

// resume goes on where the mark says.
func (f *file) resume(cur, file *os.File) error {
	m, counted, ok := readMark(file)
	same := ok && m.inode == f.inode && f.size >= m.from
	if same && f.size > m.from && f.size < m.to {
		if err := cur.Truncate(m.from); err != nil {
			return err
		}
		f.size = m.from
	}
	switch {
	case f.size == 0 && f.lines > 0: // a new one, be its inode that of one that was removed
		f.first = f.lines
	case !counted:
		n, err := countLines(cur, f.size)
		if err != nil {
			return err
		}
		f.first, f.lines = 0, n
	case !same:
		f.first, f.lines = m.after, m.after
	case f.size == m.from:
		f.first, f.lines = m.first, m.before
	default:
		f.first, f.lines = m.first, m.after
	}
	return mark{f.inode, f.size, f.size, f.first, f.lines, f.lines}.write(file) // before the first line, so that readers know
}

// countLines counts those of a log that was begun before there were numbers of lines.
func countLines(cur *os.File, size int64) (n int64, err error) {
	buf := make([]byte, readSize)
	for at := int64(0); at < size; {
		got, err := cur.ReadAt(buf, at)
		n += int64(bytes.Count(buf[:got], []byte{'\n'}))
		if at += int64(got); err != nil && err != io.EOF || got == 0 {
			return n, err
		}
	}
	return n, nil
}

func inode(st os.FileInfo) uint64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}

// promise notes what is about to be written.
func (f *file) promise(size, lines int) error {
	m := mark{f.inode, f.size, f.size + int64(size), f.first, f.lines, f.lines + int64(lines)}
	if err := m.write(f.mark); err != nil {
		return fmt.Errorf("write mark of log %s: %w", f.f.Name(), cause(err))
	}
	return nil
}

// firstTime is the time of the first line, or now.
func firstTime(r *os.File, now time.Time) time.Time {
	var b [stampLen]byte
	if _, err := r.ReadAt(b[:], 0); err == nil {
		if at, ok := parseStamp(b[:]); ok {
			return at
		}
	}
	return now
}

// rotate gives the current file its name for good and begins a new one.
func (f *file) rotate(now time.Time) error {
	name := rotatedName(now)
	if n := len(f.rotated); n > 0 && name <= f.rotated[n-1] {
		name = after(f.rotated[n-1]) // the clock stepped back, or two in one millisecond
	}
	name = fmt.Sprintf("%s%s%d", name, firstSign, f.first)
	cur := f.f.Name()
	if err := os.Rename(cur, filepath.Join(f.dir, name+plainExt)); err != nil {
		return fmt.Errorf("rotate log %s: %w", cur, cause(err))
	}
	f.rotated = append(f.rotated, name)
	f.close()
	f.retain(now)
	next, err := os.OpenFile(cur, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return fmt.Errorf("open log %s: %w", cur, cause(err))
	}
	if err := f.adopt(next, now); err != nil {
		next.Close()
		return fmt.Errorf("open log %s: %w", cur, cause(err))
	}
	f.f, f.looked = next, now
	f.packer.add(f.dir)
	return nil
}

// retain removes what is beyond the number and the age to keep.
func (f *file) retain(now time.Time) {
	for len(f.rotated) > 0 {
		at, ok := rotatedTime(f.rotated[0])
		old := ok && f.maxAge > 0 && now.Sub(at) > f.maxAge
		if len(f.rotated) <= f.keep && !old {
			return
		}
		f.dropOldest()
	}
}

// dropOldest removes the oldest rotated file; false if there is none.
func (f *file) dropOldest() bool {
	if len(f.rotated) == 0 {
		return false
	}
	base := filepath.Join(f.dir, f.rotated[0])
	f.rotated = f.rotated[1:]
	os.Remove(base + plainExt)
	os.Remove(base + packedExt)
	return true
}

// bytesRotated is how much the rotated files take.
func (f *file) bytesRotated() (n int64) {
	for _, name := range f.rotated {
		for _, ext := range []string{plainExt, packedExt} {
			if st, err := os.Stat(filepath.Join(f.dir, name) + ext); err == nil {
				n += st.Size()
			}
		}
	}
	return n
}

func (f *file) close() {
	if f.f != nil {
		f.f.Close()
		f.f = nil
	}
	if f.mark != nil {
		f.mark.Close()
		f.mark = nil
	}
}

// A rotated file is named by when it was rotated, and by how many lines the log has had before it: a reader that misses some can tell their number.
const (
	rotatedLayout = "@2006-01-02T15-04-05.000Z"
	firstSign     = "+"
)

// rotatedFirst is how many lines the log has had before a rotated file.
func rotatedFirst(name string) (int64, bool) {
	_, text, _ := strings.Cut(name, firstSign)
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

func rotatedName(t time.Time) string { return t.UTC().Format(rotatedLayout) }

// rotatedTime is when a file was rotated: no line in it is younger, unless the clock was set.
func rotatedTime(name string) (time.Time, bool) {
	name, _, _ = strings.Cut(name, firstSign)
	t, err := time.Parse(rotatedLayout, name)
	return t, err == nil
}

// after is the next name behind name.
func after(name string) string {
	t, ok := rotatedTime(name)
	if !ok {
		return name + "~"
	}
	return rotatedName(t.Add(time.Millisecond))
}

// rotatedNames lists the rotated files of a folder, oldest first, each once.
func rotatedNames(dir string) []string {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range list {
		name := e.Name()
		base, ok := strings.CutSuffix(name, packedExt)
		if !ok {
			base, ok = strings.CutSuffix(name, plainExt)
		}
		if _, valid := rotatedTime(base); ok && valid && (len(names) == 0 || names[len(names)-1] != base) {
			names = append(names, base)
		}
	}
	sort.Strings(names)
	return names
}
