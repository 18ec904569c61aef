package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "figures to measure, separated by commas: "+strings.Join(figureNames(), " "))
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each figure")
	flag.DurationVar(&o.window, "window", time.Minute, "how long idle CPU is watched")
	flag.StringVar(&o.output, "o", "", "file for the table (standard output)")
	flag.StringVar(&o.goTool, "go", "go", "the Go command that builds the tiny service and the floor")
	flag.StringVar(&o.program, "sourcegraph", "bin/sourcegraph", "our program")
	flag.StringVar(&o.release, "release", "bin/demo/1.0.0", "the demo release")
	if slices.Contains(os.Args[1:], roleFlag) {
		os.Exit(role(os.Args[slices.Index(os.Args, roleFlag)+1:]))
	}
	flag.Parse()
	if err := measure(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	only, output, goTool, program, release string
	rounds                                 int
	window                                 time.Duration
}

// figure is one part of the table.
type figure struct {
	name    string
	measure func(*bench) ([]row, error)
}

func figures() []figure {
	return []figure{
		{"start", startFigure}, {"order", orderFigure}, {"restart", restartFigure}, {"memory", memoryFigure}, {"idle", idleFigure},
		{"throughput", throughputFigure}, {"logs", logsFigure}, {"orphans", orphansFigure}, {"stop", stopFigure}, {"door", doorFigure},
		{"search", searchFigure}, {"roster", rosterFigure}, {"plan", planFigure},
	}
}

func figureNames() []string {
	var names []string
	for _, f := range figures() {
		names = append(names, f.name)
	}
	return names
}

func measure(o options) error {
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	go b.endOnSignal()
	var rows []row
	for _, f := range figures() {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), f.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), f.name)
		got, err := f.measure(b)
		if err != nil {
			got = append(got, row{title: f.name, remark: "not measured: " + err.Error()})
		}
		render(os.Stderr, got)
		rows = append(rows, got...)
	}
	var out io.Writer = os.Stdout
	if o.output != "" {
		f, err := os.Create(o.output)
		if err != nil {
			return err
		}
		defer f.Close()
		out = f
	}
	fmt.Fprintln(out, machine())
	fmt.Fprintln(out)
	render(out, rows)
	return nil
}
