package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// buildAppliance makes the binary in a directory that the services' users may pass through.
func buildAppliance(t *testing.T) (dir, binary string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "figures-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	binary = filepath.Join(dir, "sourcegraph")
	build := exec.Command("go", "build", "-o", binary, "../cmd/sourcegraph")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir, binary
}

// machine is a whole appliance of one service of the site, started as a person would.
type machine struct {
	t                *testing.T
	cmd              *exec.Cmd
	admin            *http.Client
	listen, scrapeAt string
}

func startMachine(t *testing.T) *machine {
	t.Helper()
	dir, binary := buildAppliance(t)
	m := &machine{t: t, listen: freeAddress(t), scrapeAt: freeAddress(t)}
	etc := filepath.Join(dir, "etc")
	require.NoError(t, os.MkdirAll(filepath.Join(etc, "services.d"), 0o755))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644))
	}
	write("appliance.yaml", "metrics:\n  listen: "+m.scrapeAt+"\n")
	write("services.d/victim.yaml", "victim:\n  command: [/bin/sh, -c, \"echo hello; exec sleep 1000\"]\n")
	socket := filepath.Join(dir, "run", "admin.sock")
	m.admin = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	m.cmd = exec.Command(binary, "--data", filepath.Join(dir, "data"), "--run-dir", filepath.Join(dir, "run"), "--config", filepath.Join(etc, "appliance.yaml"),
		"run", "--release", "none", "--listen", m.listen)
	said, err := os.Create(filepath.Join(dir, "said"))
	require.NoError(t, err)
	defer said.Close()
	m.cmd.Stdout, m.cmd.Stderr = said, said
	require.NoError(t, m.cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, m.cmd.Process.Signal(syscall.SIGTERM))
		if err := m.cmd.Wait(); err != nil || t.Failed() {
			text, _ := os.ReadFile(said.Name())
			t.Errorf("the appliance ended with %v and said:\n%s", err, text)
		}
	})
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

// until scrapes until the page is as wanted.
func (m *machine) until(what string, scrape func() string, is func(page string) bool) (page string) {
	m.t.Helper()
	require.Eventually(m.t, func() bool { page = scrape(); return page != "" && is(page) }, 30*time.Second, 20*time.Millisecond, what)
	return page
}

func (m *machine) status() api.Status {
	m.t.Helper()
	var st api.Status
	require.NoError(m.t, json.Unmarshal([]byte(body(m.admin.Get("http://admin/v1/status"))), &st))
	require.Len(m.t, st.Services, 1)
	return st
}

func kill(t *testing.T, pid int) {
	t.Helper()
	require.Positive(t, pid)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
}

const (
	victimReady     = `appliance_service_state{replica="0",service="victim",state="ready"}`
	victimRun       = `appliance_service_run_number{replica="0",service="victim"}`
	victimSignalled = `appliance_service_restarts_total{cause="signal",replica="0",service="victim"}`
	doorAnswers     = `appliance_door_requests_total{code="200",mode="progress"}`
)

func TestScrapesShowWhatHappens(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts the whole appliance")
	}
	m := startMachine(t)
	first := m.until("the service is ready", m.page, func(p string) bool { return value(p, victimReady) == 1 })
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
		kill(t, m.status().Services[0].PID)
		page := m.until("the restart, over TCP", m.tcp, func(p string) bool { return value(p, victimReady) == 1 && value(p, victimRun) == 2 })
		require.EqualValues(t, 1, value(page, victimSignalled))
		require.EqualValues(t, 0, value(page, `appliance_service_restarts_total{cause="exit",replica="0",service="victim"}`))
		m.until("the log of both runs", m.tcp, func(p string) bool {
			return value(p, `appliance_log_lines_total{replica="0",service="victim"}`) == 2 && value(p, `appliance_log_bytes_total{replica="0",service="victim"}`) == 12
		})
	})
	t.Run("sums outlive a front door", func(t *testing.T) {
		for range 3 {
			require.NotEmpty(t, body(http.Get("http://"+m.listen+"/-/appliance/healthz")))
		}
		page := m.until("the requests", m.page, func(p string) bool { return value(p, doorAnswers) >= 3 })
		seen, began := value(page, doorAnswers), value(page, "appliance_door_start_timestamp_seconds")
		kill(t, m.status().Appliance.DoorPID)
		require.Eventually(t, func() bool { return body(http.Get("http://"+m.listen+"/-/appliance/healthz")) != "" }, 30*time.Second, 20*time.Millisecond)
		m.until("the next door, and the sum", m.page, func(p string) bool {
			return value(p, "appliance_door_up") == 1 && value(p, "appliance_door_start_timestamp_seconds") > began && value(p, doorAnswers) > seen
		})
	})
	t.Run("another supervisor goes on", func(t *testing.T) {
		kill(t, m.status().Appliance.PID)
		page := m.until("the next life, over TCP", m.tcp, func(p string) bool {
			return value(p, "appliance_supervisor_lives_total") == 2 && value(p, victimReady) == 1
		})
		require.EqualValues(t, 2, value(page, victimRun), "the service was adopted, not restarted")
		require.EqualValues(t, 0, value(page, victimSignalled), "and that is no restart")
		m.until("the socket answers, too", m.page, func(p string) bool { return value(p, "appliance_supervisor_lives_total") == 2 })
	})
	code, _ := fetch(t, "GET", "http://"+m.scrapeAt+"/v1/status")
	require.Equal(t, 404, code, "the admin API is not on TCP")
}

func TestMetricsAddressInUseIsRefusedAtTheStart(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts the whole appliance")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	dir, binary := buildAppliance(t)
	config := filepath.Join(dir, "appliance.yaml")
	require.NoError(t, os.WriteFile(config, []byte("metrics: {listen: \""+taken.Addr().String()+"\"}\n"), 0o644))
	cmd := exec.Command(binary, "--data", filepath.Join(dir, "data"), "--run-dir", filepath.Join(dir, "run"), "--config", config, "run", "--release", "none", "--listen", freeAddress(t))
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.NotZero(t, exit.ExitCode())
	require.Contains(t, string(said), "metrics.listen "+taken.Addr().String())
	require.Contains(t, string(said), "choose another address for metrics.listen")
}
