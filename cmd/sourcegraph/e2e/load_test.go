package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// pace is how often each of the two clients of a load searches.
const pace = 100 * time.Millisecond

// load searches at a steady rate, over kept and over new connections, until it is ended.
type load struct {
	end  func() []outcome
	over chan struct{} // one for each search that is over; none waits for it to be read
}

// outcome is one search.
type outcome struct {
	at   time.Time
	took time.Duration
	err  error
}

// under begins a load of 20 searches a second.
func (a *appliance) under(query string, want int) *load { return a.underAt(pace, query, want) }

// underAt begins a load of two searches every so often. Each search is on its own: one that waits holds no other back.
func (a *appliance) underAt(pace time.Duration, query string, want int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var all []outcome
	over := make(chan struct{}, 100_000)
	var wg sync.WaitGroup
	for _, fresh := range []bool{false, true} {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: fresh, MaxIdleConnsPerHost: 100}, Timeout: enough}
		wg.Go(func() {
			var mine sync.WaitGroup
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for ctx.Err() == nil {
				mine.Go(func() {
					o := outcome{at: time.Now()}
					got, err := a.search(context.Background(), client, query)
					o.took, o.err = time.Since(o.at), judge(got, want, err)
					mu.Lock()
					defer mu.Unlock()
					all = append(all, o)
					over <- struct{}{}
				})
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
			mine.Wait()
			client.CloseIdleConnections()
		})
	}
	return &load{over: over, end: func() []outcome {
		cancel()
		wg.Wait()
		return all
	}}
}

// more waits until so many more searches are over.
func (l *load) more(n int) {
	for range n {
		<-l.over
	}
}

// failed gives those that failed.
func failed(all []outcome) (bad []outcome) {
	for _, o := range all {
		if o.err != nil {
			bad = append(bad, o)
		}
	}
	return bad
}

// slowest is the longest that one search took.
func slowest(all []outcome) (worst time.Duration) {
	for _, o := range all {
		worst = max(worst, o.took)
	}
	return worst
}

// describe is a list for people, of at most five.
func describe(bad []outcome) string {
	text := fmt.Sprintf("%d failed", len(bad))
	for _, o := range bad[:min(len(bad), 5)] {
		text += fmt.Sprintf("\n  at %s after %s: %s", o.at.Format("15:04:05.000"), o.took.Round(time.Millisecond), strings.TrimSpace(o.err.Error()))
	}
	return text
}
