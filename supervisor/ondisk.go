package supervisor

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/watch"
)

// settle is how long files must be left alone before they are read: two quick edits are one change, and an editor's rename is over.
const settle = 500 * time.Millisecond

// holdEmptied is how long a file that lost its whole content must stay so before it is applied without being asked.
const holdEmptied = 10 * time.Second

// onDisk is what the files of the configuration say, beside what runs.
type onDisk struct {
	mu     sync.Mutex
	config api.Config
}

func (d *onDisk) state() api.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.config.State == "" {
		return api.Config{State: api.ConfigApplied}
	}
	return d.config
}

// set reports whether this is news.
func (d *onDisk) set(c api.Config) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.config
	d.config = c
	return was.State != c.State || was.Fault != c.Fault
}

// watchConfig looks at the files whenever they change. Certificates are none of its business: the door notices new ones itself.
func (s *Supervisor) watchConfig(ctx context.Context) error {
	file := s.opts.Roster.ConfigFile
	if file == "" {
		<-ctx.Done()
		return ctx.Err()
	}
	dir := filepath.Dir(file)
	changes, err := watch.Files(ctx, []string{dir, filepath.Join(dir, "services.d")}, settle)
	if err != nil {
		s.log.Warn("changes of the configuration are not noticed; apply them with: sourcegraph config apply", "err", err)
		<-ctx.Done()
		return ctx.Err()
	}
	f := follower{compare: s.compareOnDisk, auto: func() bool { return !s.stopping.Load() && s.rosterNow().Site.AutoApply }, found: s.found, apply: s.applyOnDisk}
	return f.run(ctx, changes, s.hello.Run > 1) // a later life goes on with the accepted plan: the files may have changed since
}

// follower decides what becomes of files that have changed.
type follower struct {
	compare func() (c api.Config, emptied string) // what they say beside what runs, and the name of one that has lost its whole content
	auto    func() bool                           // the site wants a valid change applied without being asked
	found   func(api.Config)
	apply   func(context.Context)
}

// run looks at each change, and at once if told so, until the context ends.
func (f follower) run(ctx context.Context, changes <-chan struct{}, atOnce bool) error {
	var again <-chan time.Time
	if atOnce {
		again = f.look(ctx, false)
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changes:
			again = f.look(ctx, false)
		case <-again:
			again = f.look(ctx, true)
		}
	}
}

// look tells what it finds and applies it when the site wants that. The channel says when to look again at files that were emptied.
func (f follower) look(ctx context.Context, waited bool) (again <-chan time.Time) {
	c, emptied := f.compare()
	auto := c.State == api.ConfigChanged && f.auto()
	if auto && emptied != "" && !waited {
		c.Fault = fmt.Sprintf("%s has lost its whole content; it is applied when it stays so for %s", emptied, holdEmptied)
		f.found(c)
		return time.After(holdEmptied)
	}
	f.found(c)
	if auto {
		f.apply(ctx)
	}
	return nil
}

// compareOnDisk reads the files and compares them with what runs.
func (s *Supervisor) compareOnDisk() (c api.Config, emptied string) {
	change, next, err := s.diff("")
	now := api.Time{Time: time.Now()}
	switch {
	case err != nil:
		return api.Config{State: api.ConfigInvalid, Fault: err.Error(), Since: now}, ""
	case nothing(change):
		return api.Config{State: api.ConfigApplied}, ""
	}
	return api.Config{State: api.ConfigChanged, Since: now, Restart: change.Restarted, Start: change.Started, Stop: change.Stopped, Setting: change.Settings}, s.emptied(next)
}

// applyOnDisk does what `config apply` does. A change that cannot be applied stays shown, with the reason.
func (s *Supervisor) applyOnDisk(ctx context.Context) {
	if _, err := s.Reload(ctx, api.Peer{Command: "auto_apply"}); err != nil {
		s.log.Error("apply the changed configuration", append([]any{"err", err}, hintOf(err)...)...)
	}
}

// found keeps what was found, and says so when it is news.
func (s *Supervisor) found(c api.Config) {
	if !s.onDisk.set(c) || c.State == api.ConfigApplied {
		return
	}
	if c.State == api.ConfigInvalid {
		s.log.Warn("the configuration on disk is invalid, the old one goes on: " + c.Fault)
		return
	}
	s.log.Info("the configuration on disk has changed, and is not applied", "restarts", c.Restart, "starts", c.Start, "stops", c.Stop)
}

// emptied names a file that had content when a configuration was last applied and has none now.
func (s *Supervisor) emptied(next *roster.Roster) string {
	list, err := roster.History(s.opts.Roster.DataDir)
	if err != nil || len(list) == 0 {
		return ""
	}
	return roster.Emptied(list[0].Files, next.Files())
}

func nothing(c api.Change) bool {
	return len(c.Restarted)+len(c.Started)+len(c.Stopped)+len(c.Settings) == 0
}

// Diff is what a reload would do, of another file when one is named. It changes nothing.
func (s *Supervisor) Diff(_ context.Context, file string) (api.Change, error) {
	change, _, err := s.diff(file)
	if err != nil {
		return change, asAPIError(err)
	}
	return change, nil
}

func (s *Supervisor) diff(file string) (api.Change, *roster.Roster, error) {
	o := s.opts.Roster
	o.DryRun = true
	if file != "" {
		o.ConfigFile = file
	}
	next, err := roster.Load(o)
	if err != nil {
		return api.Change{}, nil, err
	}
	_, _, change := s.changeTo(next)
	return change, next, nil
}

// keepHistory remembers an applied configuration, for `config rollback`.
func (s *Supervisor) keepHistory(r *roster.Roster, who string) {
	s.onDisk.set(api.Config{State: api.ConfigApplied})
	if err := r.Keep(s.opts.Roster, who, time.Now()); err != nil {
		s.log.Warn("this configuration cannot be kept for a rollback", "err", err)
	}
}
