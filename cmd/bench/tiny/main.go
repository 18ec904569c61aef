package main

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	name, socket := os.Args[1], os.Args[2]
	say := func(kind string) {
		send(socket, name+" "+strconv.Itoa(os.Getpid())+" "+kind+" "+strconv.FormatInt(now(), 10))
	}
	options := map[string]string{}
	for _, arg := range os.Args[3:] {
		key, value, _ := strings.Cut(arg, "=")
		options[key] = value
	}
	if options["role"] == "parent" {
		parent(number(options["orphans"]), options["fifo"], options["pids"])
		return
	}
	say("start")
	if d, err := time.ParseDuration(options["stop"]); err == nil {
		go endAfter(d, say)
	}
	if options["ready"] == "notify" {
		send(os.Getenv("NOTIFY_SOCKET"), "READY=1")
	}
	switch {
	case options["http"] != "":
		answer(number(options["http"]))
	case options["lines"] != "":
		write(number(options["lines"]), number(options["rate"]))
		say("done")
	case options["orphans"] != "":
		makeOrphans()
		say("ready")
	}
	for {
		_ = unix.Pause() // a signal that does not end us
	}
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // 0 for what is not said
	return n
}

// now is CLOCK_MONOTONIC in nanoseconds.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		fail(err)
	}
	return t.Nano()
}

func send(socket, text string) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Sendto(fd, []byte(text), 0, &unix.SockaddrUnix{Name: socket})
		unix.Close(fd)
	}
	if err != nil {
		fail(err)
	}
}

// endAfter is a service that takes d to stop.
func endAfter(d time.Duration, say func(string)) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	<-term
	time.Sleep(d)
	say("end")
	os.Exit(0)
}

func fail(err error) {
	os.Stderr.WriteString("tiny: " + err.Error() + "\n")
	os.Exit(1)
}
