package searcher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
)

// Client asks the searchers. Make it with [NewClient]; it may be used from many goroutines.
type Client struct {
	urls func() []string
	http *http.Client
}

// NewClient makes a client of the searchers that urls gives, as in SEARCHER_URL. Each commit belongs to one of them, whose cache has it then; while that one
// is away, the next one does its work.
// hc must not limit the whole request's time. nil means a client of its own that uses no proxy.
func NewClient(urls func() []string, hc *http.Client) *Client {
	if hc == nil {
		hc = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	}
	return &Client{urls: urls, http: hc}
}

// Search calls emit for each file with a match, in the order of paths, as they are found. It ends when all are told, when ctx ends, or with emit's error.
//
// The error is ErrBadPattern or ErrBadRequest, or gitserver's ErrNotCloned, ErrCloneInProgress or ErrRevisionNotFound, where it is that.
func (c *Client) Search(ctx context.Context, req Request, emit func(FileMatch) error) (Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // cuts the connection, so that the searcher stops
	body, err := json.Marshal(req)
	if err != nil {
		return Summary{}, fmt.Errorf("search %s: %w", req.Repo, err)
	}
	resp, err := c.send(ctx, req, body)
	if err != nil {
		return Summary{}, err
	}
	defer resp.Body.Close()
	for events := json.NewDecoder(resp.Body); ; {
		var e event
		if err := events.Decode(&e); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return Summary{}, fmt.Errorf("search %s: read the searcher's answer: %w", req.Repo, errors.Join(err, ctx.Err()))
		}
		switch {
		case e.Failed != nil:
			return Summary{}, e.Failed.err()
		case e.Done != nil:
			return *e.Done, nil
		case e.Match != nil:
			if err := emit(FileMatch{Path: string(e.Match.Path), Lines: e.Match.Lines}); err != nil {
				return Summary{}, err
			}
		}
	}
}

func (c *Client) send(ctx context.Context, req Request, body []byte) (*http.Response, error) {
	urls := c.urls()
	if len(urls) == 0 {
		return nil, &Error{Code: ErrInternal, Text: "search " + req.Repo + ": there is no searcher", Remedy: "set SEARCHER_URL"}
	}
	order := gitserver.Rendezvous(req.Repo+"@"+req.Commit, urls)
	try := 0
	resp, err := gitserver.Patient(ctx, c.http, func() (*http.Request, error) {
		target := strings.TrimSuffix(order[try%len(order)], "/") + "/search"
		try++
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
		if err == nil {
			r.Header.Set("Content-Type", "application/json")
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", req.Repo, err)
	}
	return resp, nil
}
