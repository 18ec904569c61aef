package services

// grafana shows dashboards to the site's administrators, through the frontend at /-/debug/grafana.
// src: sourcegraph: docker-images/grafana/{entry.sh,Dockerfile,config/grafana.ini} @3.38 (7.5.15, port 3370, anonymous Editor);
// cmd/server/shared/monitoring.go @3.38 (-config, -homepath); sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453 (1 CPU, 1g)
func grafana() Definition {
	return thirdParty(Definition{
		Name:     "grafana",
		Releases: from("3.38"),
		Spare:    true,
		Loss:     "there are no dashboards",
		// Its pages and defaults lie beside bin/, as in its own archives. A release lays Sourcegraph's dashboards there too, in dashboards/.
		Command: []string{"grafana-server", "-homepath", `{{ .Bin ".." }}`, "-config", "{{ .Run }}/grafana.ini"},
		Ports:   []Port{{Name: "http", Number: 3370}},
		Wants:   []string{"prometheus"},
		Files: []File{
			{Path: "{{ .Run }}/grafana.ini", Mode: 0o600, Content: grafanaConf},
			{Path: "{{ .Data.datasources }}/appliance.yaml", Mode: 0o600, Content: grafanaDatasources},
			{Path: "{{ .Data.providers }}/appliance.yaml", Mode: 0o600, Content: grafanaProviders},
		},
		Data: []Data{
			{Name: "grafana", Path: "shared/grafana/data", Class: DataCache}, // ephemeral by Sourcegraph's own words
			{Name: "dashboards", Path: "shared/grafana/dashboards", Class: DataCache},
			{Name: "datasources", Path: "shared/grafana/provisioning/datasources", Class: DataNone},
			{Name: "providers", Path: "shared/grafana/provisioning/dashboards", Class: DataNone},
		},
		Ready:    readyHTTP("/api/health", "http"),
		Live:     liveHTTP("/api/health", "http"),
		Log:      serviceLog("logfmt"),
		Budget:   Budget{Memory: 1 << 30, CPUWeight: 25, Pids: 256}, // memory: compose @v7.5.4453
		Metrics:  &Metrics{Port: "http", Path: "/metrics"},
		Outbound: grafanaDestinations(),
	})
}

// grafanaConf is Sourcegraph's with the listener on loopback, a password that nobody knows by heart, and no calls home.
const grafanaConf = `# Written by the appliance at each start
[paths]
data = {{ .Data.grafana }}
logs = {{ .Data.grafana }}/log
plugins = {{ .Data.grafana }}/plugins
provisioning = {{ .Data.datasources }}/..
[server]
http_addr = 127.0.0.1
http_port = {{ .Port.http }}
root_url = %(protocol)s://%(domain)s/-/debug/grafana
serve_from_sub_path = true
[analytics]
reporting_enabled = false
check_for_updates = false
[security]
admin_password = """{{ .Secret.grafana }}"""
[snapshots]
external_enabled = false
[users]
allow_sign_up = false
[auth.anonymous]
enabled = true
org_name = Main Org.
org_role = Editor
[log]
mode = console
`

const grafanaDatasources = `# Written by the appliance at each start
apiVersion: 1
datasources:
  - name: Prometheus
    type: prometheus
    access: proxy
    url: http://{{ .PeerOr "prometheus" "http" "127.0.0.1:9090" }}
    isDefault: true
`

const grafanaProviders = `# Written by the appliance at each start
apiVersion: 1
providers:
  - {name: Sourcegraph, type: file, options: {path: '{{ .Bin "../dashboards" }}'}}
  - {name: Site, type: file, options: {path: '{{ .Data.dashboards }}'}}
`
