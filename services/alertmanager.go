package services

// alertmanager groups and sends what Prometheus finds. It sends to nobody until the site gives it a configuration of its own:
// services.alertmanager.args: [--config.file=/etc/sourcegraph/alertmanager.yml].
// src: sourcegraph: docker-images/prometheus/{alertmanager.sh,config/alertmanager.yml} @3.38 (Alertmanager 0.23, retention 168h, a receiver that does nothing)
func alertmanager() Definition {
	return thirdParty(Definition{
		Name:     "alertmanager",
		Releases: from("3.38"),
		Spare:    true,
		Loss:     "alerts reach nobody",
		Command: []string{
			"alertmanager", "--config.file={{ .Run }}/alertmanager.yml", "--storage.path={{ .Data.alertmanager }}", "--data.retention=168h",
			"--web.listen-address={{ .Address.http }}", "--cluster.listen-address=", // no cluster, so no second port
		},
		Host:     &HostProgram{Names: []string{"alertmanager", "prometheus-alertmanager"}, Package: "prometheus-alertmanager"},
		Ports:    []Port{{Name: "http", Number: 9093}},
		Files:    []File{{Path: "{{ .Run }}/alertmanager.yml", Mode: 0o600, Content: alertmanagerConf}},
		Data:     []Data{{Name: "alertmanager", Path: "shared/alertmanager", Class: DataCache}}, // silences
		Ready:    readyHTTP("/-/ready", "http"),
		Live:     liveHTTP("/-/healthy", "http"),
		Log:      serviceLog("logfmt"),
		Budget:   Budget{Memory: 256 << 20, CPUWeight: 25, Pids: 128}, // ours: in compose it is inside Prometheus' 8g
		Outbound: []Destination{{To: "receivers of alerts", What: "alerts", Off: "there are none at first"}},
		Metrics:  &Metrics{Port: "http", Path: "/metrics", Job: "builtin-alertmanager"},
	})
}

const alertmanagerConf = `# Written by the appliance at each start
route:
  receiver: nobody
receivers:
  - name: nobody
`
