package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Options say how a service's log is kept. The zero values of MaxSize and Keep mean the defaults.
type Options struct {
	Dir      string        // holds one folder per instance
	MaxSize  int64         // bytes of the current file before it is rotated; default 16 MiB
	Keep     int           // rotated files beside the current one; default 4, negative for none
	MaxAge   time.Duration // no rotated file is kept longer; 0: no limit
	Redactor *Redactor     // nil: nothing is redacted
	Stdout   *Stdout       // shows the lines on standard output, too; nil: off
	Clock    func() time.Time
}

const (
	defaultMaxSize = 16 << 20
	defaultKeep    = 4

	// tailSize is what a pump remembers of the last lines.
	tailSize = 4 << 10
)

// Stats is what a pump has done since it started.
type Stats struct {
	Lines, Bytes               uint64 // taken from the service: lines as written, and bytes as the service wrote them
	DroppedLines, DroppedBytes uint64 // of these, lost to a full or stalled disk
	Waiting                    int    // bytes in memory that wait for the disk
	LastError                  error  // nil again once the log is written
	LastErrorAt                time.Time
	LastLine                   time.Time
}

// Pump carries the output of one instance of a service, over all its runs.
type Pump struct {
	k       *Pumps
	service string
	r       *os.File
	fd, cap int // of r
	limit   int // longest line
	id      int32
	owners  owners
	o       Options

	// These belong to who has the turn.
	file    file
	prefix  prefix
	backlog backlog
	retryAt time.Time // of the backlog
	why     error     // of the backlog
	closed  bool
	hungUp  bool // under Pumps.mu: no writer is left, the last line will not get longer

	bounds atomic.Pointer[bounds] // of the file, when they have changed

	late  atomic.Bool  // backlog is not empty
	rest  atomic.Int64 // bytes of an unfinished line that the last look has left in the pipe
	aging atomic.Bool  // look at the age of the files

	mu    sync.Mutex
	stats Stats
	tail  []byte
	watch []*watcher
}

// Start begins to carry what comes out of r, which the pump owns from now on. What is in it already is run's. It touches no disk: trouble with it shows in [Pump.Stats], and never stops a service.
func (k *Pumps) Start(service string, r *os.File, run uint64, o Options) (*Pump, error) {
	fd, err := rawFD(r)
	if err != nil {
		return nil, fmt.Errorf("read the log pipe of %s: %w", service, err)
	}
	size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return nil, fmt.Errorf("read the log pipe of %s: not a pipe: %w", service, err)
	}
	b := newBounds(o.MaxSize, o.Keep)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	p := &Pump{k: k, service: service, r: r, fd: fd, cap: size, limit: min(maxLine, size/2), o: o, owners: owners{list: []owner{{run: run}}}}
	p.file = file{dir: filepath.Join(o.Dir, dirName(service)), maxSize: b.maxSize, keep: b.keep, maxAge: o.MaxAge, packer: k.packer}
	return p, k.register(p)
}

// bounds are what rotation keeps.
type bounds struct {
	maxSize int64
	keep    int
}

func newBounds(maxSize int64, keep int) *bounds {
	if maxSize <= 0 {
		maxSize = defaultMaxSize
	}
	if keep == 0 {
		keep = defaultKeep
	}
	return &bounds{maxSize, max(keep, 0)}
}

// Bound changes MaxSize and Keep of the options; it counts from the next lines on.
func (p *Pump) Bound(maxSize int64, keep int) { p.bounds.Store(newBounds(maxSize, keep)) }

func (k *Pumps) register(p *Pump) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return fmt.Errorf("read the log pipe of %s: %w", p.service, os.ErrClosed)
	}
	p.id = k.next
	k.next++
	k.pumps[p.id] = p
	// Edge-triggered: an unfinished line stays in the pipe, and must not wake us up for ever.
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: p.id}
	if err := unix.EpollCtl(k.epoll, unix.EPOLL_CTL_ADD, p.fd, &ev); err != nil {
		delete(k.pumps, p.id)
		return fmt.Errorf("read the log pipe of %s: %w", p.service, err)
	}
	return nil
}

// Begin says that a run begins: what is in the pipe now is of the run before, which writes no more, and what comes is this one's.
func (p *Pump) Begin(run uint64) { p.owners.begin(run, func() int { return waiting(p.fd) }) }

func (p *Pump) takeHungUp() bool {
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	was := p.hungUp
	p.hungUp = false
	return was
}

// leaveHungUp is for the look that will show the last line.
func (p *Pump) leaveHungUp() {
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	p.hungUp = true
}

// pump carries what one look shows of the pipe, up to the last newline or, with rest and where it shows all, to the end. It returns how many bytes
// left the pipe.
func (p *Pump) pump(t *turn, rest bool) (total int, err error) {
	t.cut = false
	if b := p.bounds.Load(); b != nil {
		p.file.maxSize, p.file.keep = b.maxSize, b.keep
	}
	now := p.o.Clock()
	if p.aging.Swap(false) {
		if err := p.age(now); errors.Is(err, errTurnLost) {
			return 0, err
		}
	}
	if p.late.Load() {
		if err := p.flush(now); errors.Is(err, errTurnLost) {
			return 0, err
		}
	}
	data, err := p.peek(t)
	if len(data) == 0 {
		p.rest.Store(0)
		return 0, err
	}
	rest = rest && !t.cut
	t.spans = p.o.Redactor.find(data, t.spans[:0])
	for at := 0; at < len(data); {
		run, n := p.owners.next()
		own := data[at:]
		over := n <= len(own) // nothing will finish its last line, and what follows is not its end (E47)
		if over {
			own = own[:n]
		}
		p.prefix.at(now, run)
		b := format(t.out[:0], own, &p.prefix, shift(t.spans, at), p.limit, rest || over)
		if b.raw == 0 {
			break
		}
		if err := p.keep(b, now); err != nil {
			return total, err
		}
		p.k.consume(p, b.raw)
		p.note(b, now)
		at += b.raw
		total += b.raw
	}
	p.rest.Store(int64(len(data) - total))
	return total, nil
}

// peek copies what is in the pipe without taking it out: at most half of what that holds, so that its writer fills the other half meanwhile.
func (p *Pump) peek(t *turn) ([]byte, error) {
	most := min(len(t.in), max(p.cap/2, p.limit+1))
	n, err := unix.Tee(p.fd, t.w, most, unix.SPLICE_F_NONBLOCK)
	if err == unix.EAGAIN || err == unix.EINTR || n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the log pipe of %s: %w", p.service, err)
	}
	t.cut = int(n) == most
	got := 0
	for got < int(n) {
		m, err := unix.Read(t.r, t.in[got:n])
		if err == unix.EINTR {
			continue
		}
		if err != nil || m == 0 {
			return nil, fmt.Errorf("read the log pipe of %s: %w", p.service, err)
		}
		got += m
	}
	return t.in[:n], nil
}

// shift makes spans relative to at, and drops those before it.
func shift(spans []span, at int) []span {
	if at == 0 || len(spans) == 0 {
		return spans
	}
	var out []span
	for _, s := range spans {
		if s.to > at {
			out = append(out, span{max(s.from-at, 0), s.to - at})
		}
	}
	return out
}

// keep writes b or, where the disk does not take it, remembers it. The error is errTurnLost or nil.
func (p *Pump) keep(b block, now time.Time) error {
	if !p.backlog.empty() {
		p.remember(b.out, p.why, now)
		return nil
	}
	err := p.k.disk(p, b.raw, b.out, func() error { return p.write(b.out, now) })
	if errors.Is(err, errTurnLost) {
		return err
	}
	if err != nil {
		p.remember(b.out, err, now)
	}
	return nil
}

// write appends to the file. A full disk first takes back the oldest rotated file of the noisiest service (E46).
func (p *Pump) write(lines []byte, now time.Time) error {
	err := p.file.append(lines, now)
	if errors.Is(err, unix.ENOSPC) && p.k.reclaim() {
		err = p.file.append(lines, now)
	}
	return err
}

// reclaim removes one rotated file; false if there is none.
func (k *Pumps) reclaim() bool {
	var noisiest *Pump
	var most int64
	for _, p := range k.all() {
		if n := p.file.bytesRotated(); n > most {
			noisiest, most = p, n
		}
	}
	return noisiest != nil && noisiest.file.dropOldest()
}

// remember keeps lines in memory and counts what had to go for them.
func (p *Pump) remember(lines []byte, why error, now time.Time) {
	if p.backlog.empty() {
		p.retryAt = now.Add(p.k.retryEvery)
	}
	p.why = why
	dropped := p.backlog.push(lines)
	p.late.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.DroppedLines += uint64(dropped.lines)
	p.stats.DroppedBytes += uint64(dropped.bytes)
	p.stats.Waiting = len(p.backlog.lines)
	p.stats.LastError, p.stats.LastErrorAt = why, now
}

// lose counts lines that a hanging disk has refused in the end.
func (p *Pump) lose(lines []byte, why error) {
	var l loss
	l.add(lines)
	p.backlog.lost.lines += l.lines
	p.backlog.lost.bytes += l.bytes
	p.why = why
	p.late.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.DroppedLines += uint64(l.lines)
	p.stats.DroppedBytes += uint64(l.bytes)
}

// flush writes the backlog when it is time to try again.
func (p *Pump) flush(now time.Time) error {
	if p.backlog.empty() {
		p.late.Store(false)
		return nil
	}
	if p.k.stalled.Load() || now.Before(p.retryAt) && p.retryAt.Sub(now) <= p.k.retryEvery {
		return nil
	}
	kept := p.backlog
	lines, _ := p.backlog.take(now, p.owners.latest(), p.why)
	err := p.k.disk(p, 0, lines, func() error { return p.write(lines, now) })
	if errors.Is(err, errTurnLost) {
		return err
	}
	if err != nil {
		p.backlog, p.why, p.retryAt = kept, err, now.Add(p.k.retryEvery)
		p.failed(err)
		return err
	}
	p.late.Store(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Waiting, p.stats.LastError = 0, nil
	return nil
}

func (p *Pump) age(now time.Time) error {
	if p.file.maxAge <= 0 {
		return nil
	}
	err := p.k.disk(p, 0, nil, func() error {
		if p.file.f == nil {
			if err := p.file.open(now); err != nil {
				return err
			}
		}
		p.file.retain(now)
		return p.file.prepare(0, now)
	})
	if err != nil {
		p.failed(err)
	}
	return err
}

func (p *Pump) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.LastError, p.stats.LastErrorAt = err, p.o.Clock()
}

// note counts b and shows it to who wants to see it.
func (p *Pump) note(b block, now time.Time) {
	p.mu.Lock()
	p.stats.Lines += uint64(b.lines)
	p.stats.Bytes += uint64(b.raw)
	p.stats.LastLine = now
	p.tail = appendTail(p.tail, b.out)
	watch := p.watch
	p.mu.Unlock()
	for _, w := range watch {
		w.look(b.out)
	}
	if p.o.Stdout != nil {
		p.o.Stdout.offer(p.service, b.out, b.lines)
	}
}

func appendTail(tail, out []byte) []byte {
	if len(out) >= tailSize {
		return append(tail[:0], out[len(out)-tailSize:]...)
	}
	if over := len(tail) + len(out) - tailSize; over > 0 {
		tail = tail[:copy(tail, tail[over:])]
	}
	return append(tail, out...)
}

// Stats returns the counts so far.
func (p *Pump) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Tail returns at most n of the last lines that fit into 4 KiB, oldest first: their texts, redacted, not escaped.
func (p *Pump) Tail(n int) []string {
	p.mu.Lock()
	tail := bytes.Clone(p.tail)
	p.mu.Unlock()
	if len(tail) == 0 {
		tail = endOf(filepath.Join(p.file.dir, currentName))
	}
	var out []string
	for line := range bytes.Lines(tail) {
		if l, ok := parse(bytes.TrimSuffix(line, []byte("\n"))); ok {
			out = append(out, string(l.text))
		}
	}
	return out[max(0, len(out)-n):]
}

// endOf reads the last bytes of a file, for a pump that has seen no line yet.
func endOf(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil
	}
	buf := make([]byte, tailSize)
	n, _ := f.ReadAt(buf, max(0, st.Size()-tailSize))
	return buf[:n]
}

// Drain returns when everything that the pipe held at the time of the call is written, an unfinished last line included.
// It does not wait for processes that still hold the pipe. The error is the context's.
func (p *Pump) Drain(ctx context.Context) error {
	left := -1
	for {
		t, err := p.k.take(ctx)
		if err != nil {
			return fmt.Errorf("drain the log of %s: %w", p.service, err)
		}
		if left < 0 {
			left = waiting(p.fd)
		}
		for !p.closed {
			var n int
			n, err = p.pump(t, true)
			left -= n
			if n == 0 || left <= 0 || err != nil {
				break
			}
		}
		if errors.Is(err, errTurnLost) {
			continue
		}
		p.k.turns <- t
		return err
	}
}

// take waits for the turn.
func (k *Pumps) take(ctx context.Context) (*turn, error) {
	select {
	case t := <-k.turns:
		return t, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends the pump and closes its end of the pipe. Whole lines are carried before; an unfinished one stays in the pipe.
// The error says that lines in memory could not be written.
func (p *Pump) Close() error {
	for {
		t, err := p.k.take(context.Background())
		if err != nil {
			return err
		}
		if p.closed {
			p.k.turns <- t
			return nil
		}
		p.retryAt = time.Time{}
		for n := 1; n > 0 && err == nil; {
			n, err = p.pump(t, false)
		}
		if errors.Is(err, errTurnLost) {
			continue
		}
		err = errors.Join(err, p.closeTurn())
		p.k.turns <- t
		return err
	}
}

func (p *Pump) closeTurn() error {
	p.closed = true
	p.k.mu.Lock()
	delete(p.k.pumps, p.id)
	p.k.mu.Unlock()
	_ = unix.EpollCtl(p.k.epoll, unix.EPOLL_CTL_DEL, p.fd, nil)
	if !p.k.stalled.Load() { // else the file belongs to the hanging call
		p.file.close()
	}
	err := p.r.Close()
	if !p.backlog.empty() {
		err = errors.Join(err, fmt.Errorf("close the log of %s: %d bytes were not written: %w", p.service, len(p.backlog.lines), p.why))
	}
	return err
}
