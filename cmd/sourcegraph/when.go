package main

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// whenFormats are the ways to write a moment, in local time unless it has a zone. Source: systemd.time(7).
func whenFormats() []string {
	return []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"}
}

// clockFormats are moments of today.
func clockFormats() []string { return []string{"15:04:05", "15:04"} }

// moment reads a time as journalctl's --since does: "2026-01-02 03:04", "03:04", "1h ago", "10 min ago", "-1h", today, yesterday, now.
// A bare duration ("1h") is one before now, as in docker and kubectl.
func moment(text string, now time.Time) (time.Time, error) {
	t := strings.TrimSpace(text)
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch t {
	case "now":
		return now, nil
	case "today":
		return midnight, nil
	case "yesterday":
		return midnight.AddDate(0, 0, -1), nil
	}
	for _, f := range whenFormats() {
		if at, err := time.ParseInLocation(f, t, now.Location()); err == nil {
			return at, nil
		}
	}
	for _, f := range clockFormats() {
		if at, err := time.Parse(f, t); err == nil {
			return midnight.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second), nil
		}
	}
	ago := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(t, "-"), "ago"))
	if d, ok := span(ago); ok {
		return now.Add(-d), nil
	}
	return now, usageError{`"` + text + `" is no time`, `write "2026-01-02 03:04", "1h ago", "10 min ago", today or yesterday`}
}

// unit is the length of a unit of time by its names. Source: systemd.time(7).
func unit(name string) time.Duration {
	switch name {
	case "ms", "msec":
		return time.Millisecond
	case "s", "sec", "second", "seconds":
		return time.Second
	case "m", "min", "minute", "minutes":
		return time.Minute
	case "h", "hr", "hour", "hours":
		return time.Hour
	case "d", "day", "days":
		return 24 * time.Hour
	case "w", "week", "weeks":
		return 7 * 24 * time.Hour
	}
	return 0
}

// span reads durations such as 1h, 10 min, 1h30m.
func span(text string) (total time.Duration, ok bool) {
	parts := regexp.MustCompile(`^\s*(\d{1,9})\s*([a-z]+)`)
	for text != "" {
		m := parts.FindStringSubmatch(text)
		if m == nil || unit(m[2]) == 0 {
			return 0, false
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || time.Duration(n) > (1<<62)/unit(m[2]) {
			return 0, false
		}
		total, ok = total+time.Duration(n)*unit(m[2]), true
		text = strings.TrimSpace(text[len(m[0]):])
	}
	return total, ok && total >= 0
}
