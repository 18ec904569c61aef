package services

// dockerMirror keeps what executors pull from Docker's registry. src: sourcegraph/docs: self-hosted/executors (docker registry mirror, port 5000);
// Docker distribution: "Configuring a registry"
//
// As a mirror it asks registry-1.docker.io how to sign in before it listens, and panics when there is no answer: without internet it does not
// start, and is tried again with back-off. src: Docker distribution: registry/handlers/app.go (NewRegistryPullThroughCache), registry/proxy/proxyauth.go
func dockerMirror() Definition {
	return thirdParty(Definition{
		Name:     "docker-mirror",
		Releases: from("3.38"),
		Optional: "only executors pull images through it, and it starts only where the internet can be reached",
		Loss:     "executors pull every image from the internet again",
		Command:  []string{"registry", "serve", "{{ .Run }}/registry.yml"},
		Host:     &HostProgram{Names: []string{"registry", "docker-registry"}, Package: "docker-registry"},
		Ports:    []Port{{Name: "http", Number: 5000}, {Name: "debug", Number: 5001}},
		Files:    []File{{Path: "{{ .Run }}/registry.yml", Mode: 0o600, Content: dockerMirrorConf}},
		Data:     []Data{{Name: "registry", Path: "shared/docker-mirror", Class: DataCache}},
		Ready:    readyHTTP("/v2/", "http"),
		Live:     liveHTTP("/v2/", "http"),
		Log:      serviceLog("json"),
		Budget:   Budget{Memory: 512 << 20, CPUWeight: 25, Pids: 128}, // ours
		Outbound: []Destination{{To: "registry-1.docker.io", What: "images that executors ask for", Off: "services.docker-mirror.disabled: true, which it is at first"}},
		Metrics:  &Metrics{Port: "debug", Path: "/metrics"},
	})
}

const dockerMirrorConf = `# Written by the appliance at each start
version: 0.1
log: {level: warn, formatter: json}
storage:
  filesystem: {rootdirectory: '{{ .Data.registry }}'}
  delete: {enabled: true}
http:
  addr: {{ .Address.http }}
  debug:
    addr: {{ .Address.debug }}
    prometheus: {enabled: true, path: /metrics}
proxy: {remoteurl: 'https://registry-1.docker.io'}
`
