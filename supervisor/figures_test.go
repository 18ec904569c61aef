package supervisor_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
)

// machine is an appliance of one service, victim, whose metrics are looked at.
type machine struct {
	*appliance
	admin    *http.Client
	scrapeAt string
}

func startMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{appliance: newAppliance(t), scrapeAt: freeAddress(t)}
	m.admin = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(m.data, "run", "admin.sock"))
		},
	}}
	m.configure("metrics:\n  listen: %s\n", m.scrapeAt)
	m.service("victim", "idle", "ready: {log: idle begins}\n") // killed before it wrote, a run has no line
	m.run()
	return m
}

// page is a scrape over the socket; empty if nobody answers.
func (m *machine) page() string {
	return body(m.admin.Get("http://admin/metrics"))
}

// tcp is a scrape as Prometheus does it.
func (m *machine) tcp() string {
	return body(http.Get("http://" + m.scrapeAt + "/metrics"))
}

func body(resp *http.Response, err error) string {
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		return ""
	}
	return string(b)
}

// value is that of one series; -1 if it is not there.
func value(page, series string) float64 {
	lines := bufio.NewScanner(strings.NewReader(page))
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), series+" "); ok {
			if v, err := strconv.ParseFloat(text, 64); err == nil {
				return v
			}
		}
	}
	return -1
}

// shows scrapes until the page is as wanted.
func (m *machine) shows(what string, scrape func() string, is func(page string) bool) (page string) {
	m.t.Helper()
	m.until(what, func() bool { page = scrape(); return page != "" && is(page) }, func() any { return page })
	return page
}

const (
	victimReady     = `appliance_service_state{replica="0",service="victim",state="ready"}`
	victimRun       = `appliance_service_run_number{replica="0",service="victim"}`
	victimSignalled = `appliance_service_restarts_total{cause="signal",replica="0",service="victim"}`
	doorAnswers     = `appliance_door_requests_total{code="200",mode="progress"}`
)

func TestScrapesShowWhatHappens(t *testing.T) {
	t.Parallel()
	m := startMachine(t)
	first := m.shows("the service is ready", m.page, func(p string) bool { return value(p, victimReady) == 1 })
	require.EqualValues(t, 1, value(first, victimRun))
	require.EqualValues(t, 0, value(first, victimSignalled))
	require.EqualValues(t, 1, value(first, `appliance_service_ready_duration_seconds_count{replica="0",service="victim"}`))
	require.Positive(t, value(first, `appliance_service_memory_bytes{replica="0",service="victim"}`))
	require.Positive(t, value(first, `appliance_service_open_fds{replica="0",service="victim"}`))
	require.EqualValues(t, 1, value(first, "appliance_supervisor_lives_total"))
	require.EqualValues(t, 0, value(first, "appliance_scrape_faults"))
	require.Positive(t, value(first, "appliance_host_memory_bytes"))
	require.Positive(t, value(first, "appliance_data_disk_bytes"))
	problems, err := promlint.New(strings.NewReader(first)).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		require.False(t, strings.HasPrefix(p.Metric, "appliance_"), "%+v", p)
	}

	t.Run("restarts are counted by cause", func(t *testing.T) {
		m.kill(m.find("victim").PID, syscall.SIGKILL)
		page := m.shows("the restart, over TCP", m.tcp, func(p string) bool { return value(p, victimReady) == 1 && value(p, victimRun) == 2 })
		require.EqualValues(t, 1, value(page, victimSignalled))
		require.EqualValues(t, 0, value(page, `appliance_service_restarts_total{cause="exit",replica="0",service="victim"}`))
		m.shows("the log of both runs", m.tcp, func(p string) bool {
			return value(p, `appliance_log_lines_total{replica="0",service="victim"}`) == 2 && value(p, `appliance_log_bytes_total{replica="0",service="victim"}`) == 24
		})
	})
	t.Run("sums outlive a front door", func(t *testing.T) {
		for range 3 {
			require.NoError(t, m.doorAnswers())
		}
		page := m.shows("the requests", m.page, func(p string) bool { return value(p, doorAnswers) >= 3 })
		seen, began := value(page, doorAnswers), value(page, "appliance_door_start_timestamp_seconds")
		m.kill(m.status().Appliance.DoorPID, syscall.SIGKILL)
		m.until("the next door answers", func() bool { return m.doorAnswers() == nil })
		m.shows("the next door, and the sum", m.page, func(p string) bool {
			return value(p, "appliance_door_up") == 1 && value(p, "appliance_door_start_timestamp_seconds") > began && value(p, doorAnswers) > seen
		})
	})
	t.Run("another supervisor goes on", func(t *testing.T) {
		m.kill(m.stage1(0), syscall.SIGKILL)
		page := m.shows("the next life, over TCP", m.tcp, func(p string) bool {
			return value(p, "appliance_supervisor_lives_total") == 2 && value(p, victimReady) == 1
		})
		require.EqualValues(t, 2, value(page, victimRun), "the service was adopted, not restarted")
		require.EqualValues(t, 0, value(page, victimSignalled), "and that is no restart")
		m.shows("the socket answers, too", m.page, func(p string) bool { return value(p, "appliance_supervisor_lives_total") == 2 })
	})
	resp, err := http.Get("http://" + m.scrapeAt + "/v1/status")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNotFound, resp.StatusCode, "the admin API is not on TCP")
	require.Zero(t, m.term())
}

func TestMetricsAddressInUseIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	a := newAppliance(t)
	a.configure("metrics: {listen: %q}\n", taken.Addr())
	require.Equal(t, 6, a.run().code())
	require.Contains(t, a.out.String(), "metrics.listen "+taken.Addr().String())
	require.Contains(t, a.out.String(), "choose another address for metrics.listen")
	a.noOneIsLeft()
}
