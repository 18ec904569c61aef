package main

import (
	"os"
	"regexp"
	"strings"
)

// thirdParty is a program of others: where it listens is said by flags, by variables or in a file.
type thirdParty struct {
	flags    map[string]string // address flags, with what they are when nobody says
	env      map[string]string // variables that hold an address, likewise
	file     string            // flag that names the configuration file, which must be there
	inFile   string            // pattern of addresses in it, the first group
	dirs     []string          // flags that name directories of its own
	paths    []string          // answered on every port
	variable []string          // variables that it needs
	joined   func(*program) []string
}

// thirdParties: flags and defaults are those of the programs' own help.
func thirdParties() map[string]thirdParty {
	prometheus := []string{"/-/ready", "/-/healthy", "/metrics"}
	endpoint := `(?:endpoint|address|addr): *'?([0-9.]*:\d+)`
	return map[string]thirdParty{
		"prometheus":          {flags: map[string]string{"web.listen-address": ":9090"}, file: "config.file", dirs: []string{"storage.tsdb.path"}, paths: prometheus},
		"alertmanager":        {flags: map[string]string{"web.listen-address": ":9093", "cluster.listen-address": ":9094"}, file: "config.file", dirs: []string{"storage.path"}, paths: prometheus},
		"node_exporter":       {flags: map[string]string{"web.listen-address": ":9100"}, paths: []string{"/", "/metrics"}},
		"postgres_exporter":   {flags: map[string]string{"web.listen-address": ":9187"}, file: "extend.query-path", variable: []string{"DATA_SOURCE_URI", "DATA_SOURCE_USER", "DATA_SOURCE_PASS"}, paths: []string{"/", "/metrics"}},
		"redis_exporter":      {env: map[string]string{"REDIS_EXPORTER_WEB_LISTEN_ADDRESS": ":9121"}, variable: []string{"REDIS_ADDR", "REDIS_PASSWORD"}, paths: []string{"/health", "/metrics"}},
		"grafana-server":      {file: "config", joined: grafanaAddress, paths: []string{"/api/health", "/metrics"}},
		"minio":               {flags: map[string]string{"address": ":9000"}, joined: minioConsole, variable: []string{"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"}, paths: []string{"/minio/health/live"}},
		"s3proxy":             {file: "properties", inFile: `s3proxy\.endpoint=http://(\S+)`, paths: []string{"/{$}"}},
		"otelcol-sourcegraph": {file: "config", inFile: endpoint, paths: []string{"/", "/metrics"}},
		"cadvisor":            {joined: func(p *program) []string { return []string{p.flag("listen_ip", "") + ":" + p.flag("port", "8080")} }, paths: []string{"/healthz", "/metrics"}},
		"qdrant": {joined: func(*program) []string {
			return []string{os.Getenv("QDRANT__SERVICE__HOST") + ":" + os.Getenv("QDRANT__SERVICE__HTTP_PORT"), os.Getenv("QDRANT__SERVICE__HOST") + ":" + os.Getenv("QDRANT__SERVICE__GRPC_PORT")}
		}, paths: []string{"/readyz", "/healthz", "/metrics"}},
	}
}

func (s thirdParty) run(p *program) {
	p.needs(s.variable...)
	var addresses []string
	for flag, otherwise := range s.flags {
		addresses = append(addresses, p.flag(flag, otherwise))
	}
	for name, otherwise := range s.env {
		if value := os.Getenv(name); value != "" {
			otherwise = value
		}
		addresses = append(addresses, otherwise)
	}
	if s.inFile != "" {
		for _, found := range regexp.MustCompile(s.inFile).FindAllStringSubmatch(p.configuration(s.file), -1) {
			addresses = append(addresses, found[1])
		}
	} else if s.file != "" {
		p.configuration(s.file)
	}
	if s.joined != nil {
		addresses = append(addresses, s.joined(p)...)
	}
	for _, flag := range s.dirs {
		p.owns(p.flag(flag, "."))
	}
	for _, addr := range addresses {
		if addr != "" {
			p.serve(addr, answers(s.paths...))
		}
	}
	p.untilTold()
}

// configuration is the text of the file that a flag names.
func (p *program) configuration(flag string) string {
	text, err := os.ReadFile(p.flag(flag, ""))
	if err != nil {
		p.dies(1, "--%s: %v", flag, err)
	}
	return string(text)
}

// grafanaAddress is in an ini file.
func grafanaAddress(p *program) []string {
	text := p.configuration("config")
	value := func(key, otherwise string) string {
		if m := regexp.MustCompile(`(?m)^` + key + ` *= *(\S*)`).FindStringSubmatch(text); m != nil {
			return m[1]
		}
		return otherwise
	}
	return []string{value("http_addr", "") + ":" + value("http_port", "3000")}
}

// minioConsole listens at random on all interfaces unless it is off. Its data lies in the last argument.
func minioConsole(p *program) []string {
	p.owns(p.args[len(p.args)-1])
	if strings.EqualFold(os.Getenv("MINIO_BROWSER"), "off") {
		return nil
	}
	return []string{":0"}
}

// syntect is the syntax highlighter, without the stabilizer of its image. ROCKET_KEEP_ALIVE: with it, clients see resets.
func syntect(p *program) {
	p.needs("ROCKET_PORT")
	if os.Getenv("ROCKET_KEEP_ALIVE") != "0" || os.Getenv("ROCKET_ENV") != "production" {
		p.dies(2, "ROCKET_KEEP_ALIVE=%q ROCKET_ENV=%q", os.Getenv("ROCKET_KEEP_ALIVE"), os.Getenv("ROCKET_ENV"))
	}
	p.serve(os.Getenv("ROCKET_ADDRESS")+":"+os.Getenv("ROCKET_PORT"), answers("/health"))
	p.untilTold()
}
