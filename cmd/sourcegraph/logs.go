package main

import (
	"context"
	"hash/fnv"
	"regexp"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/logs"
)

// followFrom is how many lines a follower sees before the new ones, as with journalctl.
const followFrom = 10

func logsCommand() *cli.Command {
	return &cli.Command{
		Name: "logs", ArgsUsage: "[SERVICE…]", Category: "look",
		Usage:       "what services print, merged by time",
		Description: `Times are "2026-01-02 03:04", "1h ago", "10 min ago", today, yesterday. A follower goes on when the supervisor is replaced.`,
		Flags: append(spanFlags(),
			&cli.StringFlag{Name: "until", Usage: "only lines up to `TIME`"},
			&cli.StringFlag{Name: "grep", Aliases: []string{"g"}, Usage: "only lines that match the regular expression `RE`"},
			&cli.StringFlag{Name: "level", Usage: "only lines at least as severe as `LEVEL`: debug, info, warn, error"},
		),
		Action: func(c *cli.Context) error {
			q, err := logQuery(c, time.Now())
			if err != nil {
				return err
			}
			client, err := connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			s := screenOf(c)
			return followLogs(c.Context, client, q, s.logLine)
		},
	}
}

// spanFlags are those of logs and events.
func spanFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "show new ones as they come"},
		&cli.StringFlag{Name: "lines", Aliases: []string{"n"}, Usage: "the newest `N`; all without it, 10 with -f"},
		&cli.StringFlag{Name: "since", Aliases: []string{"S"}, Usage: "only from `TIME` on"},
	}
}

func logQuery(c *cli.Context, now time.Time) (q api.LogQuery, err error) {
	q = api.LogQuery{Services: c.Args().Slice(), Grep: c.String("grep"), Level: c.String("level"), Follow: c.Bool("follow")}
	if q.Limit, q.Since, err = spanFrom(c, now); err != nil {
		return q, err
	}
	if text := c.String("until"); text != "" {
		if q.Until, err = moment(text, now); err != nil {
			return q, err
		}
	}
	if _, err := regexp.Compile(q.Grep); err != nil {
		return q, usage("--grep %q is no regular expression: %v", q.Grep, err)
	}
	switch q.Level {
	case "", logs.LevelDebug, logs.LevelInfo, logs.LevelWarn, logs.LevelError:
		return q, nil
	}
	return q, usage("--level %q is none of debug, info, warn, error", q.Level)
}

func spanFrom(c *cli.Context, now time.Time) (limit int, since time.Time, err error) {
	if text := c.String("since"); text != "" {
		if since, err = moment(text, now); err != nil {
			return 0, since, err
		}
	}
	switch text := c.String("lines"); text {
	case "":
		if c.Bool("follow") && since.IsZero() {
			limit = followFrom
		}
	case "all":
	default:
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			return 0, since, usage("-n %q is no number of lines", text)
		}
	}
	return limit, since, nil
}

// followLogs reads logs. A follower that loses its supervisor asks the next one from the last line on.
func followLogs(ctx context.Context, client *api.Client, q api.LogQuery, show func(api.LogLine) error) error {
	seen := map[api.LogLine]int{} // of the last moment: how often each line was shown
	var last time.Time
	return resume(ctx, q.Follow, func(again bool) (bool, error) {
		skip := map[api.LogLine]int{}
		if again && !last.IsZero() {
			q.Since, q.Limit = last, 0
			for l, n := range seen {
				skip[l] = n
			}
		}
		any := false
		for l, err := range client.Logs(ctx, q) {
			if err != nil {
				return any, err
			}
			any = true
			if skip[l] > 0 {
				skip[l]--
				continue
			}
			if !l.At.Equal(last) {
				clear(seen)
				last = l.At.Time
			}
			seen[l]++
			if err := show(l); err != nil {
				return any, err
			}
		}
		return any, nil
	})
}

func (s *screen) logLine(l api.LogLine) error {
	if s.json {
		return s.row(l)
	}
	text := logs.Escape(l.Text)
	switch l.Level {
	case logs.LevelError:
		text = s.paint(red, text)
	case logs.LevelWarn:
		text = s.paint(yellow, text)
	case logs.LevelDebug:
		text = s.paint(grey, text)
	}
	if l.Cut {
		text += s.paint(grey, " …")
	}
	s.print("%s %s %s\n", s.paint(grey, stamp(l.At)), s.paint(nameColour(l.Service), l.Service+" |"), text)
	return nil
}

// stamp is a moment in local time, to the millisecond.
func stamp(t api.Time) string { return t.Local().Format("2006-01-02 15:04:05.000") }

// nameColour gives each service one of the colours that are readable on dark and light ground.
func nameColour(name string) string {
	colours := []string{green, yellow, blue, "35", "36", "92", "94", "95", "96"}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return colours[h.Sum32()%uint32(len(colours))]
}
