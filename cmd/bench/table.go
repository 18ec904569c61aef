package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// row is one line of the table.
type row struct {
	title  string
	unit   string
	cells  []cell
	target string // in words, with its number where it depends on a peer
	limit  float64
	atMost bool // whether limit bounds from above; 0 limit: nothing to reach
	remark string
}

// cell is the median of one contestant.
type cell struct {
	who   string
	value float64
}

// samples are the measurements of each contestant, in the order they came.
type samples struct {
	names  []string
	values map[string][]float64
}

func newSamples() *samples { return &samples{values: map[string][]float64{}} }

func (s *samples) add(who string, v float64) {
	if !slices.Contains(s.names, who) {
		s.names = append(s.names, who)
	}
	s.values[who] = append(s.values[who], v)
}

// quantile is 0 for who was never measured.
func (s *samples) quantile(who string, q float64) float64 {
	v := slices.Sorted(slices.Values(s.values[who]))
	if len(v) == 0 {
		return 0
	}
	return v[min(len(v)-1, int(q*float64(len(v))))]
}

func (s *samples) median(who string) float64 { return s.quantile(who, 0.5) }

func (s *samples) cells(q float64) []cell {
	var cells []cell
	for _, name := range s.names {
		cells = append(cells, cell{name, s.quantile(name, q)})
	}
	return cells
}

const us = "ours"

func (r row) ours() float64 {
	for _, c := range r.cells {
		if c.who == us {
			return c.value
		}
	}
	return 0
}

func (r row) verdict() string {
	if r.limit == 0 || len(r.cells) == 0 {
		return r.remark
	}
	word := "**missed**"
	if r.atMost == (r.ours() <= r.limit) || r.ours() == r.limit {
		word = "reached"
	}
	if r.remark != "" {
		word += "; " + r.remark
	}
	return word
}

func render(w io.Writer, rows []row) {
	fmt.Fprintln(w, "| figure | ours | beside it (ratio to ours) | to reach | |\n|---|---|---|---|---|")
	for _, r := range rows {
		ours, peers := "–", []string{}
		for _, c := range r.cells {
			if c.who == us {
				ours = short(c.value) + " " + r.unit
				continue
			}
			text := c.who + " " + short(c.value)
			if r.ours() > 0 {
				text += fmt.Sprintf(" (%.2f×)", c.value/r.ours())
			}
			peers = append(peers, text)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", r.title, ours, strings.Join(peers, ", "), r.target, r.verdict())
	}
}

// short keeps three digits.
func short(v float64) string {
	switch {
	case v >= 100 || v == float64(int(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// machine says where the figures were taken.
func machine() string {
	var u unix.Utsname
	_ = unix.Uname(&u) // an empty release is shown as such
	model := "unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("Measured by `make bench` on %d CPUs (%s), Linux %s, %s. dinit and process-compose are not in Debian 12 and are left out.",
		runtime.NumCPU(), model, unix.ByteSliceToString(u.Release[:]), runtime.Version())
}
