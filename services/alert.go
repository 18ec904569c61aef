package services

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Alert is one rule for Prometheus about what the appliance knows.
type Alert struct {
	Name  string
	Level Level
	Expr  string // over the metrics of supervisor/metrics/REFERENCE.md, and up
	For   string // how long it must hold, as Prometheus writes a duration
	Means string // a whole sentence without its point; {{ $labels.x }} are the labels that Expr leaves
	Next  string // the command that says more, or mends it
}

// Level is how much it hurts, in the words of Sourcegraph's own alerts.
type Level string

// The levels. src: sourcegraph/docs: self-hosted/observability/alerting
const (
	Warning  Level = "warning"  // look at it today
	Critical Level = "critical" // users notice
)

// What alerts are about, and how a person asks on. An instance is 0 for a service that runs once.
const (
	instance = "{{ $labels.service }}/{{ $labels.replica }}"
	askWhy   = "sourcegraph why {{ $labels.service }}"
)

// Alerts are the rules for Sourcegraph's bundled Prometheus, or one of the site's own. All thresholds are ours.
func Alerts() []Alert {
	return slices.Concat(serviceAlerts(), lossAlerts(), doorAlerts(), machineAlerts())
}

func serviceAlerts() []Alert {
	return []Alert{
		{"ApplianceAway", Critical, `up{job="` + applianceJob + `"} == 0`, "2m", "The appliance's supervisor does not answer", "sourcegraph status"},
		{"ServiceMetricsAway", Warning, `up{job!="` + applianceJob + `", nodename="appliance"} == 0`, "5m", "{{ $labels.service }} does not show its metrics", askWhy},
		{"ServiceNotReady", Critical, `(appliance_service_wanted == 1) unless on (service, replica) (appliance_service_state{state="ready"} == 1)`, "10m",
			instance + " is meant to run and is not ready", askWhy},
		{"PostgresDown", Critical, `(appliance_service_wanted{service="postgres"} == 1) unless on (service, replica) (appliance_service_state{service="postgres",state="ready"} == 1)`, "1m",
			"PostgreSQL is not ready: nobody can sign in, and no page is whole", "sourcegraph why postgres"},
		{"MigrationFailed", Critical, `appliance_service_state{service="migrator",state=~"failed|backoff"} == 1`, "1m",
			"The databases could not be brought to this release's schema: the frontend waits", "sourcegraph logs migrator"},
		{"ServiceFailed", Critical, `appliance_service_state{state="failed"} == 1`, "1m", instance + " has failed, and waits for a decision", askWhy},
		{"ServiceUnkillable", Critical, `appliance_service_state{state="unkillable"} == 1`, "1m", instance + " does not end even by KILL: the kernel holds it, often for a disk", askWhy},
		{"ServiceBackOff", Warning, `appliance_service_state{state="backoff"} == 1`, "5m", instance + " fails again and again; it is started with longer and longer pauses", askWhy},
		{"ServiceRestarts", Warning, `sum by (service, replica, cause) (increase(appliance_service_restarts_total{cause!~"stopped|dependency"}[30m])) > 3`, "1m",
			instance + " was restarted {{ printf `%.0f` $value }} times in half an hour; cause: {{ $labels.cause }}", askWhy},
		{"ServiceOutOfMemory", Warning, `increase(appliance_service_oom_kills_total[15m]) > 0`, "0m", "The kernel killed a process of " + instance + " for want of memory", askWhy},
		{"ServiceMemoryNearBudget", Warning, `appliance_service_memory_bytes{service!~"` + strings.Join(caching(), "|") + `"} / appliance_service_memory_limit_bytes > 0.95`, "30m",
			instance + " uses {{ $value | humanizePercentage }} of its memory budget; services that fill any budget with cache are left out", "sourcegraph top"},
	}
}

// caching are the services that use all the memory they may, which is no trouble.
func caching() []string {
	var out []string
	for _, d := range All() {
		if d.Demand.Elastic == ElasticCache {
			out = append(out, d.Name)
		}
	}
	return out
}

func lossAlerts() []Alert {
	return []Alert{
		{"LogLinesDropped", Warning, `increase(appliance_log_dropped_lines_total[10m]) > 0`, "0m", "Log lines of " + instance + " were lost to a full or stalled disk", "sourcegraph status"},
		{"EventsDropped", Warning, `increase(appliance_events_dropped_total[10m]) > 0`, "0m", "Events of the appliance's history were lost to a full or stalled disk", "sourcegraph status"},
		{"SupervisorRestarts", Warning, `increase(appliance_supervisor_lives_total[1h]) >= 2`, "0m", "The supervisor died more than once in an hour; services ran on", "sourcegraph events --since 2h"},
	}
}

func doorAlerts() []Alert {
	return []Alert{
		{"DoorAway", Critical, `appliance_door_up == 0`, "2m", "The front door does not answer the supervisor", "sourcegraph status"},
		{"CertificateEnding", Warning, `appliance_door_certificate_end_timestamp_seconds - time() < 14 * 86400`, "1h", "The front door's certificate ends in {{ $value | humanizeDuration }}", "sourcegraph status"},
		{"CertificateEnded", Critical, `appliance_door_certificate_end_timestamp_seconds <= time()`, "0m", "The front door's certificate has ended: browsers refuse the site", "sourcegraph status"},
		{"CertificateNotInUse", Warning, `appliance_door_certificate_current == 0`, "5m", "The front door could not get the certificate that it should have", "sourcegraph status"},
	}
}

func machineAlerts() []Alert {
	return []Alert{
		{"DiskNearlyFull", Warning, `appliance_data_disk_available_bytes / appliance_data_disk_bytes < 0.10`, "10m", "{{ $value | humanizePercentage }} of the data directory's disk is free", "sourcegraph status"},
		{"DiskFull", Critical, `appliance_data_disk_available_bytes / appliance_data_disk_bytes < 0.03`, "1m", "{{ $value | humanizePercentage }} of the data directory's disk is free", "sourcegraph status"},
		{"DiskOutOfFiles", Warning, `appliance_data_disk_inodes_free / appliance_data_disk_inodes < 0.05`, "10m", "The data directory's disk takes few more files, whatever space it has", "sourcegraph status"},
		{"MemoryShort", Warning, `appliance_host_memory_available_bytes / appliance_host_memory_bytes < 0.05`, "10m", "{{ $value | humanizePercentage }} of the machine's memory is free", "sourcegraph top"},
	}
}

// AlertRules is a rule file of Prometheus with all [Alerts].
func AlertRules() string { return alertRules() }

// alertRules is written once: the definitions are made for it.
var alertRules = sync.OnceValue(func() string {
	var b strings.Builder
	b.WriteString("# What the appliance knows of itself and its services\ngroups:\n  - name: appliance\n    rules:\n")
	for _, a := range Alerts() {
		fmt.Fprintf(&b, "      - alert: %s\n        expr: %s\n        for: %s\n        labels: {level: %s}\n        annotations:\n          summary: %s\n          next: %s\n",
			a.Name, quoted(a.Expr), a.For, a.Level, quoted(a.Means), quoted(a.Next))
	}
	return b.String()
})

// quoted is a text in YAML's single quotes.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
