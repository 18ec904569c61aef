package logs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// pollEvery is how often a follower looks for new lines. The files are its queue: a slow one reads them later, holds nothing up, and is
// told when a part was rotated away before it came to it (E50).
const pollEvery = 100 * time.Millisecond

// Query reads the logs below dir, all services merged by time, until they end or, following, until ctx ends.
//
// It needs no pump: the files are the truth, rotated and compressed ones included. A service without a log is no error.
func Query(ctx context.Context, dir string, q api.LogQuery) iter.Seq2[api.LogLine, error] {
	return func(yield func(api.LogLine, error) bool) {
		want, err := newFilter(q)
		if err != nil {
			yield(api.LogLine{}, err)
			return
		}
		m := &merge{dir: dir, q: q, want: want, tapes: map[string]*tape{}}
		defer m.close()
		if err := m.run(ctx, yield); err != nil {
			yield(api.LogLine{}, err)
		}
	}
}

// filter is a query's conditions on one line.
type filter struct {
	since, until time.Time
	grep         *regexp.Regexp
	level        string
}

func newFilter(q api.LogQuery) (f filter, err error) {
	f = filter{since: q.Since, until: q.Until, level: q.Level}
	switch q.Level {
	case "", LevelDebug, LevelInfo, LevelWarn, LevelError:
	default:
		return f, fmt.Errorf("read logs: level %q is none of debug, info, warn, error", q.Level)
	}
	if q.Grep != "" {
		if f.grep, err = regexp.Compile(q.Grep); err != nil {
			return f, fmt.Errorf("read logs: grep: %w", err)
		}
	}
	return f, nil
}

func (f *filter) match(l parsed) bool {
	switch {
	case !f.since.IsZero() && l.at.Before(f.since), !f.until.IsZero() && l.at.After(f.until):
		return false
	case f.grep != nil && !f.grep.Match(l.text):
		return false
	case f.level == "" || f.level == LevelDebug:
		return true
	case l.flag == flagOurs:
		return atLeast(LevelWarn, f.level)
	}
	return atLeast(Level(l.text), f.level)
}

// merge reads one tape per service side by side.
type merge struct {
	dir   string
	q     api.LogQuery
	want  filter
	tapes map[string]*tape
	skip  int // leading lines that are not among the newest
}

func (m *merge) close() {
	for _, t := range m.tapes {
		t.close()
	}
}

func (m *merge) run(ctx context.Context, yield func(api.LogLine, error) bool) error {
	if err := m.discover(); err != nil {
		return err
	}
	if m.q.Limit > 0 {
		if err := m.limit(ctx); err != nil {
			return err
		}
	}
	for {
		if more, err := m.drain(ctx, yield); err != nil || !more {
			return err
		}
		if !m.q.Follow || !m.q.Until.IsZero() && time.Now().After(m.q.Until) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollEvery):
		}
		if err := m.discover(); err != nil {
			return err
		}
	}
}

// drain yields what there is now. more is false when the reader has had enough.
func (m *merge) drain(ctx context.Context, yield func(api.LogLine, error) bool) (more bool, err error) {
	began := time.Now()
	exhausted := map[*tape]bool{}
	for {
		if m.q.Follow && time.Since(began) > pollEvery {
			clear(exhausted) // a noisy service must not hide the others
			began = time.Now()
		}
		oldest, err := m.oldest(exhausted)
		if err != nil || oldest == nil {
			return true, err
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		line := oldest.take()
		if m.skip > 0 {
			m.skip--
			continue
		}
		if !yield(line, nil) {
			return false, nil
		}
	}
}

// oldest is the tape whose next line is the oldest, nil if no tape has one.
func (m *merge) oldest(exhausted map[*tape]bool) (*tape, error) {
	var oldest *tape
	for _, t := range m.tapes {
		if !t.ready && !exhausted[t] {
			if err := t.advance(m.q.Follow); err != nil {
				return nil, err
			}
			exhausted[t] = !t.ready
		}
		if t.ready && (oldest == nil || t.before(oldest)) {
			oldest = t
		}
	}
	return oldest, nil
}

// discover opens a tape for each service that has none yet.
func (m *merge) discover() error {
	list, err := os.ReadDir(m.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read logs: %w", err)
	}
	for _, e := range list {
		name := instanceName(e.Name())
		if !e.IsDir() || m.tapes[name] != nil || !selected(name, m.q.Services) {
			continue
		}
		t := &tape{dir: filepath.Join(m.dir, e.Name()), service: name, want: &m.want}
		if err := t.rewind(); err != nil {
			return err
		}
		m.tapes[name] = t
	}
	return nil
}

// selected says whether an instance is meant: by its own name or by its service's, which means all instances.
func selected(instance string, services []string) bool {
	if len(services) == 0 {
		return true
	}
	for _, s := range services {
		if instance == s || strings.HasPrefix(instance, s+"/") || s == instance+"/0" {
			return true
		}
	}
	return false
}

// limit puts each tape at its newest lines, and notes how many of all these are still too many.
func (m *merge) limit(ctx context.Context) error {
	total := 0
	for _, t := range m.tapes {
		n, err := t.seekNewest(ctx, m.q.Limit)
		if err != nil {
			return err
		}
		total += n
	}
	m.skip = max(0, total-m.q.Limit)
	return nil
}
