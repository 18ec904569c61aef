package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxStreamLine is the longest line of a stream, in bytes: a log line of 64 KiB in which each byte is escaped.
const maxStreamLine = 1 << 20

// Events reads the history. Following, it ends with an error when the supervisor goes away.
func (c *Client) Events(ctx context.Context, q EventQuery) iter.Seq2[Event, error] {
	v := spanValues(q.Services, q.Since, q.Until, q.Limit, q.Follow)
	return read[Event](ctx, c, "events", v)
}

// Logs reads log lines. Following, it ends with an error when the supervisor goes away.
func (c *Client) Logs(ctx context.Context, q LogQuery) iter.Seq2[LogLine, error] {
	v := spanValues(q.Services, q.Since, q.Until, q.Limit, q.Follow)
	if q.Grep != "" {
		v.Set("grep", q.Grep)
	}
	if q.Level != "" {
		v.Set("level", q.Level)
	}
	return read[LogLine](ctx, c, "logs", v)
}

func spanValues(services []string, since, until time.Time, limit int, follow bool) url.Values {
	v := named(services)
	if !since.IsZero() {
		v.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	if !until.IsZero() {
		v.Set("until", until.UTC().Format(time.RFC3339Nano))
	}
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	if follow {
		v.Set("follow", "true")
	}
	return v
}

// read reads a stream of JSON objects, one a line.
func read[T any](ctx context.Context, c *Client, verb string, q url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		ctx, cancel := context.WithCancel(ctx) // who stops reading ends the stream
		defer cancel()
		resp, err := c.send(ctx, http.MethodGet, verb, q)
		if err != nil {
			yield(none, err)
			return
		}
		defer func() { _ = resp.Body.Close() }() // it was read, or is given up
		in := bufio.NewScanner(resp.Body)
		in.Buffer(make([]byte, 0, 64<<10), maxStreamLine)
		for in.Scan() {
			var value T
			if err := json.Unmarshal(in.Bytes(), &value); err != nil {
				yield(none, fmt.Errorf("read %s: %w", verb, err))
				return
			}
			if !yield(value, nil) {
				return
			}
		}
		if err := c.streamEnd(ctx, verb, in.Err(), resp, q.Get("follow") != ""); err != nil {
			yield(none, err)
		}
	}
}

// streamEnd tells the end of a stream from its breaking.
func (c *Client) streamEnd(ctx context.Context, verb string, err error, resp *http.Response, follow bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if text := resp.Trailer.Get(errorTrailer); text != "" {
		e := &Error{}
		if err := json.Unmarshal([]byte(text), e); err != nil {
			return fmt.Errorf("read the end of %s: %w", verb, err)
		}
		return e
	}
	if err == nil && follow {
		err = io.ErrUnexpectedEOF // a follower is never finished
	}
	if err != nil {
		return c.broken(verb, err)
	}
	return nil
}
