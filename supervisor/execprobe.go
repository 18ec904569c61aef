package supervisor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
)

// execProbe runs a probe's command as the service, in its environment and cgroup; it is killed as a tree when its time is over (E38).
func (h *Host) execProbe(u *unit, l *life) func(context.Context, []string) error {
	return func(ctx context.Context, argv []string) error {
		inst, err := services.Expand(l.inst, h.secrets())
		if err != nil {
			return err
		}
		acc, err := h.account(inst)
		if err != nil {
			return err
		}
		spec := h.spec(u, l, inst, acc)
		spec.Program, spec.Argv, spec.Files, spec.Output = argv[0], argv, nil, nil
		l.forked.Store(true)
		p, err := h.spawner.Start(spec)
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { _ = p.SignalGroup(killSignal) }) // already gone is fine
		defer stop()
		exit, err := p.Wait()
		if err != nil {
			return err
		}
		if err := p.Reap(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: no answer in time: %w", argv[0], os.ErrDeadlineExceeded)
		}
		if exit.Code != 0 || exit.Signal != 0 {
			return fmt.Errorf("%s: %s", argv[0], exit)
		}
		return nil
	}
}

// execSpec is the environment, user and limits of a service for a command that a person runs in them.
func (h *Host) execSpec(u *unit) (api.ExecSpec, error) {
	inst, err := services.Expand(u.instance(), h.secrets())
	if err != nil {
		return api.ExecSpec{}, err
	}
	acc, err := h.account(inst)
	if err != nil {
		return api.ExecSpec{}, err
	}
	spec := api.ExecSpec{Env: inst.Env, Dir: inst.Dir, UID: acc.uid, GID: acc.gid}
	if l, v := u.current(); l != nil && v.Alive {
		for _, dir := range l.groupPaths() {
			spec.Cgroups = append(spec.Cgroups, filepath.Join(dir, "cgroup.procs"))
		}
	}
	return spec, nil
}
