package main

import (
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// stamp is what a tiny service said, and when, on CLOCK_MONOTONIC.
type stamp struct {
	name, kind string
	pid        int
	at         int64 // nanoseconds
}

// stamps receives what services say.
type stamps struct {
	path string
	conn *net.UnixConn
	ch   chan stamp
}

func listenStamps(path string) (*stamps, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o777); err != nil {
		conn.Close()
		return nil, err
	}
	s := &stamps{path: path, conn: conn, ch: make(chan stamp, 4096)}
	go s.receive()
	return s, nil
}

func (s *stamps) receive() {
	defer close(s.ch)
	buf := make([]byte, 512)
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			return
		}
		var st stamp
		if _, err := fmt.Sscan(string(buf[:n]), &st.name, &st.pid, &st.kind, &st.at); err == nil {
			s.ch <- st
		}
	}
}

func (s *stamps) close() { s.conn.Close() }

// drain forgets what came before.
func (s *stamps) drain() {
	for {
		select {
		case <-s.ch:
		default:
			return
		}
	}
}

// collect waits until n different services said kind, and returns what each said last.
func (s *stamps) collect(kind string, n int) (map[string]stamp, error) {
	got := map[string]stamp{}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for len(got) < n {
		select {
		case st := <-s.ch:
			if st.kind == kind {
				got[st.name] = st
			}
		case <-timer.C:
			return nil, fmt.Errorf("%d of %d services said %q within %s", len(got), n, kind, patience)
		}
	}
	return got, nil
}

// next waits for one service to say kind.
func (s *stamps) next(name, kind string) (stamp, error) { return s.within(patience, name, kind) }

func (s *stamps) within(patience time.Duration, name, kind string) (stamp, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case st := <-s.ch:
			if st.name == name && st.kind == kind {
				return st, nil
			}
		case <-timer.C:
			return stamp{}, fmt.Errorf("%s did not say %q within %s", name, kind, patience)
		}
	}
}

// latest is the last of them.
func latest(m map[string]stamp) (at int64) {
	for _, st := range m {
		at = max(at, st.at)
	}
	return at
}

// now is CLOCK_MONOTONIC in nanoseconds.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // a kernel without a clock
	}
	return t.Nano()
}

func ms(ns int64) float64 { return float64(ns) / 1e6 }
