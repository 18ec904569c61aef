package services

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// startOrder are the levels of a plan: each level needs only what lies above it.
func startOrder(t *testing.T, plan Plan) [][]string {
	t.Helper()
	var levels [][]string
	started := map[string]bool{}
	for len(started) < len(plan.Instances) {
		var level []string
		for _, inst := range plan.Instances {
			ready := !slices.ContainsFunc(inst.Needs, func(n string) bool { return !started[n] })
			if ready && !started[inst.Name()] {
				level = append(level, inst.Name())
			}
		}
		require.NotEmpty(t, level, "the rest waits for itself")
		for _, name := range level {
			started[name] = true
		}
		levels = append(levels, level)
	}
	return levels
}

// stopOrder are the levels in which a plan stops: each is needed only by what lies above it.
func stopOrder(t *testing.T, plan Plan) [][]string {
	t.Helper()
	var levels [][]string
	stopped := map[string]bool{}
	for len(stopped) < len(plan.Instances) {
		var level []string
		for _, inst := range plan.Instances {
			needed := slices.ContainsFunc(plan.Instances, func(other Instance) bool {
				return !stopped[other.Name()] && slices.Contains(other.Needs, inst.Name())
			})
			if !needed && !stopped[inst.Name()] {
				level = append(level, inst.Name())
			}
		}
		require.NotEmpty(t, level)
		for _, name := range level {
			stopped[name] = true
		}
		levels = append(levels, level)
	}
	return levels
}

// TestStopIsTheReverseOfStart, in sections 5 and 6 of the catalog's words: databases before migrator before frontend before what asks it for its
// configuration, and back.
func TestStopIsTheReverseOfStart(t *testing.T) {
	for _, version := range rosterVersions {
		plan, err := Build(input(t, everythingOn(version)))
		require.NoError(t, err)
		start, stop := levelOf(startOrder(t, plan)), levelOf(stopOrder(t, plan))
		for _, inst := range plan.Instances {
			for _, need := range inst.Needs {
				require.Less(t, start[need], start[inst.Name()], "%s starts after %s in %s", inst.Name(), need, version)
				require.Greater(t, stop[need], stop[inst.Name()], "%s stops before %s in %s", inst.Name(), need, version)
			}
		}
		for _, chain := range [][]string{
			{"postgres", "migrator", "frontend", "gitserver"}, {"postgres", "migrator", "frontend", "worker"}, {"redis-store", "frontend", "precise-code-intel-worker"},
		} {
			for i := range chain[1:] {
				require.Less(t, start[chain[i]], start[chain[i+1]], version)
				require.Greater(t, stop[chain[i]], stop[chain[i+1]], version)
			}
		}
	}
}

func levelOf(levels [][]string) map[string]int {
	out := map[string]int{}
	for i, level := range levels {
		for _, name := range level {
			out[name] = i
		}
	}
	return out
}
