package cgroup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Pids are the live processes of the group; a zombie is none.
func (g *Group) Pids() ([]int, error) {
	at := g.at()
	if len(at) == 0 {
		return nil, NotContained(g.name)
	}
	return members(at[0].dir)
}

// Populated says whether any process of the group lives. A group that is gone has none.
func (g *Group) Populated() (bool, error) {
	p, ok := g.unified()
	if !ok {
		found, err := g.Pids()
		return len(found) > 0, err
	}
	n, err := field(p.dir, "cgroup.events", "populated")
	if gone(err) {
		return false, nil
	}
	return n > 0, err
}

// WaitEmpty returns when the last process of the group is gone, or with the context's error. In cgroup2 the kernel tells
// (no thread waits meanwhile); on v1 we look after 1 ms, then ever less often, at last every 50 ms.
func (g *Group) WaitEmpty(ctx context.Context) error {
	if p, ok := g.unified(); ok {
		if err := waitEvent(ctx, filepath.Join(p.dir, "cgroup.events")); !errors.Is(err, os.ErrNoDeadline) {
			return err
		}
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if populated, err := g.Populated(); err != nil || !populated {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// waitEvent lets the run time's poller watch cgroup.events: the kernel wakes pollers of the file at each change, and the poller,
// being edge-triggered, takes each as "readable". The error is [os.ErrNoDeadline] if the file cannot be polled.
func waitEvent(ctx context.Context, path string) error {
	fd, err := open(path, unix.O_RDONLY|unix.O_NONBLOCK)
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wait for an empty cgroup: open %s: %w", path, err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	if err := file.SetReadDeadline(time.Time{}); err != nil {
		return os.ErrNoDeadline
	}
	stop := context.AfterFunc(ctx, func() { file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	return readUntilEmpty(ctx, file)
}

func readUntilEmpty(ctx context.Context, file *os.File) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = conn.Read(func(fd uintptr) bool {
		var events [256]byte
		n, err := unix.Pread(int(fd), events[:], 0)
		if gone(err) {
			return true
		}
		if err != nil && err != unix.EINTR {
			failure = fmt.Errorf("read %s: %w", file.Name(), err)
			return true
		}
		return err == nil && bytes.Contains(events[:n], []byte("populated 0"))
	})
	if ctx.Err() != nil && err != nil {
		return ctx.Err()
	}
	return errors.Join(failure, err)
}
