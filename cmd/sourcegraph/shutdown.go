package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// shutdownEvery is how often a shutdown is looked at: what was killed last can be seen for some milliseconds only.
const shutdownEvery = 20 * time.Millisecond

func shutdownCommand() *cli.Command {
	return &cli.Command{
		Name: "shutdown", Category: "change",
		Usage: "stop everything in order and end the appliance; waits for the end",
		Flags: []cli.Flag{dryRunFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("shutdown takes no argument, and was given %q; one service stops with: sourcegraph stop %s", c.Args().First(), c.Args().First())
			}
			client, err := connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			s := screenOf(c)
			st, err := client.Status(c.Context, nil)
			if err != nil {
				return err
			}
			if c.Bool("dry-run") {
				return s.plan(verb{past: "stopped", downtime: true}, st, withDependents(st, nil))
			}
			return s.shutdown(c.Context, client, st)
		},
	}
}

// shutdown orders the end and waits for it: until stage 0 is gone, or, where its process cannot be seen, until nobody answers.
func (s *screen) shutdown(ctx context.Context, client *api.Client, st api.Status) error {
	gone := processGone(st.Appliance.Stage0PID)
	if err := client.Shutdown(ctx); err != nil {
		return err
	}
	affected, began := withDependents(st, nil), time.Now()
	killed := map[string]bool{}
	for {
		now, err := client.Status(ctx, nil)
		var none *api.NoAppliance
		if gone() || errors.As(err, &none) && st.Appliance.Stage0PID == 0 {
			break
		}
		for _, svc := range now.Services {
			if wasKilled(svc, began) {
				killed[instance(svc)] = true
			}
		}
		if err == nil {
			s.say(fmt.Sprintf("stopping, %s: %s", age(time.Since(began)), unsettled(now, affected)))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(shutdownEvery):
		}
	}
	s.hush()
	return s.showEnd(sortedKeys(killed))
}

func (s *screen) showEnd(killed []string) error {
	if s.json {
		if err := s.document(struct {
			Ended  bool     `json:"ended"`
			Killed []string `json:"killed"`
		}{true, killed}); err != nil {
			return err
		}
	} else {
		s.print("the appliance has ended\n")
	}
	if len(killed) > 0 {
		s.warn("had to be killed: %s", strings.Join(killed, ", "))
		return exitWith(exitNotRight)
	}
	return nil
}

// wasKilled says whether a service had to be killed by a stop since then.
func wasKilled(svc api.Service, since time.Time) bool {
	x := svc.LastExit
	return x != nil && x.Cause == api.CauseStopped && x.Signal == "KILL" && x.At.After(since.Add(-time.Second))
}

// processGone says whether a process has ended since now. A pidfd does not mistake another for it; pid 1 of our own container ends us, too.
func processGone(pid int) func() bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return func() bool { return unix.Kill(pid, 0) == unix.ESRCH }
	}
	return func() bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n == 1
	}
}
