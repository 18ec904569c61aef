package gitserver

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A gitserver that dies under a request and comes back is not noticed by the caller.
func TestClientOutlivesARestart(t *testing.T) {
	var asked atomic.Int64
	url := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		_ = json.NewEncoder(w).Encode("abc")
	}))
	c := NewClient(func() []string { return []string{strings.TrimPrefix(url, "http://")} }, nil)
	got, err := c.Resolve(deadline(t), "a/b", "", "")
	require.NoError(t, err)
	require.Equal(t, "abc", got)
	require.EqualValues(t, 2, asked.Load())
}

// One that is away listens again before the caller gives up.
func TestClientWaitsForAListener(t *testing.T) {
	addr := freeAddr(t)
	c := NewClient(func() []string { return []string{addr} }, nil)
	refused := make(chan struct{})
	var once atomic.Bool
	c.http = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil && once.CompareAndSwap(false, true) {
			close(refused)
		}
		return resp, err
	})}
	answered := make(chan error, 1)
	go func() { _, err := c.Status(deadline(t), "a/b"); answered <- err }()
	<-refused
	ln, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close() })
	require.NoError(t, <-answered)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRendezvousMovesOnlyWhatItMust(t *testing.T) {
	three := []string{"a:1", "b:1", "c:1"}
	count := map[string]int{}
	for i := range 3000 {
		key := strings.Repeat("x", i%17) + string(rune('a'+i%26)) + strings.Repeat("y", i/26)
		with := Rendezvous(key, three)
		require.ElementsMatch(t, three, with)
		count[with[0]]++
		if without := Rendezvous(key, three[:2]); with[0] != "c:1" {
			require.Equal(t, with[0], without[0])
		}
	}
	for node, n := range count {
		require.InDelta(t, 1000, n, 200, node)
	}
}
