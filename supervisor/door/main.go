package door

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// onTERM is how a door ends that was sent SIGTERM, or whose supervisors are all gone.
var onTERM = Drain{Deadline: 10 * time.Second}

// Main is the door's process; it returns the exit code. control is the door's end of [NewPair]; log gets lines for people.
//
// It ends, with 0, after a Drain message, SIGTERM, or when no process holds the other end of control any more. SIGHUP and SIGINT are for the supervisor: ignored.
func Main(control *os.File, log io.Writer) int {
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT)
	return run(control, log, terms)
}

func run(control *os.File, log io.Writer, terms <-chan os.Signal) int {
	d := newDoor(log)
	conn, err := packetConn(control)
	if err != nil {
		d.log.Print(err)
		return 1
	}
	defer conn.Close()
	ctx, end := context.WithCancel(context.Background())
	defer end()
	how := onTERM
	var once sync.Once
	finish := func(h Drain) { once.Do(func() { how = h; end() }) }
	go func() {
		select {
		case <-terms:
			finish(onTERM)
		case <-ctx.Done():
		}
	}()
	go d.obey(conn, finish)
	d.serve(ctx, func() Drain { return how })
	return 0
}

// restAfter is how long no new state has come when what the states took goes back to the kernel, a start's above all.
const restAfter = 2 * time.Second

// rest is for a door that nobody uses; one in use takes what it gives back at once.
func (d *door) rest() {
	if d.open.count() == 0 {
		debug.FreeOSMemory()
	}
}

// obey does what stage 1 says, until the socket ends.
func (d *door) obey(conn *net.UnixConn, finish func(Drain)) {
	buf := make([]byte, maxMessage)
	rest := time.AfterFunc(restAfter, d.rest)
	defer rest.Stop()
	for {
		m, files, err := receive(conn, buf)
		if errors.Is(err, errMessage) {
			d.log.Print(err)
			continue
		}
		if err != nil {
			finish(onTERM)
			return
		}
		d.hear()
		switch {
		case m.State != nil:
			if err := d.apply(*m.State); err != nil {
				d.log.Printf("state refused, the previous one stays: %v", err)
			}
			rest.Reset(restAfter)
		case m.Set && !d.draining.Load():
			d.listen(m.Listeners, files)
		case m.Ask != "":
			d.reply(conn, m.Ask)
		case m.Drain != nil:
			finish(*m.Drain)
		default:
			for _, f := range files {
				f.Close()
			}
		}
	}
}

// reply never waits long for a stage 1 that does not read.
func (d *door) reply(conn *net.UnixConn, name string) {
	s := d.readStats()
	b, err := message{Ask: name, Stats: &s}.encode()
	if err != nil {
		d.log.Print(err)
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write(b)
}
