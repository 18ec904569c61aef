package main

import (
	"fmt"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// age is a duration as people say it: 12s, 3m, 5h, 2d.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// size is a number of bytes as people say it, in powers of 1024.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1023.5 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if v < 10 {
		return fmt.Sprintf("%.1f %ciB", v, units[i])
	}
	return fmt.Sprintf("%.0f %ciB", v, units[i])
}

// limitsInWords says how budgets are enforced here.
func limitsInWords(grade string) string {
	switch grade {
	case "v2":
		return "limits by the kernel (cgroup v2)"
	case "v1":
		return "limits by the kernel (cgroup v1)"
	case "soft":
		return "limits by resource watching"
	}
	return "limits: " + grade
}

func isolationInWords(grade string) string {
	switch grade {
	case "full":
		return "each service under a user of its own"
	case "partial":
		return "all services under one user"
	}
	return "isolation: " + grade
}

// instance is the name that the engine, the logs and the commands know a service's instance by.
func instance(s api.Service) string {
	if s.Replicas > 1 {
		return fmt.Sprintf("%s/%d", s.Name, s.Instance)
	}
	return s.Name
}

func stateColour(s api.State) string {
	switch s {
	case api.Ready:
		return green
	case api.Failed, api.Unkillable, api.Backoff:
		return red
	case api.Stopped:
		return grey
	}
	return yellow
}
