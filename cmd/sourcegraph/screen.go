package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// screen is where a command shows things.
type screen struct {
	out, progress io.Writer
	colour        bool // of out
	live          bool // progress is a terminal: one line on it may be replaced
	json          bool
	shown         bool // a progress line is on the terminal
}

func screenOf(c *cli.Context) *screen {
	plain := c.Bool("no-color") || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
	return &screen{
		out: c.App.Writer, progress: c.App.ErrWriter, json: c.Bool("json"),
		colour: !plain && isTerminal(c.App.Writer), live: os.Getenv("TERM") != "dumb" && isTerminal(c.App.ErrWriter),
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width of the terminal, in columns; 80 where it is not known.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return 80
}

// The colours that states and levels are shown in. Source: ECMA-48, SGR.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "34"
	grey   = "90"
	bold   = "1"
)

func (s *screen) paint(colour, text string) string {
	if !s.colour || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// print writes a result. What a closed pipe does not take is nobody's loss.
func (s *screen) print(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format, args...)
}

// document writes the one JSON document.
func (s *screen) document(value any) error {
	enc := json.NewEncoder(s.out)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// row writes one JSON object on a line.
func (s *screen) row(value any) error { return json.NewEncoder(s.out).Encode(value) }

// say shows progress, on a terminal only; it replaces what was shown before.
func (s *screen) say(text string) {
	if !s.live {
		return
	}
	if max := width(s.progress) - 1; len([]rune(text)) > max && max > 0 {
		text = string([]rune(text)[:max])
	}
	_, _ = fmt.Fprint(s.progress, "\r\x1b[K"+text)
	s.shown = true
}

// hush takes the progress line away.
func (s *screen) hush() {
	if s.shown {
		_, _ = fmt.Fprint(s.progress, "\r\x1b[K")
		s.shown = false
	}
}

// warn is for people, beside the result.
func (s *screen) warn(format string, args ...any) {
	s.hush()
	_, _ = fmt.Fprintf(s.progress, format+"\n", args...)
}

// cell is one field of a table.
type cell struct{ text, colour string }

// table writes rows in columns that are as wide as their widest cell; the last is not filled up.
func (s *screen) table(rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(c.text)))
		}
	}
	for _, row := range rows {
		var out strings.Builder
		last := len(row) - 1
		for last > 0 && row[last].text == "" {
			last--
		}
		for i, c := range row[:last+1] {
			out.WriteString(s.paint(c.colour, c.text))
			if i < last {
				out.WriteString(strings.Repeat(" ", widths[i]-len([]rune(c.text))+2))
			}
		}
		s.print("%s\n", out.String())
	}
}

// heading is a table's first row.
func heading(names ...string) (row []cell) {
	for _, n := range names {
		row = append(row, cell{n, grey})
	}
	return row
}
