package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
)

const (
	lineBytes  = 120
	floodLines = 2_500_000 // 300 MB
	keepAll    = 1000      // rotated files: nothing may go before it is counted
)

// throughputFigure has one service print as fast as it is read, then a slower one over kills of stage 1.
func throughputFigure(b *bench) ([]row, error) {
	s, lost := newSamples(), 0
	flood := service{name: "flood", args: []string{"lines=" + strconv.Itoa(floodLines)}, keep: keepAll}
	for range b.rounds {
		took, missing, err := b.floodOurs(flood)
		if err != nil {
			return nil, err
		}
		lost += missing
		s.add(us, mbPerSecond(took))
		for _, p := range []struct {
			name string
			argv func(dir string) []string
		}{
			{"s6-log", func(dir string) []string {
				return []string{"s6-log", "t", "s16000000", "n1000", filepath.Join(dir, "log")}
			}},
			{"plain copy", func(dir string) []string { return []string{"sh", "-c", "exec cat >copied"} }},
		} {
			took, err := b.floodPeer(p.name, flood, p.argv)
			if err != nil {
				return nil, err
			}
			s.add(p.name, mbPerSecond(took))
		}
	}
	kills, err := b.killsWhileLogging(20)
	rows := []row{
		{title: "one service's 120-byte lines to rotated logs", unit: "MB/s", cells: s.cells(0.5), limit: 3 * s.median("s6-log"),
			target: "≥ 3 × s6-log = " + short(3*s.median("s6-log")), remark: fmt.Sprintf("%d lines lost of %d", lost, b.rounds*floodLines)},
	}
	if err != nil {
		return rows, err
	}
	return append(rows, kills), nil
}

func mbPerSecond(ns int64) float64 { return float64(floodLines*lineBytes) / 1e6 / (float64(ns) / 1e9) }

func (b *bench) floodOurs(s service) (took int64, lost int, err error) {
	dir, err := b.place(us)
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	argv, err := setUpOurs(b, dir, []service{s})
	if err != nil {
		return 0, 0, err
	}
	r, got, err := b.up(ours(), dir, argv, 1)
	if err != nil {
		return 0, 0, err
	}
	done, err := b.stamps.next(s.name, "done")
	r.stop() // drains
	if err != nil {
		return 0, 0, err
	}
	found, err := countLines(dir, s.name)
	return done.at - got[s.name].at, floodLines - len(found), err
}

// floodPeer pipes the same service into another logger.
func (b *bench) floodPeer(name string, s service, argv func(dir string) []string) (int64, error) {
	dir, err := b.place(strings.ReplaceAll(name, " ", "-"))
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	read, write, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	words, own := argv(dir), b.argv(s)
	logger, writer := exec.Command(words[0], words[1:]...), exec.Command(own[0], own[1:]...)
	logger.Dir, logger.Stdin, writer.Stdout = dir, read, write
	b.stamps.drain()
	err = logger.Start()
	read.Close()
	if err != nil {
		write.Close()
		return 0, err
	}
	err = writer.Start()
	write.Close()
	if err != nil {
		return 0, err
	}
	began, err := b.stamps.next(s.name, "start")
	if err != nil {
		return 0, err
	}
	done, err := b.stamps.next(s.name, "done")
	_ = writer.Process.Kill()
	_ = writer.Wait() // killed
	_ = logger.Wait() // its input ended
	return done.at - began.at, err
}

// killsWhileLogging counts what survives while stage 1 is killed again and again. Lives that short make stage 0 wait up to 10 s before
// the next, so that the writer stands still, then floods: it must go on for about 150 s.
func (b *bench) killsWhileLogging(kills int) (row, error) {
	const rate, lines = 20_000, 3_600_000
	s := service{name: "steady", args: []string{"lines=" + strconv.Itoa(lines), "rate=" + strconv.Itoa(rate)}, keep: keepAll}
	dir, err := b.place(us)
	if err != nil {
		return row{}, err
	}
	defer os.RemoveAll(dir)
	argv, err := setUpOurs(b, dir, []service{s})
	if err != nil {
		return row{}, err
	}
	r, _, err := b.up(ours(), dir, argv, 1)
	if err != nil {
		return row{}, err
	}
	for range kills {
		pid := 0
		if err := until("a stage 1", 10*time.Millisecond, func() bool { pid, err = r.role("supervise"); return err == nil }); err != nil {
			r.stop()
			return row{}, err
		}
		time.Sleep(200 * time.Millisecond) // it reads what has gathered
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_, err = b.stamps.within(patience+lines/rate*time.Second, s.name, "done") // the kills may be over before most lines are written
	r.stop()
	if err != nil {
		return row{}, err
	}
	found, err := countLines(dir, s.name)
	if err != nil {
		return row{}, err
	}
	return row{title: fmt.Sprintf("lines lost of %d over %d kills of stage 1", lines, kills), unit: "lines", cells: []cell{{us, float64(lines - len(found))}},
		atMost: true, limit: 0.5, target: "0"}, nil
}

// countLines are the different numbers of a service's lines, from all of its files.
func countLines(dir, name string) (map[int]struct{}, error) {
	found := map[int]struct{}{}
	files, err := filepath.Glob(filepath.Join(dir, "data", "logs", name+"@*", "*"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		files, err = filepath.Glob(filepath.Join(dir, "data", "logs", name, "*"))
	}
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := countFile(file, found); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return found, nil
}

func countFile(file string, found map[int]struct{}) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var in io.Reader = f
	switch {
	case strings.HasSuffix(file, ".zst"):
		z, err := zstd.NewReader(f)
		if err != nil {
			return err
		}
		defer z.Close()
		in = z
	case !strings.HasSuffix(file, ".log") && filepath.Base(file) != "current":
		return nil
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "line "); ok {
			number, _, _ := strings.Cut(rest, " ")
			if n, err := strconv.Atoi(number); err == nil {
				found[n] = struct{}{}
			}
		}
	}
	return lines.Err()
}

// logsFigure is the CPU that 30 modest writers cost their loggers.
func logsFigure(b *bench) ([]row, error) {
	const rate, seconds = 1000, 10
	s, lost := newSamples(), 0
	services := independent(30, "lines="+strconv.Itoa(rate*seconds), "rate="+strconv.Itoa(rate))
	for range min(b.rounds, 3) {
		used, missing, err := b.modestOurs(services, rate*seconds)
		if err != nil {
			return nil, err
		}
		lost += missing
		s.add(us, 100*used.Seconds()/seconds)
		if used, err = b.modestS6(services); err != nil {
			return nil, err
		}
		s.add("s6-log", 100*used.Seconds()/seconds)
	}
	return []row{{title: "30 services × 1000 lines/s, the loggers' CPU", unit: "% of one", cells: s.cells(0.5), atMost: true, limit: s.median("s6-log"), target: "≤ s6-log",
		remark: fmt.Sprintf("%d lines lost of %d", lost, 30*rate*seconds*min(b.rounds, 3))}}, nil
}

func (b *bench) modestOurs(services []service, each int) (used time.Duration, lost int, err error) {
	p, err := b.place(us)
	if err != nil {
		return 0, 0, err
	}
	argv, err := setUpOurs(b, p, services)
	if err != nil {
		return 0, 0, err
	}
	r, _, err := b.up(ours(), p, argv, len(services))
	if err != nil {
		return 0, 0, err
	}
	var pid int
	var before, after time.Duration
	if pid, err = r.role("supervise"); err == nil {
		if before, err = cpu(pid); err == nil {
			if _, err = b.stamps.collect("done", len(services)); err == nil {
				after, err = cpu(pid)
			}
		}
	}
	r.stop()
	if err != nil {
		return 0, 0, err
	}
	for _, s := range services {
		found, err := countLines(p, s.name)
		if err != nil {
			return 0, 0, err
		}
		lost += each - len(found)
	}
	return after - before, lost, nil
}

// modestS6 is one s6-log for each service.
func (b *bench) modestS6(services []service) (time.Duration, error) {
	dir, err := b.place("s6-log")
	if err != nil {
		return 0, err
	}
	b.stamps.drain()
	var pids []int
	var all []*exec.Cmd
	defer func() {
		for i := len(all) - 1; i >= 0; i-- { // writers and their loggers
			_ = all[i].Process.Kill()
			_ = all[i].Wait()
		}
	}()
	for _, s := range services {
		read, write, err := os.Pipe()
		if err != nil {
			return 0, err
		}
		logger := exec.Command("s6-log", "t", "s16000000", "n10", filepath.Join(dir, s.name))
		logger.Stdin = read
		own := b.argv(s)
		writer := exec.Command(own[0], own[1:]...)
		writer.Stdout = write
		err = logger.Start()
		read.Close()
		if err == nil {
			all = append(all, logger)
			pids = append(pids, logger.Process.Pid)
			if err = writer.Start(); err == nil {
				all = append(all, writer)
			}
		}
		write.Close()
		if err != nil {
			return 0, err
		}
	}
	before, err := cpu(pids...)
	if err != nil {
		return 0, err
	}
	if _, err := b.stamps.collect("done", len(services)); err != nil {
		return 0, err
	}
	after, err := cpu(pids...)
	return after - before, err
}
