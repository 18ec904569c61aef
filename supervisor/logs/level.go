package logs

import "bytes"

// The levels of [api.LogLine].
const (
	LevelDebug = "debug"
	LevelInfo  = "info"
	LevelWarn  = "warn"
	LevelError = "error"
)

// Level guesses how severe a line is: logfmt (level=, lvl=), JSON (level, SeverityText, severity), PostgreSQL ("ERROR:  "),
// Redis ("# " is a warning), Go's and others' leading words. Empty: unknown.
func Level(text []byte) string {
	head := text[:min(len(text), 512)]
	for _, key := range []string{"level=", "lvl=", `"level":"`, `"SeverityText":"`, `"severity":"`, `"lvl":"`} {
		if i := bytes.Index(head, []byte(key)); i >= 0 {
			if l := levelOf(head[i+len(key):]); l != "" {
				return l
			}
		}
	}
	for _, w := range leading {
		if i := bytes.Index(head, []byte(w.word)); i >= 0 && (i == 0 || head[i-1] == ' ' || head[i-1] == '[') {
			return w.level
		}
	}
	return redisLevel(head)
}

// leading are words that begin a message in PostgreSQL's, Go's and the services' own formats.
var leading = []struct{ word, level string }{
	{"FATAL:", LevelError}, {"PANIC:", LevelError}, {"ERROR:", LevelError}, {"WARNING:", LevelWarn},
	{"DEBUG:", LevelDebug}, {"LOG:", LevelInfo}, {"INFO:", LevelInfo}, {"NOTICE:", LevelInfo},
	{"panic: ", LevelError}, {"fatal error: ", LevelError},
	{"FATAL ", LevelError}, {"ERROR ", LevelError}, {"EROR ", LevelError}, {"WARN ", LevelWarn}, {"INFO ", LevelInfo},
	{"DEBUG ", LevelDebug}, {"DBUG ", LevelDebug}, {"ERROR]", LevelError}, {"WARN]", LevelWarn}, {"INFO]", LevelInfo},
}

func levelOf(b []byte) string {
	b = bytes.TrimLeft(b, `"`)
	n := 0
	for n < len(b) && n < 9 && b[n]|0x20 >= 'a' && b[n]|0x20 <= 'z' {
		n++
	}
	switch string(bytes.ToLower(b[:n])) {
	case "debug", "dbug", "trace":
		return LevelDebug
	case "info", "notice", "log":
		return LevelInfo
	case "warn", "warning":
		return LevelWarn
	case "error", "eror", "err", "crit", "critical", "fatal", "panic", "dpanic", "emerg", "alert":
		return LevelError
	}
	return ""
}

// redisLevel reads Redis' own: "42:M 01 Jan 2026 00:00:00.000 # message", where the sign is one of . - * #.
func redisLevel(b []byte) string {
	colon := bytes.IndexByte(b, ':')
	if colon < 1 || colon > 10 || len(b) < colon+3 || b[colon+2] != ' ' || bytes.IndexByte([]byte("MSCX"), b[colon+1]) < 0 {
		return ""
	}
	const sign = 27 // behind ":M 01 Jan 2026 00:00:00.000 "
	if len(b) <= colon+sign+2 {
		return ""
	}
	switch b[colon+sign+1] {
	case '.', '-':
		return LevelDebug
	case '*':
		return LevelInfo
	case '#':
		return LevelWarn
	}
	return ""
}

// atLeast says whether a level is as severe as least; a line of unknown level counts as info.
func atLeast(level, least string) bool { return rank(level) >= rank(least) }

func rank(level string) int {
	switch level {
	case LevelDebug:
		return 0
	case LevelWarn:
		return 2
	case LevelError:
		return 3
	}
	return 1
}
