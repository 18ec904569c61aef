package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func topCommand() *cli.Command {
	return &cli.Command{
		Name: "top", Category: "look",
		Usage:       "what each service uses now; q quits, c and m sort by CPU and memory",
		Description: "Off a terminal it prints one picture of one second.",
		Flags:       []cli.Flag{&cli.StringFlag{Name: "sort", Value: "cpu", Usage: "cpu or memory"}},
		Action: func(c *cli.Context) error {
			if by := c.String("sort"); by != "cpu" && by != "memory" {
				return usage("--sort %q is neither cpu nor memory", by)
			}
			client, err := connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			s := screenOf(c)
			if s.json || !isTerminal(s.out) || !term.IsTerminal(int(os.Stdin.Fd())) {
				return s.topOnce(c.Context, client, c.String("sort"))
			}
			return s.topLive(c.Context, client, c.String("sort"))
		},
	}
}

// use is what an instance used between two looks.
type use struct {
	Service     string    `json:"service"`
	State       api.State `json:"state"`
	CPUPercent  float64   `json:"cpu_percent"` // of one CPU
	MemoryBytes int64     `json:"memory_bytes"`
	BudgetBytes int64     `json:"memory_max_bytes"`
	PID         int       `json:"pid"`
}

// uses compares two looks that lie d apart.
func uses(before, now api.Status, d time.Duration, by string) (out []use) {
	for _, svc := range now.Services {
		u := use{Service: instance(svc), State: svc.State, MemoryBytes: svc.MemoryBytes, BudgetBytes: svc.Budget.MemoryMaxBytes, PID: svc.PID}
		if was := find(before, u.Service); was.Run == svc.Run && d > 0 {
			u.CPUPercent = max(0, (svc.CPUSeconds-was.CPUSeconds)/d.Seconds()*100)
		}
		out = append(out, u)
	}
	slices.SortStableFunc(out, func(a, b use) int {
		if more := a.CPUPercent - b.CPUPercent; by == "cpu" && more != 0 {
			return -sign(more)
		}
		return -sign(float64(a.MemoryBytes - b.MemoryBytes))
	})
	return out
}

func sign(x float64) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func (s *screen) topOnce(ctx context.Context, client *api.Client, by string) error {
	before, err := client.Status(ctx, nil)
	if err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(watchEvery):
	}
	now, err := client.Status(ctx, nil)
	if err != nil {
		return err
	}
	list := uses(before, now, time.Since(began), by)
	if s.json {
		return s.document(list)
	}
	s.showUses(list)
	return nil
}

func (s *screen) showUses(list []use) {
	rows := [][]cell{heading("SERVICE", "STATE", "CPU", "MEMORY", "BUDGET", "PID")}
	for _, u := range list {
		row := []cell{{u.Service, ""}, {string(u.State), stateColour(u.State)}, {fmt.Sprintf("%.1f%%", u.CPUPercent), ""}, {size(u.MemoryBytes), ""}, {"", ""}, {"", ""}}
		if u.BudgetBytes > 0 {
			row[4].text = size(u.BudgetBytes)
		}
		if u.PID > 0 {
			row[5].text = fmt.Sprint(u.PID)
		}
		rows = append(rows, row)
	}
	s.table(rows)
}

// topLive shows one picture a second on a screen of its own, until q or Ctrl-C.
func (s *screen) topLive(ctx context.Context, client *api.Client, by string) error {
	stdin := int(os.Stdin.Fd())
	old, err := term.MakeRaw(stdin)
	if err != nil {
		return fmt.Errorf("read single keys from the terminal: %w", err)
	}
	s.print("\x1b[?1049h\x1b[?25l")
	defer func() {
		s.print("\x1b[?25h\x1b[?1049l")
		_ = term.Restore(stdin, old) // nothing else can be done for it
	}()
	keys := readKeys()
	var before api.Status
	var at time.Time
	for {
		now, err := client.Status(ctx, nil)
		if err != nil {
			return err
		}
		s.topPage(uses(before, now, time.Since(at), by), now)
		before, at = now, time.Now()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case key := <-keys:
			switch key {
			case 'q', 'Q', 3, 4, 0: // Ctrl-C, Ctrl-D, end of input
				return nil
			case 'c':
				by = "cpu"
			case 'm':
				by = "memory"
			}
		case <-time.After(watchEvery):
		}
	}
}

func (s *screen) topPage(list []use, st api.Status) {
	page := &bytes.Buffer{}
	view := *s
	view.out = page
	view.print("%s   (q quits, c and m sort)\n\n", headline(st, time.Now()))
	view.showUses(list)
	s.print("\x1b[H\x1b[2J%s", strings.ReplaceAll(page.String(), "\n", "\r\n"))
}

// readKeys reads single keys; 0 is the end of input. Its goroutine ends with the program: a read of a terminal cannot be called off.
func readKeys() <-chan byte {
	keys := make(chan byte)
	go func() {
		key := make([]byte, 1)
		for {
			if n, err := os.Stdin.Read(key); n == 0 || err != nil {
				keys <- 0
				return
			}
			keys <- key[0]
		}
	}()
	return keys
}
