package engine

import (
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// The defaults of a restart rule that says nothing (interface.md: restart).
const (
	firstDelay        = 100 * time.Millisecond
	defaultMaxDelay   = 30 * time.Second
	defaultResetAfter = time.Second
)

// nextDelay says how long to wait before the next run, and counts the one that ended: after a run that was ready for at least
// ResetAfter the rule's delay, else min(max, 100 ms · 2ⁿ ± 20 %) for the n-th consecutive short one of the same budget.
func (m *Machine) nextDelay(cause api.Cause) time.Duration {
	rule := m.inst.Restart
	if rule.Max == 0 {
		rule.Max = defaultMaxDelay
	}
	if rule.ResetAfter == 0 {
		rule.ResetAfter = defaultResetAfter
	}
	if !m.readyAt.IsZero() && m.exit != nil && m.exit.At.Sub(m.readyAt) >= rule.ResetAfter {
		clear(m.streaks)
		return rule.Delay
	}
	budget := budgetOf(cause)
	m.streaks[budget]++
	return backoff(m.streaks[budget], rule.Max, m.jitter())
}

// backoff is min(max, 100 ms · 2ⁿ) with the jitter applied before the ceiling, so that max is never exceeded.
func backoff(n int, ceiling time.Duration, jitter float64) time.Duration {
	const most = 20 // 100 ms · 2²⁰ is more than a day
	d := time.Duration(float64(firstDelay<<min(n, most)) * jitter)
	return min(d, ceiling)
}

// budgetOf names the restart budget that a cause draws on. What a service does to itself is one budget, whether it crashed or hung
// (E40); what is done to it has its own.
func budgetOf(cause api.Cause) string {
	switch cause {
	case api.CauseSignal, api.CauseExit, api.CauseLiveness:
		return "crash"
	}
	return string(cause)
}
