package services

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReshards(t *testing.T) {
	with := func(gitservers, searchers int) Plan {
		p := Plan{Product: demo}
		for n := range gitservers {
			dir := "/d/shared/repos/" + string(rune('0'+n))
			p.Instances = append(p.Instances, Instance{Service: "gitserver", Number: n, Replicas: gitservers,
				Data: []Data{{Path: dir, Class: DataCache, Identity: "the address"}, {Path: "/d/home", Class: DataState}}})
		}
		for n := range searchers {
			p.Instances = append(p.Instances, Instance{Service: "searcher", Number: n, Replicas: searchers, Data: []Data{{Path: "/d/cache", Class: DataCache}}})
		}
		return p
	}
	require.Empty(t, Reshards(with(1, 1), with(1, 2)), "a cache that belongs to nobody moves nothing")
	require.Equal(t, []Reshard{{Service: "gitserver", From: 1, To: 3, Share: share(demo, "gitserver", 1, 3), Class: DataCache, Dirs: []string{"/d/shared/repos/0"}}}, Reshards(with(1, 1), with(3, 1)))
	lower := Reshards(with(3, 1), with(1, 1))
	require.Len(t, lower, 1)
	require.Equal(t, []string{"/d/shared/repos/1", "/d/shared/repos/2"}, lower[0].Left)
	require.Len(t, lower[0].Dirs, 3)
	require.Empty(t, Reshards(with(3, 1), with(0, 1)), "a service that is no more is another matter")
}

// TestShareIsWhatTheRuleMoves counts it for the rule that Sourcegraph has.
func TestShareIsWhatTheRuleMoves(t *testing.T) {
	for _, n := range [][2]int{{1, 3}, {3, 1}, {3, 2}, {2, 4}, {3, 4}, {6, 4}, {64, 63}} {
		moved, all := 0, n[0]*n[1]*5
		for h := range all {
			if h%n[0] != h%n[1] {
				moved++
			}
		}
		require.InDelta(t, float64(moved)/float64(all), share(sourcegraph, "gitserver", n[0], n[1]), 1e-9, n)
	}
	require.InDelta(t, 0.25, share(demo, "gitserver", 3, 4), 1e-9)
}
