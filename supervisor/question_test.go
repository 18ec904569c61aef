package supervisor

import (
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/engine"
)

// TestQuestionsMeetOnCommonTicks: whenever services became ready, those asked as often are asked together, and one that misses
// keeps its whole interval until it is asked again.
func TestQuestionsMeetOnCommonTicks(t *testing.T) {
	p := &services.Probe{TCP: true, Port: "http", Every: 10 * time.Second}
	began := time.Unix(1_000_003, 500)
	early, late := newQuestion(p, began), newQuestion(p, began.Add(4*time.Second))
	require.Equal(t, time.Unix(1_000_010, 0), early.next)
	require.True(t, early.next.Equal(late.next))

	require.False(t, early.answered(nil, early.next.Add(time.Second)))
	require.Equal(t, time.Unix(1_000_020, 0), early.next)
	asked := early.next.Add(2 * time.Second)
	require.False(t, early.answered(errors.New("no"), asked))
	require.Equal(t, asked.Add(10*time.Second), early.next)
	require.False(t, early.answered(errors.New("no"), asked))
	require.True(t, early.answered(errors.New("no"), asked), "the third miss turns")
	require.False(t, early.answered(errors.New("no"), asked), "the fourth is no news")
	require.True(t, early.answered(nil, asked), "good again")
}

func TestQuestionsShareWhatTheyAskAlike(t *testing.T) {
	now := time.Now()
	base := services.Probe{HTTP: "/healthz", Port: "debug", Every: 10 * time.Second, Timeout: time.Second}
	with := func(change func(*services.Probe)) *question {
		p := base
		change(&p)
		return newQuestion(&p, now)
	}
	same := with(func(*services.Probe) {})
	require.True(t, same.sharesWith(with(func(p *services.Probe) { p.Failures = 7 })))
	for name, other := range map[string]*question{
		"path":     with(func(p *services.Probe) { p.HTTP = "/ready" }),
		"port":     with(func(p *services.Probe) { p.Port = "http" }),
		"patience": with(func(p *services.Probe) { p.Timeout = time.Minute }),
		"rhythm":   with(func(p *services.Probe) { p.Every = 13 * time.Second }),
		"none":     nil,
	} {
		require.False(t, same.sharesWith(other), name)
	}
}

// TestReadyAndLiveAskOnce: a service whose readiness and liveness are the same question is asked it once each time, and both hear the answer.
func TestReadyAndLiveAskOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var asked atomic.Int64
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_ = c.Close() // no answer
		}
	}()
	t.Cleanup(func() { _ = ln.Close() })
	p := &services.Probe{HTTP: "/", Port: "http", Every: 20 * time.Millisecond, Timeout: 30 * time.Second, Failures: 1000}
	inst := services.Instance{Service: "a", Replicas: 1, Ready: p, Live: p,
		Addresses: map[string]string{"http": "127.0.0.1:" + strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)}}
	u := &unit{name: "a", inst: inst, news: make(chan struct{})}
	l := newLife(1, inst)
	h := &Host{log: slog.New(slog.DiscardHandler), units: map[string]*unit{"a": u}}
	h.engine = engine.New(h, jitter, nil)
	t.Cleanup(h.engine.Close)

	ended := make(chan struct{})
	go func() { defer close(ended); h.watch(u, l) }()
	require.Eventually(t, func() bool { return asked.Load() >= 5 }, 30*time.Second, time.Millisecond)
	l.cancel()
	<-ended
	counts := u.tally.Counts()
	require.Equal(t, counts.ReadyMisses, counts.LiveMisses)
	require.InDelta(t, asked.Load(), counts.ReadyMisses, 1, "the last question was cut off")
}
