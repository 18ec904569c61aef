package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/process"
	"github.com/sourcegraph/appliance/supervisor/stage0"
)

// inventory is what stage 0 held for a supervisor to come.
type inventory struct {
	hello  stage0.Message
	stored map[string][]*os.File
	exits  []stage0.Message
}

// takeInventory reads HELLO and what it announces.
func takeInventory(conn *stage0.Conn) (inventory, error) {
	inv := inventory{stored: map[string][]*os.File{}}
	for gives, exits := 0, 0; inv.hello.Type == 0 || gives < inv.hello.Gives || exits < inv.hello.Exits; {
		m, err := conn.Recv()
		if err != nil {
			return inv, fmt.Errorf("take over from stage 0: %w", err)
		}
		switch m.Type {
		case stage0.Hello:
			inv.hello = m
		case stage0.Give:
			gives++
			if len(m.Files) > 0 {
				inv.stored[m.Name] = m.Files
			}
		case stage0.Exit:
			exits++
			inv.exits = append(inv.exits, m)
		}
	}
	return inv, nil
}

// listenStage0 does what stage 0 says. Its end is ours: when stage 0 was killed, everything is stopped in order.
func (s *Supervisor) listenStage0(ctx context.Context) error {
	got := make(chan error, 1)
	go func() { got <- s.obey() }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-got:
		if errors.Is(err, io.EOF) {
			s.log.Error("stage 0 is gone: stopping everything")
			s.code.Store(1)
			s.orderStop(s.opts.StopTimeout)
			<-ctx.Done()
			return ctx.Err()
		}
		return err
	}
}

func (s *Supervisor) obey() error {
	for {
		m, err := s.conn.Recv()
		if err != nil {
			return err
		}
		switch m.Type {
		case stage0.Exit:
			s.host.exits.put(m.Name, m.Run, process.ExitOf(int(m.Status)))
		case stage0.Stop:
			s.orderStop(m.Deadline.Left())
		case stage0.Reload:
			go func() {
				_, err := s.Reload(context.Background(), api.Peer{UID: os.Getuid(), Command: "SIGHUP"})
				if err != nil {
					s.log.Error("reload", append([]any{"err", err}, hintOf(err)...)...)
				}
				s.host.tell(stage0.Message{Type: stage0.Ready}) // answers systemd, whichever way it went
			}()
		}
	}
}

// beatEvery is well below the 30 s after which stage 0 takes us for wedged, and the door the supervisor for away.
const beatEvery = 10 * time.Second

// beatStopping is the rhythm of an ordered stop, when stage 0 waits no longer than a third of the budget.
const beatStopping = time.Second

// beatPatience is how long the machines' loops may take to answer; with beatEvery it stays below those 30 s.
const beatPatience = 15 * time.Second

// beat tells stage 0 that we live, each time every machine's loop has answered: a beat from a ticker beside them would prove nothing (E57).
func (s *Supervisor) beat(ctx context.Context) error {
	for {
		if err := s.engine.Tick(ctx, beatPatience); err != nil {
			return fmt.Errorf("heartbeat: %w", err)
		}
		if err := s.conn.Send(stage0.Message{Type: stage0.Beat}); err != nil {
			s.log.Debug("beat", "err", err) // listenStage0 sees the end of stage 0
		}
		s.host.door.beat()
		s.endSetup(ctx)
		s.checkDoor(ctx)
		if !s.pauseBeat(ctx) {
			return ctx.Err()
		}
	}
}

// pauseBeat ends at once when a stop begins: from then on stage 0 waits for the faster rhythm.
func (s *Supervisor) pauseBeat(ctx context.Context) bool {
	if s.stopping.Load() {
		return pause(ctx, beatStopping)
	}
	timer := time.NewTimer(beatEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stopBegun:
	case <-ctx.Done():
		return false
	}
	return true
}
