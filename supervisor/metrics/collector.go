package metrics

import (
	"context"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// states are those of the interface, so that each has a series from the start.
var states = [...]string{"waiting", "starting", "ready", "degraded", "stopping", "stopped", "backoff", "failed", "unkillable"}

// causes of restarts have a series from the start: else the first restart of its kind would be no increase.
var causes = [...]string{"exec", "config", "dependency", "oom", "liveness", "signal", "exit"}

// snapshotWithin bounds how long one scrape waits for what answers late; Prometheus itself gives up after 10 s by default.
const snapshotWithin = 2 * time.Second

// Collector is a [prometheus.Collector] over a Source.
type Collector struct {
	source Source
	descs  map[string]*prometheus.Desc
}

// NewCollector asks source at each scrape.
func NewCollector(source Source) *Collector {
	return &Collector{source: source, descs: describe()}
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), snapshotWithin)
	defer cancel()
	s := c.source.Snapshot(ctx)
	e := emitter{c.descs, ch}
	e.appliance(s)
	for _, inst := range s.Instances {
		e.instance(inst)
	}
	e.events(s.Events)
	e.gauge("appliance_door_up", oneIf(s.DoorAnswered))
	if s.Door != nil {
		e.door(*s.Door)
	}
	if s.Host != nil {
		e.host(*s.Host)
	}
	e.gauge("appliance_scrape_faults", float64(s.SnapshotFaults))
}

// emitter writes values under the names of the table.
type emitter struct {
	descs map[string]*prometheus.Desc
	ch    chan<- prometheus.Metric
}

func (e emitter) value(name string, kind prometheus.ValueType, v float64, labels []string) {
	e.ch <- prometheus.MustNewConstMetric(e.descs[name], kind, v, labels...)
}

func (e emitter) gauge(name string, v float64, labels ...string) {
	e.value(name, prometheus.GaugeValue, v, labels)
}

func (e emitter) counter(name string, v float64, labels ...string) {
	e.value(name, prometheus.CounterValue, v, labels)
}

// when shows a moment, unless it never came.
func (e emitter) when(name string, at time.Time, labels ...string) {
	if !at.IsZero() {
		e.gauge(name, float64(at.UnixMilli())/1000, labels...)
	}
}

// positive shows a figure, unless nothing counts it.
func (e emitter) positive(name string, v float64, labels ...string) {
	if v > 0 {
		e.gauge(name, v, labels...)
	}
}

// histogram takes buckets that are not cumulative.
func (e emitter) histogram(name string, bounds []float64, counts []uint64, sum float64, labels ...string) {
	buckets, total := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, n := range counts {
		total += n
		if i < len(bounds) {
			buckets[bounds[i]] = total
		}
	}
	e.ch <- prometheus.MustNewConstHistogram(e.descs[name], total, sum, buckets, labels...)
}

func oneIf(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

func (e emitter) appliance(s Snapshot) {
	e.gauge("appliance_build_info", 1, s.Version, runtime.Version())
	e.gauge("appliance_release_info", 1, s.Product, s.Release)
	e.gauge("appliance_grade_info", 1, s.Limits, s.Isolation)
	e.gauge("appliance_ready", oneIf(s.Ready))
	e.gauge("appliance_stopping", oneIf(s.Stopping))
	e.when("appliance_supervisor_start_timestamp_seconds", s.Since)
	e.counter("appliance_supervisor_lives_total", float64(s.Lives))
}

func (e emitter) instance(i Instance) {
	labels := []string{i.Service, strconv.Itoa(i.Number)}
	with := func(more string) []string { return []string{labels[0], labels[1], more} }
	for _, state := range states {
		e.gauge("appliance_service_state", oneIf(state == i.State), with(state)...)
	}
	e.gauge("appliance_service_wanted", oneIf(i.Wanted), labels...)
	e.when("appliance_service_state_timestamp_seconds", i.Since, labels...)
	e.when("appliance_service_ready_timestamp_seconds", i.ReadySince, labels...)
	e.gauge("appliance_service_run_number", float64(i.Run), labels...)
	e.positive("appliance_service_memory_limit_bytes", float64(i.MemoryLimit), labels...)

	t := i.Tally
	for _, cause := range causes {
		if t.Restarts[cause] == 0 {
			e.counter("appliance_service_restarts_total", 0, with(cause)...)
		}
	}
	for cause, n := range t.Restarts {
		e.counter("appliance_service_restarts_total", float64(n), with(cause)...)
	}
	e.counter("appliance_service_kills_total", float64(t.Killed), labels...)
	e.counter("appliance_service_oom_kills_total", float64(t.OOMKills), labels...)
	e.counter("appliance_service_probe_failures_total", float64(t.ReadyMisses), with("ready")...)
	e.counter("appliance_service_probe_failures_total", float64(t.LiveMisses), with("live")...)
	e.histogram("appliance_service_ready_duration_seconds", readyBounds[:], t.Ready[:], t.ReadySum, labels...)

	e.counter("appliance_log_lines_total", float64(i.Log.Lines), labels...)
	e.counter("appliance_log_bytes_total", float64(i.Log.Bytes), labels...)
	e.counter("appliance_log_dropped_lines_total", float64(i.Log.DroppedLines), labels...)
	e.counter("appliance_log_dropped_bytes_total", float64(i.Log.DroppedBytes), labels...)
	e.gauge("appliance_log_waiting_bytes", float64(i.Log.Waiting), labels...)

	if u := i.Use; u != nil {
		e.use(*u, labels)
	}
}

func (e emitter) use(u Use, labels []string) {
	e.positive("appliance_service_memory_bytes", float64(u.Memory), labels...)
	e.positive("appliance_service_memory_peak_bytes", float64(u.MemoryPeak), labels...)
	e.counter("appliance_service_cpu_seconds_total", u.CPU.Seconds(), labels...)
	e.positive("appliance_service_processes", float64(u.Processes), labels...)
	e.positive("appliance_service_tasks", float64(u.Tasks), labels...)
	e.positive("appliance_service_open_fds", float64(u.FDs), labels...)
}

func (e emitter) events(v Events) {
	e.gauge("appliance_events_open", oneIf(v.Open))
	e.counter("appliance_events_appended_total", float64(v.Appended))
	e.counter("appliance_events_written_total", float64(v.Written))
	e.counter("appliance_events_dropped_total", float64(v.Dropped))
}

func (e emitter) door(d Door) {
	e.when("appliance_door_start_timestamp_seconds", d.Since)
	for answer, n := range d.Requests {
		e.counter("appliance_door_requests_total", float64(n), answer.Mode, strconv.Itoa(answer.Code))
	}
	e.histogram("appliance_door_request_duration_seconds", d.Bounds, d.Latency, d.Seconds)
	e.gauge("appliance_door_requests_in_flight", float64(d.InFlight))
	e.gauge("appliance_door_requests_waiting", float64(d.Held))
	e.counter("appliance_door_requests_held_total", float64(d.HeldTotal))
	e.counter("appliance_door_requests_held_refused_total", float64(d.HeldRefused))
	e.gauge("appliance_door_connections", float64(d.Connections))
	e.counter("appliance_door_connections_refused_total", float64(d.Refused))
	e.counter("appliance_door_received_bytes_total", float64(d.BytesIn))
	e.counter("appliance_door_sent_bytes_total", float64(d.BytesOut))
	e.gauge("appliance_door_certificate_current", oneIf(d.CertificateOK))
	e.when("appliance_door_certificate_end_timestamp_seconds", d.CertificateEnd)
	e.gauge("appliance_door_draining", oneIf(d.Draining))
}

func (e emitter) host(h Host) {
	e.positive("appliance_host_memory_bytes", float64(h.MemoryTotal))
	e.positive("appliance_host_memory_available_bytes", float64(h.MemoryAvailable))
	e.positive("appliance_host_cpus", float64(h.CPUs))
	for mode, seconds := range h.CPU {
		e.counter("appliance_host_cpu_seconds_total", seconds, mode)
	}
	e.gauge("appliance_host_load1", h.Load[0])
	e.gauge("appliance_host_load5", h.Load[1])
	e.gauge("appliance_host_load15", h.Load[2])
	if d := h.Disk; d != nil {
		e.gauge("appliance_data_disk_bytes", float64(d.Total))
		e.gauge("appliance_data_disk_available_bytes", float64(d.Available))
		if d.Inodes > 0 {
			e.gauge("appliance_data_disk_inodes", float64(d.Inodes))
			e.gauge("appliance_data_disk_inodes_free", float64(d.InodesFree))
		}
	}
}
