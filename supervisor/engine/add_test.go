package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
)

// TestE54TakenOverInstancesAreSeenAtOnce: a front door that is told of no frontend shows a page instead of passing requests on.
func TestE54TakenOverInstancesAreSeenAtOnce(t *testing.T) {
	e := New(nil, nil, nil)
	e.launch = func(*Engine, *actor, *View) {} // the goroutine does not get to run yet
	insts := []services.Instance{{Service: "frontend", Replicas: 1, Wanted: true}, {Service: "new", Replicas: 1, Wanted: true}}
	require.NoError(t, e.Add(insts, map[string]View{"frontend": {Name: "frontend", State: api.Ready, Run: 3}}))
	v, ok := e.View("frontend")
	require.True(t, ok)
	require.Equal(t, api.Ready, v.State)
	_, ok = e.View("new")
	require.False(t, ok)
}
