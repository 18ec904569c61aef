package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"

	"github.com/sourcegraph/appliance/supervisor/door"
)

// front is our door process, told what to do by the bench in place of stage 1: `run --release none` has no frontend to stand before.
type front struct {
	cmd     *exec.Cmd
	control *door.Control
}

func startDoor(program, listen, backend string) (*front, error) {
	mine, theirs, err := door.NewPair()
	if err != nil {
		return nil, err
	}
	defer mine.Close()
	defer theirs.Close()
	cmd := exec.Command(program, "door")
	cmd.Env = append(os.Environ(), "GOGC=50", "GOMEMLIMIT=64MiB") // as stage 1 gives it
	cmd.ExtraFiles, cmd.Stderr = []*os.File{theirs}, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the front door: %w", err)
	}
	f := &front{cmd: cmd}
	if f.control, err = door.NewControl(mine); err == nil {
		err = f.open(listen, backend)
	}
	if err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

func (f *front) open(listen, backend string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer file.Close()
	return errors.Join(f.control.Push(door.State{Mode: door.Proxy, Backend: backend, Ready: true}),
		f.control.SetListeners([]door.Listener{{Name: "clear", File: file}}))
}

func (f *front) stop() {
	if f.control != nil {
		f.control.Close()
	}
	_ = f.cmd.Process.Kill() // one that is gone is what we want
	_ = f.cmd.Wait()         // killed
}
