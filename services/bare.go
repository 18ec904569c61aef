package services

import "github.com/sourcegraph/appliance/limits"

// Bare is an effective definition in the words of the configuration: pasted back under services.<name> it changes nothing. ports are the numbers
// in use; the command of a built-in service is left out, since naming it would look for the program outside the release.
func Bare(e Effective, ports map[string]int) Override {
	user := e.User
	if user == "" {
		user = DefaultUser(e.Name)
	}
	o := Override{
		Env: pointers(e.Env), User: user, Caps: append([]string{}, e.Caps...), Ports: ports,
		Needs: append([]string{}, e.Needs...), Wants: append([]string{}, e.Wants...),
		Ready: orNone(e.Ready), Live: orNone(e.Live), Metrics: orNone(e.Metrics),
		Start:    &StartChange{Timeout: &e.Start.Timeout},
		Stop:     &StopChange{Signal: &Signal{SignalName(e.Stop.Signal), e.Stop.Signal}, To: &e.Stop.To, Grace: &e.Stop.Grace, Wait: &e.Stop.Wait},
		Restart:  &RestartChange{Delay: &e.Restart.Delay, Max: &e.Restart.Max, ResetAfter: &e.Restart.ResetAfter, Expected: &e.Restart.Expected},
		Replicas: &e.Count, Retired: append([]int{}, e.Retired...), Budget: bareBudget(e.Budget), Log: bareLog(e.Log), Disabled: &e.Disabled,
	}
	if e.Command0 {
		o.Command = e.Command
	}
	for _, name := range e.Unset {
		o.Env[name] = nil
	}
	if e.Stop.Signal == 0 {
		o.Stop.Signal = nil
	}
	return o
}

func orNone[T any](part *T) *T {
	if part == nil {
		return new(T)
	}
	return part
}

// bareBudget leaves out what has no bound.
func bareBudget(b Budget) *BudgetChange {
	return &BudgetChange{
		Memory: some(limits.Size(b.Memory)), MemoryLow: some(limits.Size(b.MemoryLow)), CPUs: some(limits.CPUs(b.CPUs)), CPUWeight: some(b.CPUWeight),
		Pids: some(b.Pids), NoFile: some(b.NoFile),
	}
}

func bareLog(l Log) *LogChange {
	return &LogChange{MaxSize: some(limits.Size(l.MaxSize)), Keep: &l.Keep, Format: some(l.Format)}
}

func some[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}
