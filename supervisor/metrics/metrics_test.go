package metrics

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write REFERENCE.md")

// fixed is a Source that always says the same.
type fixed struct{ s Snapshot }

func (f fixed) Snapshot(context.Context) Snapshot { return f.s }

// full has every figure, so that every family is shown.
func full() Snapshot {
	at := time.Unix(1_700_000_000, 500e6)
	var t Tally
	t.Observe(View{State: "starting", Since: at})
	t.Observe(View{State: "ready", Since: at.Add(70 * time.Millisecond)})
	t.Observe(View{State: "starting", Since: at, Restarts: 2, Killed: true, Cause: "signal"})
	t.Missed(true)
	t.Missed(false)
	t.OOMKilled(3)
	return Snapshot{
		Version: "1.0.0", Product: "demo", Release: "2.0.0", Limits: "v2", Isolation: "full", Ready: true, Since: at, Lives: 2,
		Instances: []Instance{{
			Service: "gitserver", Number: 1, State: "starting", Wanted: true, Since: at, ReadySince: at, Run: 3, MemoryLimit: 1 << 30, Tally: t.Counts(),
			Log: Log{Lines: 10, Bytes: 1000, DroppedLines: 1, DroppedBytes: 100, Waiting: 5},
			Use: &Use{Memory: 1 << 20, MemoryPeak: 2 << 20, CPU: 1500 * time.Millisecond, Processes: 2, Tasks: 7, FDs: 9},
		}},
		Host: &Host{
			MemoryTotal: 8 << 30, MemoryAvailable: 4 << 30, Load: [3]float64{1, 2, 3}, CPU: map[string]float64{"user": 5, "idle": 6}, CPUs: 2,
			Disk: &Disk{Total: 100, Available: 50, Inodes: 10, InodesFree: 5},
		},
		Events: Events{Open: true, Appended: 5, Written: 4, Dropped: 1},
		Door: &Door{
			Since: at, Requests: map[Answer]uint64{{"proxy", 200}: 7}, Bounds: []float64{.1, 1}, Latency: []uint64{5, 1, 1}, Seconds: 3.5,
			HeldTotal: 2, HeldRefused: 1, Refused: 1, BytesIn: 10, BytesOut: 20, Connections: 3, InFlight: 1, Held: 1, CertificateOK: true, CertificateEnd: at,
		},
		DoorAnswered: true, SnapshotFaults: 1,
	}
}

func TestEveryFamilyIsShownAndClean(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(NewCollector(fixed{full()})))
	got, err := r.Gather()
	require.NoError(t, err)
	shown := map[string]string{}
	for _, f := range got {
		shown[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	want := map[string]string{}
	for _, f := range families() {
		want[f.name] = f.kind
	}
	require.Equal(t, want, shown, "the table of families says what is shown, and nothing else is")
	problems, err := promlint.NewWithMetricFamilies(got).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestUnitIsInTheName(t *testing.T) {
	for _, f := range families() {
		base := strings.TrimSuffix(f.name, "_total")
		for _, unit := range []string{"seconds", "bytes"} {
			in := strings.HasSuffix(base, "_"+unit) || strings.Contains(f.name, "_"+unit+"_")
			if f.unit == "" {
				require.False(t, strings.HasSuffix(base, "_"+unit), f.name)
			} else if f.unit == unit && !strings.HasSuffix(f.name, "lines_total") {
				require.True(t, in, f.name)
			}
		}
		require.Equal(t, f.kind == "counter", strings.HasSuffix(f.name, "_total"), f.name)
		require.True(t, strings.HasSuffix(f.help, "."), f.name)
	}
}

// page is what a scrape shows of one family after the other.
func page(t *testing.T, s Snapshot) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(fixed{s}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, 200, w.Code)
	return w.Body.String()
}

func TestValues(t *testing.T) {
	got := page(t, full())
	for _, line := range []string{
		`appliance_service_restarts_total{cause="signal",replica="1",service="gitserver"} 2`,
		`appliance_service_restarts_total{cause="oom",replica="1",service="gitserver"} 0`,
		`appliance_service_oom_kills_total{replica="1",service="gitserver"} 3`,
		`appliance_service_cpu_seconds_total{replica="1",service="gitserver"} 1.5`,
		`appliance_service_state_timestamp_seconds{replica="1",service="gitserver"} 1.7000000005e+09`,
		`appliance_service_state{replica="1",service="gitserver",state="starting"} 1`,
		`appliance_service_state{replica="1",service="gitserver",state="ready"} 0`,
		`appliance_service_probe_failures_total{probe="live",replica="1",service="gitserver"} 1`,
		`appliance_service_ready_duration_seconds_bucket{replica="1",service="gitserver",le="0.05"} 0`,
		`appliance_service_ready_duration_seconds_bucket{replica="1",service="gitserver",le="0.25"} 1`,
		`appliance_door_request_duration_seconds_bucket{le="0.1"} 5`,
		`appliance_door_request_duration_seconds_bucket{le="1"} 6`,
		`appliance_door_request_duration_seconds_bucket{le="+Inf"} 7`,
		`appliance_door_request_duration_seconds_sum 3.5`,
		`appliance_door_requests_total{code="200",mode="proxy"} 7`,
		`appliance_grade_info{isolation="full",limits="v2"} 1`,
		`appliance_supervisor_lives_total 2`,
	} {
		require.Contains(t, got, "\n"+line+"\n")
	}
	require.Contains(t, got, "\nprocess_resident_memory_bytes ")
	require.Contains(t, got, "\ngo_goroutines ")
}

func TestWhatIsNotKnownIsNotShown(t *testing.T) {
	got := page(t, Snapshot{Instances: []Instance{{Service: "worker", State: "stopped"}}})
	for _, absent := range []string{
		"appliance_service_memory_bytes", "appliance_service_cpu_seconds_total", "appliance_service_ready_timestamp_seconds",
		"appliance_door_requests_in_flight", "appliance_host_load1", "appliance_data_disk_bytes",
	} {
		require.NotContains(t, got, absent)
	}
	require.Equal(t, len(states), strings.Count(got, "\nappliance_service_state{"))
	require.Contains(t, got, "\nappliance_door_up 0\n")
}

func TestTallyCountsEachThingOnce(t *testing.T) {
	at := time.Unix(0, 0)
	var y Tally
	y.Resume(View{Restarts: 4, Killed: true})
	y.Observe(View{State: "ready", Restarts: 4, Killed: true}) // an adopted run that was ready before
	require.Zero(t, y.Counts().Killed)
	require.Empty(t, y.Counts().Restarts)
	require.Zero(t, y.Counts().Ready)

	y.Observe(View{State: "stopping", Restarts: 4, Cause: "exit"})
	y.Observe(View{State: "stopping", Restarts: 4, Cause: "exit", Killed: true})
	y.Observe(View{State: "backoff", Restarts: 4, Cause: "exit", Killed: true})
	y.Observe(View{State: "starting", Since: at, Restarts: 5, Cause: "exit"})
	y.Observe(View{State: "starting", Since: at, Restarts: 5, Cause: "exit"}) // published again for another reason
	y.Observe(View{State: "stopping", Since: at.Add(time.Hour), Restarts: 5, Cause: "oom"})
	y.Observe(View{State: "waiting", Since: at.Add(time.Hour), Restarts: 5, Cause: "oom"})
	y.Observe(View{State: "starting", Since: at.Add(2 * time.Hour), Restarts: 6, Cause: "oom"})
	y.Observe(View{State: "ready", Since: at.Add(2*time.Hour + 3*time.Second), Restarts: 6, Cause: "oom"})
	y.Observe(View{State: "degraded", Restarts: 6, Cause: "oom"})
	y.Observe(View{State: "ready", Since: at.Add(9 * time.Hour), Restarts: 6, Cause: "oom"}) // back, not started
	got := y.Counts()
	require.Equal(t, map[string]uint64{"exit": 1, "oom": 1}, got.Restarts)
	require.EqualValues(t, 1, got.Killed)
	require.InDelta(t, 3, got.ReadySum, 1e-9)
	require.EqualValues(t, 1, got.Ready[4], "5 s is the bound above 3 s")

	got.Restarts["exit"] = 99
	require.EqualValues(t, 1, y.Counts().Restarts["exit"], "what was given away is a copy")
}

func TestOneshotIsReadyWhenItIsDone(t *testing.T) {
	at := time.Unix(0, 0)
	var y Tally
	y.Observe(View{State: "starting", Since: at})
	y.Observe(View{State: "stopping", Since: at.Add(time.Second)})
	y.Observe(View{State: "ready", Since: at.Add(time.Second)})
	require.InDelta(t, 1, y.Counts().ReadySum, 1e-9)
}

func TestDoorsAddUp(t *testing.T) {
	var d Doors
	require.Nil(t, d.Last())
	first := Door{PID: 1, Since: time.Unix(1, 0), Requests: map[Answer]uint64{{"proxy", 200}: 5}, Latency: []uint64{5, 0}, Seconds: 1, HeldTotal: 1, BytesIn: 10, Held: 4}
	d.Add(first)
	first.Requests, first.Latency = map[Answer]uint64{{"proxy", 200}: 7}, []uint64{6, 1}
	require.EqualValues(t, 7, d.Add(first).Requests[Answer{"proxy", 200}], "the same door again")
	second := Door{PID: 1, Since: time.Unix(2, 0), Requests: map[Answer]uint64{{"hold", 503}: 1}, Latency: []uint64{0, 1}, Seconds: 2, HeldTotal: 2, BytesIn: 1}
	for range 3 {
		sum := d.Add(second)
		require.Equal(t, map[Answer]uint64{{"proxy", 200}: 7, {"hold", 503}: 1}, sum.Requests)
		require.Equal(t, []uint64{6, 2}, sum.Latency)
		require.EqualValues(t, 3, sum.HeldTotal)
		require.EqualValues(t, 11, sum.BytesIn)
		require.InDelta(t, 3, sum.Seconds, 1e-9)
		require.Zero(t, sum.Held, "what is now is the present door's")
		require.Equal(t, sum, *d.Last())
	}
}

// slow is a Source that answers when told.
type slow struct{ asked, answer chan struct{} }

func (s slow) Snapshot(context.Context) Snapshot {
	s.asked <- struct{}{}
	<-s.answer
	return Snapshot{}
}

func TestScrapesAreBounded(t *testing.T) {
	s := slow{make(chan struct{}), make(chan struct{})}
	h := Handler(s)
	var all sync.WaitGroup
	scrape := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w
	}
	for range scrapesAtOnce {
		all.Go(func() { require.Equal(t, 200, scrape().Code) })
		<-s.asked
	}
	require.Equal(t, http.StatusServiceUnavailable, scrape().Code)
	close(s.answer)
	all.Wait()
}

func TestReferenceIsCurrent(t *testing.T) {
	if *update {
		require.NoError(t, os.WriteFile("REFERENCE.md", []byte(Reference()), 0o644))
	}
	text, err := os.ReadFile("REFERENCE.md")
	require.NoError(t, err)
	require.Equal(t, Reference(), string(text), "go test ./supervisor/metrics -update")
}
