package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
)

// monitoring are the programs of the distribution that the definitions know by their own names.
var monitoring = map[string]string{"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager", "node_exporter": "prometheus-node-exporter"}

// TestMonitoringOfTheDistribution runs the definitions of Prometheus, Alertmanager and node-exporter with Debian's programs, in place of those that a release
// of stand-ins lacks: the real ones take the argv and the files that are written for them, listen on loopback alone, find every service, and load every alert.
func TestMonitoringOfTheDistribution(t *testing.T) {
	a := install(t)
	a.b.release = standInRelease(t, "7.5.4453")
	for name, program := range monitoring {
		_, err := exec.LookPath(program)
		require.NoError(t, err, "apt-get install %s", program)
		require.NoError(t, os.Remove(filepath.Join(a.b.release, "bin", name)))
	}
	a.top = "allow_old_postgres: true\nmetrics: {listen: " + freeAddr(t) + "}\n"
	on := []string{"disabled: false"}
	a.configureAll(map[string][]string{"prometheus": on, "alertmanager": on, "node-exporter": on})
	a.up()
	_, list := a.status()
	for _, name := range []string{"prometheus", "alertmanager", "node-exporter"} {
		require.Equal(t, api.Ready, list[name].State, name)
		require.EqualValues(t, 1, list[name].Run, name)
		require.Equal(t, "host", list[name].Source, name)
	}
	a.requireLoopback()

	conf := filepath.Join(dirOf(t, list["prometheus"]), "prometheus.yml")
	a.step(t, "promtool finds nothing wrong with the configuration and the rules", func(t *testing.T) {
		out, err := exec.Command("promtool", "check", "config", conf).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "SUCCESS")
		out, err = exec.Command("promtool", "check", "rules", filepath.Join(filepath.Dir(conf), "appliance_rules.yml")).CombinedOutput()
		require.NoError(t, err, string(out))
	})

	ask := func(path string, into any) {
		t.Helper()
		resp, err := http.Get("http://" + list["prometheus"].Addresses["http"] + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.NoError(t, json.NewDecoder(resp.Body).Decode(into))
	}
	a.step(t, "every alert is loaded, and leads to Alertmanager", func(t *testing.T) {
		var rules struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, Health string }
				}
			}
		}
		ask("/api/v1/rules", &rules)
		var want, got []string
		for _, alert := range services.Alerts() {
			want = append(want, alert.Name)
		}
		for _, g := range rules.Data.Groups {
			for _, r := range g.Rules {
				got = append(got, r.Name)
			}
		}
		require.Equal(t, want, got)
		var receivers struct {
			Data struct {
				ActiveAlertmanagers []struct{ URL string }
			}
		}
		require.True(t, a.eventually(func() bool {
			ask("/api/v1/alertmanagers", &receivers)
			return len(receivers.Data.ActiveAlertmanagers) == 1
		}))
		require.Contains(t, receivers.Data.ActiveAlertmanagers[0].URL, list["alertmanager"].Addresses["http"])
	})

	a.step(t, "every target is up", func(t *testing.T) {
		hasten(t, conf, list["prometheus"].PID)
		var targets struct {
			Data struct {
				ActiveTargets []struct {
					Labels            map[string]string
					Health, LastError string
				}
			}
		}
		var away, found []string
		require.True(t, a.eventually(func() bool {
			ask("/api/v1/targets?state=active", &targets)
			away, found = nil, nil
			for _, target := range targets.Data.ActiveTargets {
				found = append(found, target.Labels["service"])
				if target.Health != "up" {
					away = append(away, target.Labels["job"]+" "+target.Labels["service"]+": "+target.Health+" "+target.LastError)
				}
			}
			return len(found) > 0 && len(away) == 0 // none yet while it reads its configuration
		}), "%v", &away)
		for _, name := range strings.Fields("frontend gitserver searcher worker zoekt-webserver prometheus alertmanager node-exporter") {
			require.True(t, slices.Contains(found, name), "%s is not among %v", name, found)
		}
		require.Contains(t, found, "", "the appliance itself")
		var firing struct {
			Data struct {
				Alerts []struct{ Labels map[string]string }
			}
		}
		ask("/api/v1/alerts", &firing)
		for _, alert := range firing.Data.Alerts {
			require.NotContains(t, []string{"ApplianceAway", "ServiceMetricsAway", "ServiceNotReady", "ServiceFailed"}, alert.Labels["alertname"])
		}
	})
	require.Equal(t, 0, a.stop(), a.out)
}

// dirOf is where a service's written files lie.
func dirOf(t *testing.T, s api.Service) string {
	t.Helper()
	line, err := os.ReadFile("/proc/" + strconv.Itoa(s.PID) + "/cmdline")
	require.NoError(t, err)
	_, rest, found := bytes.Cut(line, []byte("--config.file="))
	require.True(t, found, string(line))
	path, _, _ := bytes.Cut(rest, []byte{0})
	return filepath.Dir(string(path))
}

// hasten has the targets asked each second: the configuration's half a minute is nothing to wait for.
func hasten(t *testing.T, conf string, pid int) {
	t.Helper()
	text, err := os.ReadFile(conf)
	require.NoError(t, err)
	require.Contains(t, string(text), "scrape_interval: 30s")
	require.NoError(t, os.WriteFile(conf, bytes.ReplaceAll(text, []byte("interval: 30s"), []byte("interval: 1s")), 0o600)) // the owner stays
	require.NoError(t, syscall.Kill(pid, syscall.SIGHUP))
}
