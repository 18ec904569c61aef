package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// family is one row of the reference.
type family struct {
	name   string
	kind   string // counter, gauge, histogram
	unit   string // seconds, bytes, or nothing
	labels []string
	help   string
}

// families are all that the appliance shows of its own, in the order of the reference.
func families() []family {
	// Not "instance": that is the label of the scraped target, and Prometheus would rename ours to exported_instance.
	replica := func(more ...string) []string { return append([]string{"service", "replica"}, more...) }
	return []family{
		{"appliance_build_info", "gauge", "", []string{"version", "goversion"}, "Always 1; the labels name the appliance's version."},
		{"appliance_release_info", "gauge", "", []string{"product", "version"}, "Always 1; the labels name the release that runs."},
		{"appliance_grade_info", "gauge", "", []string{"limits", "isolation"}, "Always 1; the labels say how budgets are enforced (v2, v1, soft) and how far services are kept apart (full, partial)."},
		{"appliance_ready", "gauge", "", nil, "1 if every wanted service is ready: a search can be answered."},
		{"appliance_stopping", "gauge", "", nil, "1 during the ordered stop."},
		{"appliance_supervisor_start_timestamp_seconds", "gauge", "seconds", nil, "When this supervisor began, in seconds since 1970."},
		{"appliance_supervisor_lives_total", "counter", "", nil, "Supervisors that this appliance has had since it started; each but the first has adopted the running services."},

		{"appliance_service_state", "gauge", "", replica("state"), "1 for the state that the instance is in, 0 for the others."},
		{"appliance_service_wanted", "gauge", "", replica(), "1 if the instance is meant to run."},
		{"appliance_service_state_timestamp_seconds", "gauge", "seconds", replica(), "Since when the instance has been in its state, in seconds since 1970."},
		{"appliance_service_ready_timestamp_seconds", "gauge", "seconds", replica(), "Since when this run has been ready, in seconds since 1970; absent while it is not."},
		{"appliance_service_run_number", "gauge", "", replica(), "Number of the present or last run."},
		{"appliance_service_restarts_total", "counter", "", replica("cause"), "Runs that nobody asked for, by the cause of the end before: exec, config, dependency, oom, liveness, signal, exit, stopped, unknown."},
		{"appliance_service_kills_total", "counter", "", replica(), "Stops in which something had to be killed because the grace period was over or a process was left behind."},
		{"appliance_service_oom_kills_total", "counter", "", replica(), "Processes that the kernel killed for want of memory; always 0 without a memory controller."},
		{"appliance_service_probe_failures_total", "counter", "", replica("probe"), "Failed probes of runs that had been ready, by probe: ready, live."},
		{"appliance_service_ready_duration_seconds", "histogram", "seconds", replica(), "Time from the start of a run until it was ready; of a oneshot, until it was done."},
		{"appliance_service_memory_bytes", "gauge", "bytes", replica(), "Memory of the run: of its cgroup with page cache, else resident memory of the main process."},
		{"appliance_service_memory_peak_bytes", "gauge", "bytes", replica(), "Most memory that the run's cgroup has used; absent where the kernel does not keep it."},
		{"appliance_service_memory_limit_bytes", "gauge", "bytes", replica(), "Budget of memory; absent if there is none."},
		{"appliance_service_cpu_seconds_total", "counter", "seconds", replica(), "CPU time of the run: of its cgroup, else of the main process. It begins at 0 with each run."},
		{"appliance_service_processes", "gauge", "", replica(), "Processes of the run; without a cgroup the main process alone."},
		{"appliance_service_tasks", "gauge", "", replica(), "Processes and threads of the run, processes alone where the kernel does not count threads; without a cgroup threads of the main process."},
		{"appliance_service_open_fds", "gauge", "", replica(), "Open file descriptors of the main process."},

		{"appliance_log_lines_total", "counter", "", replica(), "Lines taken from the instance. Kept are those that are not dropped."},
		{"appliance_log_bytes_total", "counter", "bytes", replica(), "Bytes taken from the instance, as it wrote them."},
		{"appliance_log_dropped_lines_total", "counter", "", replica(), "Lines lost to a full or stalled disk."},
		{"appliance_log_dropped_bytes_total", "counter", "bytes", replica(), "Bytes lost to a full or stalled disk."},
		{"appliance_log_waiting_bytes", "gauge", "bytes", replica(), "Bytes in memory that wait for the disk."},

		{"appliance_events_open", "gauge", "", nil, "1 if the history of events is open; else events wait in memory."},
		{"appliance_events_appended_total", "counter", "", nil, "Events of this supervisor."},
		{"appliance_events_written_total", "counter", "", nil, "Events that are on disk."},
		{"appliance_events_dropped_total", "counter", "", nil, "Events that will never be on disk: memory was full while the disk was not to be had."},

		{"appliance_door_up", "gauge", "", nil, "1 if the front door answered the supervisor; else the door's figures are those of its last answer."},
		{"appliance_door_start_timestamp_seconds", "gauge", "seconds", nil, "When the present front door began, in seconds since 1970."},
		{"appliance_door_requests_total", "counter", "", []string{"mode", "code"}, "Requests answered, by the door's mode (progress, proxy, hold, maintenance) and status code; 499: the client went away before the answer."},
		{"appliance_door_request_duration_seconds", "histogram", "seconds", nil, "Time from a request's head to the end of its answer, being held included."},
		{"appliance_door_requests_in_flight", "gauge", "", nil, "Requests being answered, held ones and upgraded connections included."},
		{"appliance_door_requests_waiting", "gauge", "", nil, "Requests being held until the frontend is back."},
		{"appliance_door_requests_held_total", "counter", "", nil, "Requests that were held until the frontend was back, or in vain."},
		{"appliance_door_requests_held_refused_total", "counter", "", nil, "Requests that were held in vain, or for which there was no room."},
		{"appliance_door_connections", "gauge", "", nil, "Open connections of clients."},
		{"appliance_door_connections_refused_total", "counter", "", nil, "Connections beyond the limit, or without a file descriptor."},
		{"appliance_door_received_bytes_total", "counter", "bytes", nil, "Bytes of requests passed to the frontend."},
		{"appliance_door_sent_bytes_total", "counter", "bytes", nil, "Bytes of the frontend's answers."},
		{"appliance_door_certificate_current", "gauge", "", nil, "0 if the certificate on disk is not the one in use because it cannot be read."},
		{"appliance_door_certificate_end_timestamp_seconds", "gauge", "seconds", nil, "When the certificate in use ends, in seconds since 1970; absent without TLS."},
		{"appliance_door_draining", "gauge", "", nil, "1 while the door finishes requests at its end."},

		{"appliance_host_memory_bytes", "gauge", "bytes", nil, "Memory of the machine."},
		{"appliance_host_memory_available_bytes", "gauge", "bytes", nil, "Memory that programs could still get without swapping."},
		{"appliance_host_cpus", "gauge", "", nil, "CPUs of the machine."},
		{"appliance_host_cpu_seconds_total", "counter", "seconds", []string{"mode"}, "CPU time of the machine by what it was spent on."},
		{"appliance_host_load1", "gauge", "", nil, "Load average over 1 minute."},
		{"appliance_host_load5", "gauge", "", nil, "Load average over 5 minutes."},
		{"appliance_host_load15", "gauge", "", nil, "Load average over 15 minutes."},
		{"appliance_data_disk_bytes", "gauge", "bytes", nil, "Size of the file system of the data directory."},
		{"appliance_data_disk_available_bytes", "gauge", "bytes", nil, "Space on it that an ordinary user can still get."},
		{"appliance_data_disk_inodes", "gauge", "", nil, "Files that it can hold; absent where there is no such limit."},
		{"appliance_data_disk_inodes_free", "gauge", "", nil, "Files that it can still take; absent where there is no such limit."},
		{"appliance_scrape_faults", "gauge", "", nil, "Parts of this scrape that could not be had, or not in time."},
	}
}

// describe makes the descriptors by name.
func describe() map[string]*prometheus.Desc {
	out := map[string]*prometheus.Desc{}
	for _, f := range families() {
		out[f.name] = prometheus.NewDesc(f.name, f.help, f.labels, nil)
	}
	return out
}

// Reference is the page for readers, made from the same table as the metrics.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Metrics of the appliance\n\nServed as `/metrics` on the admin socket, and over plain HTTP where `metrics.listen` says. Made by `go test ./supervisor/metrics -update`; do not edit.\n\n")
	b.WriteString("Beside these there are the supervisor's own `process_*` and `go_*`. Counters of services, logs, events and the front door begin at 0 with each supervisor, except for what the door itself has counted.\n\n")
	b.WriteString("| name | type | unit | labels | meaning |\n|---|---|---|---|---|\n")
	for _, f := range families() {
		b.WriteString("| `" + f.name + "` | " + f.kind + " | " + dash(f.unit) + " | " + dash(strings.Join(f.labels, ", ")) + " | " + f.help + " |\n")
	}
	return b.String()
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
