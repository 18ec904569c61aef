package services

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/sourcegraph/appliance/limits"
)

// Check reports what its keys' own rules cannot say: see supervisor/roster/keys.
func (o *Override) Check(given func(string) bool, fault func(key, text string)) {
	switch {
	case !given("command"):
	case o.Command != nil && len(o.Command) == 0:
		fault("command", "is empty")
	case len(o.Command) > 0 && filepath.Base(o.Command[0]) != o.Command[0] && !filepath.IsAbs(o.Command[0]):
		fault("command", fmt.Sprintf("%q must be an absolute path, or a name that is looked up", o.Command[0]))
	}
}

// minLog is the smallest log file, in bytes: a line is cut there.
const minLog = 64 << 10

// Check refuses a log that cannot hold a line.
func (l *LogChange) Check(_ func(string) bool, fault func(key, text string)) {
	if l.MaxSize != nil && *l.MaxSize < minLog {
		fault("max_size", fmt.Sprintf("%s is less than 64KiB, the length of one line", limits.FormatBytes(int64(*l.MaxSize))))
	}
}

// Check refuses a guarantee above the limit.
func (b *BudgetChange) Check(_ func(string) bool, fault func(key, text string)) {
	if b.Memory != nil && b.MemoryLow != nil && *b.MemoryLow > *b.Memory {
		fault("memory_low", fmt.Sprintf("%s is more than memory, %s", limits.FormatBytes(int64(*b.MemoryLow)), limits.FormatBytes(int64(*b.Memory))))
	}
}

// ways are the keys of a probe that ask; exactly one is given.
func ways() []string { return []string{"http", "tcp", "postgres", "redis", "exec", "log", "notify"} }

// Check sees that it asks in exactly one way, and where.
func (p *Probe) Check(given func(string) bool, fault func(key, text string)) {
	used := slices.DeleteFunc(ways(), func(way string) bool { return !given(way) })
	if len(used) != 1 {
		fault("", fmt.Sprintf("must ask in exactly one way: %v", ways()))
		return
	}
	way := used[0]
	asksPort := slices.Contains([]string{"http", "tcp", "postgres", "redis"}, way)
	switch {
	case asksPort && p.Port == "":
		fault("", way+" needs port:, the name of one of the service's ports")
	case !asksPort && p.Port != "":
		fault("", way+" has no use for port:")
	case way == "exec" && p.Exec != nil && len(p.Exec) == 0:
		fault("exec", "is empty")
	}
}

// MarshalYAML writes an empty probe as the null that it was read from.
func (p Probe) MarshalYAML() (any, error) {
	if p.isNone() {
		return nil, nil
	}
	type plain Probe
	return plain(p), nil
}

func (p Probe) isNone() bool {
	return p.HTTP == "" && !p.TCP && !p.Postgres && !p.Redis && p.Exec == nil && p.Log == "" && !p.Notify
}

// MarshalYAML writes empty metrics as the null that they were read from.
func (m Metrics) MarshalYAML() (any, error) {
	if m == (Metrics{}) {
		return nil, nil
	}
	type plain Metrics
	return plain(m), nil
}
