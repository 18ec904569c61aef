package supervisor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAStartIsProbedEachSecondAtLeast(t *testing.T) {
	wait := firstProbe
	for range 20 {
		wait = nextStarting(wait, defaultEvery)
	}
	require.Equal(t, time.Second, wait)
	require.Equal(t, 20*time.Millisecond, nextStarting(15*time.Millisecond, 20*time.Millisecond))
}
