package services

import (
	"fmt"
	"strings"
)

// Describe says how a probe asks; of one that is nil it says why nobody does.
func (p *Probe) Describe(without string) string {
	if p == nil {
		if without == "" {
			return ""
		}
		return "none: " + without
	}
	way := ""
	switch {
	case p.HTTP != "":
		way = "http " + p.HTTP + " on " + p.Port
	case p.TCP:
		way = "tcp on " + p.Port
	case p.Postgres:
		way = "postgres on " + p.Port
	case p.Redis:
		way = "redis on " + p.Port
	case p.Exec != nil:
		way = "exec " + strings.Join(p.Exec, " ")
	case p.Log != "":
		way = "log line " + p.Log
	case p.Notify:
		way = "notify"
	}
	return fmt.Sprintf("%s, every %s, %d misses of %s", way, p.Every, p.Failures, p.Timeout)
}
