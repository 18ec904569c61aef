package lifecycle

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// levelCrit is above slog's own levels.
const levelCrit = slog.LevelError + 4

// NewLogger logs to w as SRC_LOG_LEVEL (dbug, info, warn, eror, crit; warn by default) and SRC_LOG_FORMAT (logfmt, json; logfmt by default) say.
// JSON lines carry the keys of Sourcegraph's: Timestamp, SeverityText, InstrumentationScope, Body, Attributes.
func NewLogger(service string, w io.Writer, getenv func(string) string) (*slog.Logger, error) {
	level, err := parseLevel(getenv("SRC_LOG_LEVEL"))
	if err != nil {
		return nil, err
	}
	switch format := getenv("SRC_LOG_FORMAT"); format {
	case "json", "json_gcp":
		h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: otelNames})
		return slog.New(h).With("InstrumentationScope", service).WithGroup("Attributes"), nil
	case "", "logfmt", "condensed", "console":
		h := slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: shortLevel})
		return slog.New(h).With("service", service), nil
	default:
		return nil, fmt.Errorf("environment SRC_LOG_FORMAT=%q: want logfmt or json", format)
	}
}

func parseLevel(text string) (slog.Level, error) {
	switch strings.ToLower(text) {
	case "dbug", "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "", "warn":
		return slog.LevelWarn, nil
	case "eror", "error":
		return slog.LevelError, nil
	case "crit":
		return levelCrit, nil
	}
	return 0, fmt.Errorf("environment SRC_LOG_LEVEL=%q: want dbug, info, warn, eror or crit", text)
}

func shortLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.LevelKey {
		a.Value = slog.StringValue(strings.ToLower(a.Value.String()))
	}
	return a
}

func otelNames(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		a.Key = "Timestamp"
	case slog.LevelKey:
		a.Key = "SeverityText"
	case slog.MessageKey:
		a.Key = "Body"
	}
	return a
}
