package supervisor

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
)

func TestUsersAreRestartedBeforeWhatTheyUse(t *testing.T) {
	inst := func(name string, number, replicas int, needs, wants []string) services.Instance {
		return services.Instance{Service: name, Number: number, Replicas: replicas, Needs: needs, Wants: wants}
	}
	require.Equal(t, []string{"worker", "searcher", "frontend"}, usersFirst([]services.Instance{
		inst("frontend", 0, 1, []string{"postgres"}, nil),
		inst("searcher", 0, 2, []string{"frontend"}, []string{"gitserver"}),
		inst("searcher", 1, 2, []string{"frontend"}, []string{"gitserver"}),
		inst("worker", 0, 1, []string{"frontend"}, []string{"searcher/0", "searcher/1"}),
	}))
}

func TestWhatMovesIsRestartedFirst(t *testing.T) {
	at := func(name, address string) services.Instance {
		return services.Instance{Service: name, Replicas: 1, Addresses: map[string]string{"http": address}}
	}
	was := []services.Instance{at("postgres", "127.0.0.1:1"), at("frontend", "127.0.0.1:2")}
	moved, stayed := split([]services.Instance{at("postgres", "127.0.0.1:3"), at("frontend", "127.0.0.1:2")}, was)
	require.Equal(t, []string{"postgres"}, names(moved))
	require.Equal(t, []string{"frontend"}, names(stayed))
}

// TestReloadRestartsServiceByService: what uses another service is back before that one goes; what only gets another name is back before both.
func TestReloadRestartsServiceByService(t *testing.T) {
	const three = `
base: {command: [/bin/sleep, "%s"], replicas: 1}
user: {command: [/bin/sh, -c, "exec sleep %s"], needs: [base]}
shard: {command: [/bin/sleep, "%s"], replicas: %s}
`
	text := func(args ...any) string { return fmt.Sprintf(three, args...) }
	s := newSite(t, text("1000", "1000", "1000", "1"))
	s.start()
	s.until("user", in(api.Ready))
	s.until("shard", in(api.Ready))
	s.write(text("1001", "1001", "1000", "2"))
	change, err := s.client.Reload(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"base", "user"}, change.Restarted)
	base, user, shard := s.until("base", in(api.Ready)), s.until("user", in(api.Ready)), s.until("shard/0", in(api.Ready))
	require.EqualValues(t, 2, base.Run)
	require.EqualValues(t, 2, user.Run)
	require.True(t, shard.Since.Before(user.Since.Time), "%s is not before %s", shard.Since, user.Since)
	require.True(t, user.Since.Before(base.Since.Time), "%s is not before %s", user.Since, base.Since)
}
