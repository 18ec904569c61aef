package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/services"
)

func TestScrapeConfigAndRulesAreWhatPrometheusReads(t *testing.T) {
	var conf struct {
		Jobs []struct {
			Name    string `yaml:"job_name"`
			Path    string `yaml:"metrics_path"`
			Targets []struct {
				Targets []string
				Labels  map[string]string
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	got := runHere("services", "scrape-config", "--release-version", "7.5")
	require.Zero(t, got.code)
	require.NoError(t, yaml.Unmarshal([]byte(got.out), &conf))
	jobs := map[string]string{}
	for _, j := range conf.Jobs {
		require.NotEmpty(t, j.Path, j.Name)
		require.NotEmpty(t, j.Targets, j.Name)
		jobs[j.Name] = j.Targets[0].Targets[0] + " " + j.Targets[0].Labels["service"]
	}
	require.Equal(t, "127.0.0.1:9464 ", jobs["appliance"])
	require.Equal(t, "127.0.0.1:6063 frontend", jobs["frontend"])
	require.NotContains(t, jobs, "cadvisor", "it is off")

	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	got = runHere("services", "alert-rules")
	require.Zero(t, got.code)
	require.NoError(t, yaml.Unmarshal([]byte(got.out), &rules))
	require.Len(t, rules.Groups[0].Rules, len(services.Alerts()))
	require.Equal(t, exitUsage, runHere("services", "alert-rules", "x").code)
}

// TestAlertsNameCommandsThatExist: what an alert tells a person to type is a command of this program.
func TestAlertsNameCommandsThatExist(t *testing.T) {
	for _, a := range services.Alerts() {
		words := strings.Fields(a.Next)
		require.Equal(t, "sourcegraph", words[0], a.Name)
		require.Zero(t, runHere(words[1], "--help").code, "%s: %s", a.Name, a.Next)
	}
}
