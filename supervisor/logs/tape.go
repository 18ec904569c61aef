package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// tape reads the files of one service as if they were one, oldest line first, and goes on over rotations (E49).
type tape struct {
	dir, service string
	want         *filter

	queue []string // rotated files to be read before the current one
	known string   // the youngest rotated file that was there when current was opened
	named bool     // known is cur itself
	cur   *os.File // the current file, opened early so that a rotation cannot hide it; nil: there was none
	in    *reader  // what is being read; nil: the next of queue
	last  bool     // in reads cur
	skip  int      // matching lines to skip

	ready bool // next is a line
	next  parsed
	gap   bool // lines were rotated away unread; next is the first one after

	seen    int64  // lines that the log had up to the last one read
	counted bool   // seen is known
	from    anchor // cur: where it becomes known
	missing int64  // in the gap; 0 if it is not known
}

// anchor is a place in the current file up to which the log had so many lines.
type anchor struct {
	at, lines int64
	ok        bool
}

// rewind puts the tape before the oldest line.
func (t *tape) rewind() error {
	t.close()
	cur, err := os.Open(filepath.Join(t.dir, currentName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read logs of %s: %w", t.service, err)
	}
	t.cur = cur
	t.queue = rotatedNames(t.dir)
	if n := len(t.queue); n > 0 {
		t.known = t.queue[n-1]
	}
	i := t.find(t.queue)
	t.named = i >= 0
	if t.named { // rotated while we looked
		t.known = t.queue[i]
		t.queue = t.queue[:i]
	}
	if !t.want.since.IsZero() {
		t.queue = slices.DeleteFunc(t.queue, func(name string) bool {
			at, ok := rotatedTime(name)
			return ok && at.Before(t.want.since)
		})
	}
	return nil
}

// find is the place of cur among rotated files, -1 if it is none of them.
func (t *tape) find(names []string) int {
	if t.cur == nil {
		return -1
	}
	own, err := t.cur.Stat()
	if err != nil {
		return -1
	}
	for i, name := range names {
		if st, err := os.Stat(filepath.Join(t.dir, name+plainExt)); err == nil && os.SameFile(own, st) {
			return i
		}
	}
	return -1
}

func (t *tape) close() {
	if t.in != nil {
		t.in.close()
	}
	if t.cur != nil {
		t.cur.Close()
	}
	t.in, t.cur, t.last = nil, nil, false
}

// before says whether the tape's next line is older than the other's; the name decides among equals.
func (t *tape) before(o *tape) bool {
	if !t.next.at.Equal(o.next.at) {
		return t.next.at.Before(o.next.at)
	}
	return t.service < o.service
}

// take returns the line that advance has found.
func (t *tape) take() api.LogLine {
	if t.gap {
		text := "lines are missing here: they were rotated away before this reader came to them"
		if t.missing > 0 {
			text = fmt.Sprintf("%d %s", t.missing, text)
		}
		t.gap, t.missing = false, 0 // the line itself comes with the next call
		return toAPI(t.service, parsed{at: t.next.at, flag: flagOurs, text: []byte(text)})
	}
	t.ready = false
	return toAPI(t.service, t.next)
}

// advance looks for the next line that is wanted. It leaves ready false at the end, which with follow is only the end for now.
func (t *tape) advance(follow bool) error {
	for {
		if t.in == nil && !t.openNext() {
			if !follow || !t.turnOver() {
				return nil
			}
			continue
		}
		line, err := t.in.line()
		if err == io.EOF {
			if !t.last {
				t.in.close()
				t.in = nil
				continue
			}
			if !follow || !t.turnOver() {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("read logs of %s: %w", t.service, err)
		}
		t.read1()
		l, ok := parse(line)
		if !ok || !t.want.match(l) {
			continue
		}
		if t.skip > 0 {
			t.skip--
			continue
		}
		t.next, t.ready = l, true
		return nil
	}
}

// openNext opens the next file; false if there is none. A rotated file that is gone is a gap.
func (t *tape) openNext() bool {
	for len(t.queue) > 0 {
		name := t.queue[0]
		t.queue = t.queue[1:]
		in, err := openRotated(filepath.Join(t.dir, name))
		if err == nil {
			t.in = in
			first, ok := rotatedFirst(name)
			t.begin(first, ok)
			return true
		}
		t.gap = true
	}
	if t.cur == nil {
		return false
	}
	t.in, t.last = newReader(t.cur, nil), true
	t.orient()
	return true
}

// begin is the beginning of a file, up to which the log had so many lines. Whatever was not read of them is missing.
func (t *tape) begin(first int64, ok bool) {
	if t.counted && ok && first > t.seen {
		t.gap, t.missing = true, t.missing+first-t.seen
	}
	t.seen, t.counted, t.from = first, ok, anchor{}
}

// orient finds out where in the current file a number of lines is known: at its beginning, and where its last block begins and ends.
func (t *tape) orient() {
	st, err := t.cur.Stat()
	if err != nil {
		t.counted = false
		return
	}
	m, ok := markOf(filepath.Join(t.dir, markName), inode(st))
	switch at := t.in.read; {
	case at == 0:
		t.begin(m.first, ok)
		return
	case ok && at <= m.from:
		t.from = anchor{m.from, m.before, true}
	case ok && at <= m.to && st.Size() >= m.to:
		t.from = anchor{m.to, m.after, true}
	default:
		t.from = anchor{}
	}
	t.seen, t.counted = t.from.lines, t.from.ok && t.from.at == t.in.read
}

// read1 counts the line that was read.
func (t *tape) read1() {
	switch {
	case t.counted:
		t.seen++
	case t.from.ok && t.in.read == t.from.at:
		t.seen, t.counted = t.from.lines, true
	}
}

// turnOver follows the current file's name to a new file. False if it is still the same, or if there are unread lines.
func (t *tape) turnOver() bool {
	path := filepath.Join(t.dir, currentName)
	st, err := os.Stat(path)
	if err != nil {
		return false // between rename and creation, or removed: wait for it
	}
	if t.cur != nil && st.Size() == 0 {
		return false // nothing in it yet
	}
	if t.cur != nil {
		own, err := t.cur.Stat()
		if err != nil {
			return false
		}
		if os.SameFile(own, st) {
			return t.in != nil && t.in.cut(own.Size())
		}
		if t.in.unread(own.Size()) {
			return true // the last lines before it was renamed
		}
	}
	head, seen, named := t.head(), t.known, t.named
	t.close()
	if t.rewind() != nil {
		return false
	}
	fresh := slices.DeleteFunc(t.queue, func(name string) bool { return name <= seen })
	if len(head) > 0 && !named {
		fresh = t.behind(fresh, head)
	}
	t.queue = fresh
	return true
}

// headSize is enough of a file to know it again once it is compressed.
const headSize = 512

// head is the beginning of the current file.
func (t *tape) head() []byte {
	if t.cur == nil {
		return nil
	}
	b := make([]byte, headSize)
	n, _ := t.cur.ReadAt(b, 0)
	return b[:n]
}

// behind returns the files that follow the one that begins with head. Without that one, lines may have been lost.
func (t *tape) behind(names []string, head []byte) []string {
	for i, name := range names {
		in, err := openRotated(filepath.Join(t.dir, name))
		if err != nil {
			continue
		}
		b := make([]byte, len(head))
		_, err = io.ReadFull(in.in, b)
		in.close()
		if err == nil && bytes.Equal(b, head) {
			return names[i+1:]
		}
	}
	t.gap = len(names) > 0
	return names
}

// tailGuess is where the newest lines are looked for before a whole file is read.
const tailGuess = 256 << 10

// seekNewest puts the tape so that at most n matching lines come, and returns how many those are.
func (t *tape) seekNewest(ctx context.Context, n int) (found int, err error) {
	if t.cur != nil {
		st, err := t.cur.Stat()
		if err != nil {
			return 0, fmt.Errorf("read logs of %s: %w", t.service, err)
		}
		for _, from := range []int64{max(0, st.Size()-tailGuess), 0} {
			in := newReader(io.NewSectionReader(t.cur, from, st.Size()-from), nil)
			if from > 0 {
				_, _ = in.line() // half a line
			}
			begin := from + in.read
			if found, err = t.count(ctx, in); err != nil {
				return 0, err
			}
			if found >= n || from == 0 {
				if _, err := t.cur.Seek(begin, io.SeekStart); err != nil {
					return 0, fmt.Errorf("read logs of %s: %w", t.service, err)
				}
				break
			}
		}
	}
	first := len(t.queue)
	for found < n && first > 0 {
		first--
		in, err := openRotated(filepath.Join(t.dir, t.queue[first]))
		if err != nil {
			continue
		}
		more, err := t.count(ctx, in)
		in.close()
		if err != nil {
			return 0, err
		}
		found += more
	}
	t.queue = t.queue[first:]
	t.skip = max(0, found-n)
	return min(found, n), nil
}

// count reads in to its end.
func (t *tape) count(ctx context.Context, in *reader) (n int, err error) {
	for i := 0; ; i++ {
		if i%1024 == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		line, err := in.line()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read logs of %s: %w", t.service, err)
		}
		if l, ok := parse(line); ok && t.want.match(l) {
			n++
		}
	}
}
