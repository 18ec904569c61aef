package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/process"
	"github.com/sourcegraph/appliance/supervisor/roster"
)

const defaultPrepareTimeout = 5 * time.Minute

// prepare makes the directories of a run, what is made once, and the files that are written before each start.
func (h *Host) prepare(u *unit, l *life, inst *services.Instance, acc account) error {
	if err := roster.CheckMounted(*inst, h.storage()); err != nil {
		return &configError{err, false}
	}
	if err := h.makeDirs(l, *inst, acc); err != nil {
		return &configError{err, !errors.Is(err, unix.ENOSPC)}
	}
	inst.Env = append(inst.Env, h.names.env(acc)...)
	for _, p := range inst.Prepare {
		if err := h.once(u, l, *inst, acc, p); err != nil {
			return &configError{fmt.Errorf("prepare %s of %s: %w", p.Creates, u.name, err), false}
		}
	}
	for _, f := range inst.Files {
		if err := h.writeFile(l, f, acc); err != nil {
			return &configError{fmt.Errorf("write %s for %s: %w", f.Path, u.name, err), false}
		}
	}
	return checked(roster.CheckBeforeStart(*inst))
}

// checked tells a refusal that the next try may not meet from one that only a person mends: a PostgreSQL on the same data may be what is left of the
// run before, whose processes end by themselves once they notice, and whose names PostgreSQL has written over.
func checked(err error) error {
	if err == nil {
		return nil
	}
	return &configError{err, !errors.As(err, new(*roster.OtherServer))}
}

func (h *Host) makeDirs(l *life, inst services.Instance, acc account) error {
	dirs := []string{inst.RunDir}
	for _, d := range inst.Data {
		dirs = append(dirs, d.Path)
	}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if err := h.makeDir(l, dir, acc); err != nil {
			return err
		}
	}
	return nil
}

// makeDir makes a directory that the service owns, 0700, below parents that may only be passed through. One of another owner is
// changed by root, and refused by anybody else.
func (h *Host) makeDir(l *life, dir string, acc account) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o711); err != nil {
		return fmt.Errorf("make the directory for %s: %w", acc.name, err)
	}
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		return acc.own(dir)
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the directory for %s: %w", acc.name, err)
	}
	return h.takeOver(l, dir, acc)
}

// once runs the steps that make p.Creates, unless it is there.
func (h *Host) once(u *unit, l *life, inst services.Instance, acc account, p services.Prepare) error {
	if _, err := os.Lstat(p.Creates); err == nil {
		return nil
	}
	fresh := p.Creates + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove what an earlier try left: %w", err)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	if err := acc.own(fresh); err != nil {
		return err
	}
	timeout := p.Timeout
	if timeout == 0 {
		timeout = defaultPrepareTimeout
	}
	ctx, cancel := context.WithTimeout(l.ctx, timeout)
	defer cancel()
	for _, step := range p.Steps {
		if err := h.step(ctx, u, l, inst, acc, step); err != nil {
			return err
		}
	}
	if err := os.Rename(fresh, p.Creates); err != nil {
		return err
	}
	return syncDir(filepath.Dir(p.Creates))
}

// step runs one command as the service, its output in the service's log.
func (h *Host) step(ctx context.Context, u *unit, l *life, inst services.Instance, acc account, step services.Step) error {
	spec := h.spec(u, l, inst, acc)
	spec.Files = nil
	spec.Argv = step.Command
	spec.Program = step.Command[0]
	stdin, feed, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	if acc.uid != process.NoChange {
		if err := stdin.Chown(acc.uid, acc.gid); err != nil { // else the command cannot open /dev/stdin
			feed.Close()
			return err
		}
	}
	spec.Input = stdin
	p, err := h.spawner.Start(spec)
	if err != nil {
		feed.Close()
		return err
	}
	go func() {
		_, _ = io.Copy(feed, strings.NewReader(step.Stdin)) // a command that does not read it tells so by its status
		feed.Close()
	}()
	done := context.AfterFunc(ctx, func() { _ = p.Signal(killSignal) }) // already gone is fine
	defer done()
	exit, err := p.Wait()
	if err != nil {
		return err
	}
	if err := p.Reap(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if exit.Code != 0 || exit.Signal != 0 {
		return fmt.Errorf("%s: %s; its last words: %s", filepath.Base(step.Command[0]), exit, h.lastWords(u))
	}
	return nil
}

// writeFile writes a file of the plan, and makes its directory when that is not there.
func (h *Host) writeFile(l *life, f services.File, acc account) error {
	dir := filepath.Dir(f.Path)
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = h.makeDir(l, dir, acc)
	case err == nil && !info.IsDir():
		err = fmt.Errorf("%s is no directory", dir)
	}
	if err != nil {
		return err
	}
	for _, from := range f.From {
		content, err := roster.ReadSource(from.Path)
		if err != nil {
			return err
		}
		f.Content += content
	}
	return writeFile(f, acc)
}

// writeFile writes beside and renames, so that a reader finds the old or the new file whole. The directory is the service's, which
// could have planted a link: the new file is made exclusively, and everything else is done through its descriptor.
func writeFile(f services.File, acc account) error {
	tmp := f.Path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(f.Content)
	if acc.uid != process.NoChange {
		err = errors.Join(err, file.Chown(acc.uid, acc.gid))
	}
	err = errors.Join(err, file.Chmod(fs.FileMode(f.Mode)), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp, f.Path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
