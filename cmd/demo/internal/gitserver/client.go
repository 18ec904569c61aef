package gitserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
)

// Client asks the gitservers. Make it with [NewClient]; it may be used from many goroutines.
type Client struct {
	addrs func() []string
	http  *http.Client
}

// NewClient makes a client of the gitservers that addrs gives, host:port as in SRC_GIT_SERVERS; each repository belongs to one of them ([Rendezvous]).
// hc must not limit the whole request's time, since an update takes as long as the clone does. nil means a client of its own that uses no proxy.
func NewClient(addrs func() []string, hc *http.Client) *Client {
	if hc == nil {
		hc = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	}
	return &Client{addrs: addrs, http: hc}
}

// Update has the owner clone a repository or fetch into its clone, and returns when that is done. It goes on when ctx ends; ask again to join it.
// holder is who fetched it last ([UpdateResult.Shard]), "" if nobody did: a new owner copies its clone, and asks the code host only for what is newer.
func (c *Client) Update(ctx context.Context, repo, cloneURL, holder string) (UpdateResult, error) {
	body, err := json.Marshal(updateRequest{Repo: repo, URL: cloneURL, Holder: holder})
	if err != nil {
		return UpdateResult{}, fmt.Errorf("update %s: %w", repo, err)
	}
	shards, err := c.order(repo)
	if err != nil {
		return UpdateResult{}, err
	}
	result, err := get[UpdateResult](ctx, c, shards[0], request{method: http.MethodPost, path: "/repo-update", repo: repo, body: body})
	result.Shard = shards[0]
	return result, err
}

// Resolve gives the commit that rev names; "" is HEAD. The error is ErrNotCloned, ErrCloneInProgress or ErrRevisionNotFound where it is that.
//
// Only the clone of the holder, who fetched it last, says what a revision is now; the owner's does once the holder has handed it over. Any other clone may be old.
// When the holder is no gitserver any more, the repository counts as not cloned until the owner has fetched it.
func (c *Client) Resolve(ctx context.Context, repo, holder, rev string) (string, error) {
	shards, err := c.order(repo)
	if err != nil {
		return "", err
	}
	switch owner := shards[0]; {
	case holder == "" || holder == owner:
		shards = []string{owner}
	case !slices.Contains(shards, holder):
		return "", &Error{Code: ErrNotCloned, Text: repo + " was held by gitserver " + holder + ", which is no more; it moves to " + owner}
	default:
		shards = []string{holder, owner}
	}
	return first(shards, func(shard string) (string, error) {
		return get[string](ctx, c, shard, request{path: "/resolve", repo: repo, query: url.Values{"rev": {rev}}})
	})
}

// Status says what is known of a repository where it belongs.
func (c *Client) Status(ctx context.Context, repo string) (RepoStatus, error) {
	shards, err := c.order(repo)
	if err != nil {
		return RepoStatus{}, err
	}
	return c.statusAt(ctx, shards[0], repo)
}

func (c *Client) statusAt(ctx context.Context, shard, repo string) (RepoStatus, error) {
	return get[RepoStatus](ctx, c, shard, request{path: "/status", repo: repo})
}

// verifyAt has a gitserver check the whole of its clone, and gives the status of a sound one.
func (c *Client) verifyAt(ctx context.Context, shard, repo string) (RepoStatus, error) {
	return get[RepoStatus](ctx, c, shard, request{method: http.MethodPost, path: "/verify", repo: repo})
}

// Remove takes all clones of a repository away, also those that have moved.
func (c *Client) Remove(ctx context.Context, repo string) error {
	shards, err := c.order(repo)
	for _, shard := range shards {
		_, failed := get[struct{}](ctx, c, shard, request{method: http.MethodPost, path: "/delete", repo: repo})
		err = errors.Join(err, failed)
	}
	return err
}

// ReadDir lists a directory of a commit (a full hash); "" is the root. ErrFileNotFound if there is none.
func (c *Client) ReadDir(ctx context.Context, repo, commit, dir string) ([]Entry, error) {
	resp, err := c.read(ctx, request{path: "/tree", repo: repo, query: url.Values{"commit": {commit}, "path": {dir}}})
	if err != nil {
		return nil, err
	}
	wire, err := decode[[]wireEntry](resp, "/tree", repo)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(wire))
	for i, e := range wire {
		entries[i] = Entry{Name: path.Base(string(e.Path)), Path: string(e.Path), Mode: e.Mode, Type: e.Type, Size: e.Size}
	}
	return entries, nil
}

// ReadFile opens a file of a commit; the caller closes it. ErrFileNotFound for what is no file. The content of a symbolic link is its target.
func (c *Client) ReadFile(ctx context.Context, repo, commit, file string) (io.ReadCloser, int64, error) {
	resp, err := c.read(ctx, request{path: "/file", repo: repo, query: url.Values{"commit": {commit}, "path": {file}}})
	if err != nil {
		return nil, 0, err
	}
	return resp.Body, resp.ContentLength, nil
}

// Archive opens all files of a commit as tar; the caller closes it. A stream that broke off ends with an error that is not io.EOF.
func (c *Client) Archive(ctx context.Context, repo, commit string) (io.ReadCloser, error) {
	resp, err := c.read(ctx, request{path: "/archive", repo: repo, query: url.Values{"commit": {commit}}})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// read asks for something of a commit. A commit is the same wherever it is, so whoever has it may answer: the owner, or another while the repository moves.
func (c *Client) read(ctx context.Context, r request) (*http.Response, error) {
	shards, err := c.order(r.repo)
	if err != nil {
		return nil, err
	}
	return first(shards, func(shard string) (*http.Response, error) { return c.do(ctx, shard, r) })
}

// first asks the shards in turn until one has what is wanted. What none of them has is told as the first one told it.
func first[T any](shards []string, ask func(shard string) (T, error)) (T, error) {
	var none T
	var told error
	for _, shard := range shards {
		value, err := ask(shard)
		if !errors.Is(err, ErrNotCloned) && !errors.Is(err, ErrCloneInProgress) && !errors.Is(err, ErrRevisionNotFound) {
			return value, err
		}
		if told == nil {
			told = err
		}
	}
	return none, told
}

// order gives the gitservers by how much they want a repository: the first one owns it.
func (c *Client) order(repo string) ([]string, error) {
	if err := checkName(repo); err != nil {
		return nil, err // JSON would change what is not UTF-8
	}
	addrs := c.addrs()
	if len(addrs) == 0 {
		return nil, &Error{Code: ErrInternal, Text: "ask gitserver about " + repo + ": there is none", Remedy: "set SRC_GIT_SERVERS"}
	}
	return Rendezvous(repo, addrs), nil
}

// request is one question about one repository. No method means GET.
type request struct {
	method, path, repo string
	query              url.Values
	body               []byte
}

func get[T any](ctx context.Context, c *Client, shard string, r request) (T, error) {
	resp, err := c.do(ctx, shard, r)
	if err != nil {
		var none T
		return none, err
	}
	return decode[T](resp, r.path, r.repo)
}

func decode[T any](resp *http.Response, path, repo string) (T, error) {
	defer resp.Body.Close()
	var value T
	if err := json.NewDecoder(resp.Body).Decode(&value); err != nil {
		return value, fmt.Errorf("read gitserver's answer to %s for %s: %w", path, repo, err)
	}
	return value, nil
}

// do sends one request to one gitserver. Anything but 200 becomes an error.
func (c *Client) do(ctx context.Context, shard string, r request) (*http.Response, error) {
	query := url.Values{"repo": {r.repo}}
	maps.Copy(query, r.query)
	target := url.URL{Scheme: "http", Host: shard, Path: r.path, RawQuery: query.Encode()}
	resp, err := Patient(ctx, c.http, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, r.method, target.String(), bytes.NewReader(r.body))
		if err == nil {
			req.Header.Set(shardHeader, shard)
		}
		return req, err
	})
	if err != nil {
		return nil, fmt.Errorf("ask gitserver %s about %s: %w", shard, r.repo, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readError(resp, shard)
}

func readError(resp *http.Response, shard string) error {
	var e Error
	data, err := io.ReadAll(io.LimitReader(resp.Body, requestMax))
	if err != nil || json.Unmarshal(data, &e) != nil || e.Code == "" {
		return &Error{Code: ErrInternal, Text: fmt.Sprintf("gitserver %s answered %s: %.200q", shard, resp.Status, data)}
	}
	return &e
}
