package supervisor

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/logs"
)

// TestKillWaitsForAProbeUnderWay: the run's cgroup is closed only once nothing can fork into it any more, and no probe begins after that.
func TestKillWaitsForAProbeUnderWay(t *testing.T) {
	pumps, err := logs.NewPumps()
	require.NoError(t, err)
	r, w, err := logs.NewPipe(-1, -1)
	require.NoError(t, err)
	inst := services.Instance{Service: "a", Replicas: 1, Kind: services.KindService}
	u := &unit{name: "a", inst: inst, pipe: w, news: make(chan struct{})}
	u.pump, err = pumps.Start("a", r, 1, logs.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()); require.NoError(t, pumps.Close()) })
	l := newLife(1, inst)
	u.life = l
	close(l.up)
	close(l.ended)
	h := &Host{log: slog.New(slog.DiscardHandler), appl: "test", units: map[string]*unit{"a": u}}
	h.engine = engine.New(h, jitter, nil)
	t.Cleanup(h.engine.Close)

	l.asking.Add(1) // a probe runs
	h.Kill("a", 1, false)
	<-l.ctx.Done() // it is told to end
	require.Never(t, l.forgotten.Load, 100*time.Millisecond, 5*time.Millisecond)
	l.asking.Done()
	require.Eventually(t, l.forgotten.Load, 30*time.Second, time.Millisecond)
	h.Probe("a", 1)
	l.asking.Wait()
	require.False(t, l.probing)
}
