package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/supervisor/api"
)

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
	for {
		now, err := client.Status(ctx, nil)
		var none *api.NoAppliance
		if gone() || errors.As(err, &none) && st.Appliance.Stage0PID == 0 {
			break
		}
		if err == nil {
			s.say(fmt.Sprintf("stopping, %s: %s", age(time.Since(began)), unsettled(now, affected)))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
	s.hush()
	if s.json {
		return s.document(struct {
			Ended bool `json:"ended"`
		}{true})
	}
	s.print("the appliance has ended\n")
	return nil
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
