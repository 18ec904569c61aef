package supervisor

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/roster"
)

// stillWorld is one in which nothing happens but what a test posts.
type stillWorld struct{}

func (stillWorld) Now() time.Time                            { return time.Now() }
func (stillWorld) Spawn(string, uint64)                      {}
func (stillWorld) Probe(string, uint64)                      {}
func (stillWorld) Signal(string, uint64)                     {}
func (stillWorld) Kill(string, uint64, bool)                 {}
func (stillWorld) Arm(string, uint64, uint64, time.Duration) {}
func (stillWorld) Publish(engine.View)                       {}

// TestProgressIsGatheredButNothingElse lets the door's pages wait a little for what changes often, and nothing else.
func TestProgressIsGatheredButNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := services.Instance{Service: "one", Wanted: true}
		s := &Supervisor{
			log: slog.New(slog.DiscardHandler), since: time.Now(), reach: newReach(), host: &Host{door: &frontDoor{}},
			roster: &roster.Roster{Plan: services.Plan{Product: "demo", Instances: []services.Instance{one}}},
		}
		s.certificate = newCertificate(s.log)
		s.engine = engine.New(stillWorld{}, jitter, nil)
		defer s.engine.Close()
		require.NoError(t, s.engine.Add(s.plan().Instances, nil))
		state := func() string { return s.host.door.state.Services[0].State }
		synctest.Wait()
		require.False(t, s.showDoor())
		require.Equal(t, string(api.Starting), state())

		s.engine.Post("one", engine.Event{Kind: engine.SpawnFailed, Run: 1, Cause: api.CauseExec, Err: errors.New("no such file"), Permanent: true})
		synctest.Wait()
		require.True(t, s.showDoor(), "only the pages differ")
		require.Equal(t, string(api.Starting), state())
		time.Sleep(progressPause)
		require.False(t, s.showDoor())
		require.Equal(t, string(api.Failed), state())

		s.engine.Post("one", engine.Event{Kind: engine.StopWanted, Actor: "uid 0"})
		s.stopping.Store(true)
		synctest.Wait()
		require.False(t, s.showDoor(), "what the door says and does waits for nothing, and takes the rest along")
		require.Equal(t, string(api.Stopped), state())
	})
}
