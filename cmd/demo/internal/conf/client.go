package conf

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

const (
	answerMax = 1 << 20          // bytes of an answer
	patience  = 15 * time.Second // connection errors are normal for so long after a start, and not logged
	retryMin  = 50 * time.Millisecond
	retryMax  = 2 * time.Second
	pollMax   = 5 * time.Second // polls come 0 to 5 s apart, as Sourcegraph's
)

// Client asks one frontend. Make it with [NewClient].
type Client struct {
	url  string
	http *http.Client
}

// NewClient makes a client for the frontend's internal address, host:port or a URL.
func NewClient(frontendInternal string) *Client {
	base := strings.TrimSuffix(frontendInternal, "/")
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	// No proxy: the frontend is ours, whatever HTTP_PROXY says.
	return &Client{url: base + Path, http: &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}}
}

// Get asks once.
func (c *Client) Get(ctx context.Context) (Config, error) {
	var answer Config
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, nil)
	if err != nil {
		return answer, fmt.Errorf("ask %s for the configuration: %w", c.url, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer, fmt.Errorf("ask for the configuration: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("ask %s for the configuration: %s", c.url, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, answerMax)).Decode(&answer); err != nil {
		return answer, fmt.Errorf("read the configuration from %s: %w", c.url, err)
	}
	return answer, nil
}

// Wait asks until there is an answer, or until ctx ends. It says nothing for the first 15 s, then warns now and then.
func (c *Client) Wait(ctx context.Context, log *slog.Logger) (Config, error) {
	began, delay := time.Now(), retryMin
	for {
		answer, err := c.Get(ctx)
		if err == nil {
			return answer, nil
		}
		if time.Since(began) > patience {
			log.Warn("still waiting for the frontend's configuration", "url", c.url, "error", err)
			began = time.Now()
		}
		if err := sleep(ctx, delay); err != nil {
			return answer, fmt.Errorf("wait for the frontend's configuration: %w", err)
		}
		delay = min(2*delay, retryMax)
	}
}

// WatchDSN polls until ctx ends (nil) or the database address is another than was's (a [*SettingsChanged]). A frontend that does not answer changes nothing.
func (c *Client) WatchDSN(ctx context.Context, was Config) error {
	for sleep(ctx, rand.N(pollMax)) == nil {
		now, err := c.Get(ctx)
		if err == nil && now.PostgresDSN != was.PostgresDSN {
			return &SettingsChanged{Was: Redact(was.PostgresDSN), Now: Redact(now.PostgresDSN)}
		}
	}
	return nil
}

// Wait is [Client.Wait] for the frontend at the given internal address, logging to the default logger.
func Wait(ctx context.Context, frontendInternal string) (Config, error) {
	return NewClient(frontendInternal).Wait(ctx, slog.Default())
}

// WatchDSN is [Client.WatchDSN] for the frontend at the given internal address.
func WatchDSN(ctx context.Context, frontendInternal string, was Config) error {
	return NewClient(frontendInternal).WatchDSN(ctx, was)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
