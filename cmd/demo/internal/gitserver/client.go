package gitserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
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

// Update clones a repository or fetches into its clone, and returns when that is done. It goes on when ctx ends; ask again to join it.
func (c *Client) Update(ctx context.Context, repo, cloneURL string) (UpdateResult, error) {
	body, err := json.Marshal(updateRequest{Repo: repo, URL: cloneURL})
	if err != nil {
		return UpdateResult{}, fmt.Errorf("update %s: %w", repo, err)
	}
	return get[UpdateResult](ctx, c, http.MethodPost, "/repo-update", repo, nil, body)
}

// Resolve gives the commit that rev names; "" is HEAD. The error is ErrNotCloned, ErrCloneInProgress or ErrRevisionNotFound where it is that.
func (c *Client) Resolve(ctx context.Context, repo, rev string) (string, error) {
	return get[string](ctx, c, http.MethodGet, "/resolve", repo, url.Values{"rev": {rev}}, nil)
}

// Status says what is known of a repository.
func (c *Client) Status(ctx context.Context, repo string) (RepoStatus, error) {
	return get[RepoStatus](ctx, c, http.MethodGet, "/status", repo, nil, nil)
}

// Remove takes a clone away, if there is one.
func (c *Client) Remove(ctx context.Context, repo string) error {
	_, err := get[struct{}](ctx, c, http.MethodPost, "/delete", repo, nil, nil)
	return err
}

// ReadDir lists a directory of a commit (a full hash); "" is the root. ErrFileNotFound if there is none.
func (c *Client) ReadDir(ctx context.Context, repo, commit, dir string) ([]Entry, error) {
	wire, err := get[[]wireEntry](ctx, c, http.MethodGet, "/tree", repo, url.Values{"commit": {commit}, "path": {dir}}, nil)
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
	resp, err := c.do(ctx, http.MethodGet, "/file", repo, url.Values{"commit": {commit}, "path": {file}}, nil)
	if err != nil {
		return nil, 0, err
	}
	return resp.Body, resp.ContentLength, nil
}

// Archive opens all files of a commit as tar; the caller closes it. A stream that broke off ends with an error that is not io.EOF.
func (c *Client) Archive(ctx context.Context, repo, commit string) (io.ReadCloser, error) {
	resp, err := c.do(ctx, http.MethodGet, "/archive", repo, url.Values{"commit": {commit}}, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func get[T any](ctx context.Context, c *Client, method, path, repo string, query url.Values, body []byte) (T, error) {
	var value T
	resp, err := c.do(ctx, method, path, repo, query, body)
	if err != nil {
		return value, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&value); err != nil {
		return value, fmt.Errorf("read gitserver's answer to %s for %s: %w", path, repo, err)
	}
	return value, nil
}

// do sends one request to the repository's gitserver. Anything but 200 becomes an error.
func (c *Client) do(ctx context.Context, method, path, repo string, query url.Values, body []byte) (*http.Response, error) {
	if err := checkName(repo); err != nil {
		return nil, err // JSON would change what is not UTF-8
	}
	addrs := c.addrs()
	if len(addrs) == 0 {
		return nil, &Error{Code: ErrInternal, Text: "ask gitserver about " + repo + ": there is none", Remedy: "set SRC_GIT_SERVERS"}
	}
	shard := Rendezvous(repo, addrs)[0]
	if query == nil {
		query = url.Values{}
	}
	query.Set("repo", repo)
	target := url.URL{Scheme: "http", Host: shard, Path: path, RawQuery: query.Encode()}
	resp, err := Patient(ctx, c.http, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
		if err == nil {
			req.Header.Set(shardHeader, shard)
		}
		return req, err
	})
	if err != nil {
		return nil, fmt.Errorf("ask gitserver %s about %s: %w", shard, repo, err)
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
