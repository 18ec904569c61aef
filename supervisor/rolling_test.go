package supervisor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
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
