package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func collect(t *testing.T, c *Client, q EventQuery) (out []Event, err error) {
	t.Helper()
	for e, err := range c.Events(t.Context(), q) {
		if err != nil {
			return out, err
		}
		out = append(out, e)
	}
	return out, nil
}

func TestStreamsCarryLinesQueriesAndTheirEnd(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	f := &fake{events: []Event{{Seq: 1, Kind: "state"}, {Seq: 2, Kind: "exit"}}, logs: []LogLine{{At: Time{at}, Service: "gitserver/1", Text: "a\x1b\nb"}}}
	c := Dial(serve(t, f), "")
	defer c.Close()
	events, err := collect(t, c, EventQuery{})
	require.NoError(t, err)
	require.Equal(t, f.events, events)

	q := LogQuery{Services: []string{"gitserver"}, Since: at, Until: at.Add(time.Hour), Grep: "a+&b", Level: "warn", Limit: 7}
	var lines []LogLine
	for l, err := range c.Logs(t.Context(), q) {
		require.NoError(t, err)
		lines = append(lines, l)
	}
	require.Equal(t, f.logs, lines)
	require.Equal(t, q, f.logQuery)

	f.events = nil
	events, err = collect(t, c, EventQuery{})
	require.NoError(t, err, "no event is no fault")
	require.Empty(t, events)
}

func TestStreamFaults(t *testing.T) {
	f := &fake{breaks: &Error{Code: 2, Message: "no such service"}}
	c := Dial(serve(t, f), "")
	defer c.Close()
	_, err := collect(t, c, EventQuery{})
	require.Equal(t, f.breaks, err, "as the whole answer")
	f.events = []Event{{Seq: 1}}
	got, err := collect(t, c, EventQuery{})
	require.Len(t, got, 1)
	require.Equal(t, f.breaks, err, "after a line")
	for key, value := range map[string]string{"since": "yesterday", "limit": "-1", "follow": "maybe"} {
		_, err := c.send(t.Context(), http.MethodGet, "logs", url.Values{key: {value}})
		require.Equal(t, 2, AsError(err).Code, key)
	}
}

func TestFollowersEndWithTheSupervisor(t *testing.T) {
	f := &fake{events: []Event{{Seq: 1}}}
	l, err := Listen(filepath.Join(t.TempDir(), "admin.sock"))
	require.NoError(t, err)
	end := serveOn(t, l, f)
	c := Dial(l.Addr().String(), "")
	defer c.Close()
	var seen []uint64
	var last error
	for e, err := range c.Events(t.Context(), EventQuery{Follow: true}) {
		if last = err; err == nil {
			seen = append(seen, e.Seq) // it came although the stream goes on
			require.NoError(t, end())
		}
	}
	require.Equal(t, []uint64{1}, seen)
	var broken *Broken
	require.ErrorAs(t, last, &broken)
}

func TestFollowerThatStopsReadingFreesItsPlace(t *testing.T) {
	f := &fake{events: []Event{{Seq: 1}}}
	c := Dial(serve(t, f), "")
	defer c.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	defer cancel(stop)
	for _, err := range c.Events(ctx, EventQuery{Follow: true}) {
		if err != nil {
			require.ErrorIs(t, err, stop)
			break
		}
		cancel(stop)
	}
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}

func TestE50SlowFollowerHoldsNobodyUp(t *testing.T) {
	f := &fake{endless: true}
	path := serve(t, f)
	slow := make([]net.Conn, 0, maxStreams-1)
	for range maxStreams - 1 { // they ask, and never read
		conn, err := net.Dial("unix", path)
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		_, err = conn.Write([]byte("GET /v1/events?follow=true HTTP/1.1\r\nHost: appliance\r\n\r\n"))
		require.NoError(t, err)
		slow = append(slow, conn)
	}
	c := Dial(path, "")
	defer c.Close()
	_, err := c.Status(t.Context(), nil)
	require.NoError(t, err, "the API answers")
	n := 0
	for _, err := range c.Events(t.Context(), EventQuery{Follow: true}) {
		require.NoError(t, err)
		if n++; n == 10 {
			break // another follower gets its events
		}
	}
	require.Equal(t, 10, n)
	require.Len(t, slow, maxStreams-1)
}
