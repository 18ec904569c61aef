package supervisor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sourcegraph/appliance/supervisor/probe"
)

// listenNotify opens the run's notification socket before the process is born, and waits for READY=1 from it.
func (h *Host) listenNotify(u *unit, l *life, uid int) error {
	path := h.notifyPath(u.name)
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil { // services may pass through, and not look around
		return fmt.Errorf("make the directory of notification sockets: %w", err)
	}
	n, err := probe.Listen(path, uid)
	if err != nil {
		return err
	}
	context.AfterFunc(l.ctx, n.Close)
	go func() {
		for {
			m, err := n.Next(l.ctx, func(_, sender int) bool { return uid < 0 || sender == uid })
			if err != nil {
				return
			}
			if m.Ready {
				l.signalReady()
			}
		}
	}()
	return nil
}
