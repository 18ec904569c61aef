package watch

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Files sends when something in one of the directories has changed and nothing has changed any more for as long as settle. A directory need
// not be there. The channel holds one word at most, and ends to speak with the context.
func Files(ctx context.Context, dirs []string, settle time.Duration) (<-chan struct{}, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", strings.Join(dirs, ", "), err)
	}
	f := &files{dirs: dirs, add: w.Add, events: w.Events, errors: w.Errors, out: make(chan struct{}, 1)}
	f.attach()
	go func() {
		defer w.Close()
		f.run(ctx, settle)
	}()
	return f.out, nil
}

type files struct {
	dirs   []string
	add    func(path string) error
	events <-chan fsnotify.Event
	errors <-chan error
	out    chan struct{}
}

// attach watches the directories that are there, and what is above each, where it is made, replaced or its link is turned. Watching one twice is fine.
func (f *files) attach() {
	for _, dir := range f.dirs {
		for _, path := range []string{dir, filepath.Dir(dir)} {
			_ = f.add(path) // it is not there: what is above it tells when it is
		}
	}
}

func (f *files) run(ctx context.Context, settle time.Duration) {
	quiet := time.NewTimer(settle)
	quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case ev, ok := <-f.events:
			if !ok {
				return
			}
			if f.concerns(ev) {
				quiet.Reset(settle)
			}
		case <-f.errors: // too many events: some are lost, so something has changed
			quiet.Reset(settle)
		case <-quiet.C:
			f.attach()
			select {
			case f.out <- struct{}{}:
			default:
			}
		}
	}
}

// concerns leaves out attributes, an editor's files beside, and what is beside our directories.
func (f *files) concerns(ev fsnotify.Event) bool {
	name := filepath.Base(ev.Name)
	if ev.Op == fsnotify.Chmod && !strings.HasSuffix(name, ".yaml") {
		return false
	}
	if slices.Contains(f.dirs, ev.Name) || name == "..data" {
		return true
	}
	return slices.Contains(f.dirs, filepath.Dir(ev.Name)) && !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, "~")
}
