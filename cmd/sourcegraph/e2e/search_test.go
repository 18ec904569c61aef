package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFirstSearch is what a new user does: start, make the administrator, add repositories, search, and count.
func TestFirstSearch(t *testing.T) {
	t.Parallel()
	a, needles := stocked(t)
	require.Equal(t, "root", a.whoami())
	require.NoError(t, a.finds("needle count:all repo:one$", needles-4))
	require.NoError(t, a.finds("needle count:all repo:two$", 4), "a binary file is not searched")
	require.NoError(t, a.finds("NEEDLE case:yes count:all", 1))
	require.NoError(t, a.finds("no such text anywhere", 0))
	require.Equal(t, 0, a.stop(), a.out)
}
