package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// proxied is something in front of the origin.
type proxied struct {
	name, address string
}

// doorFigure loads the door and its peers in turn, with wrk over 32 connections.
func doorFigure(b *bench) (rows []row, err error) {
	dir, err := b.place("door")
	if err != nil {
		return nil, err
	}
	var running []*running
	defer func() {
		for _, r := range running {
			r.stop()
		}
	}()
	launch := func(c contestant, argv ...string) error {
		r, err := start(c, dir, argv)
		if err == nil {
			running = append(running, r)
		}
		return err
	}
	ports := map[string]string{}
	for _, name := range []string{"direct", us, "ReverseProxy", "haproxy", "nginx"} {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		ports[name] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	for _, p := range []struct {
		name string
		argv []string
	}{
		{"origin", []string{b.self, roleFlag, "origin", ports["direct"]}},
		{"bare", []string{b.self, roleFlag, "bare", ports["ReverseProxy"], ports["direct"]}},
	} {
		if err := launch(contestant{name: p.name, stop: syscall.SIGTERM}, p.argv...); err != nil {
			return nil, err
		}
	}
	front, err := startDoor(b.program, ports[us], ports["direct"])
	if err != nil {
		return nil, err
	}
	defer front.stop()
	all := []proxied{{"direct", ports["direct"]}, {us, ports[us]}, {"ReverseProxy", ports["ReverseProxy"]}}
	for name, setUp := range map[string]func(dir, listen, backend string) ([]string, error){"haproxy": setUpHaproxy, "nginx": setUpNginx} {
		argv, err := setUp(dir, ports[name], ports["direct"])
		if err != nil {
			return nil, err
		}
		if _, err := exec.LookPath(argv[0]); err != nil {
			continue
		}
		if err := launch(contestant{name: name, stop: syscall.SIGTERM}, argv...); err != nil {
			return nil, err
		}
		all = append(all, proxied{name, ports[name]})
	}
	for _, p := range all {
		if err := until(p.name+" answers", 5*time.Millisecond, func() bool { return answers("http://" + p.address + "/1KB") }); err != nil {
			return nil, fmt.Errorf("%w: %s", err, running[0].lastWords())
		}
	}
	return b.load(all)
}

func answers(url string) bool {
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (b *bench) load(all []proxied) ([]row, error) {
	small, p99, big := newSamples(), newSamples(), newSamples()
	for range b.rounds {
		for _, p := range all {
			rate, slow, err := wrk("http://" + p.address + "/1KB")
			if err != nil {
				return nil, err
			}
			small.add(p.name, rate/1000)
			p99.add(p.name, slow)
		}
		for _, p := range all {
			rate, _, err := wrk("http://" + p.address + "/1MB")
			if err != nil {
				return nil, err
			}
			big.add(p.name, rate*(1<<20)/1e6)
		}
	}
	least := 1.3 * small.median("ReverseProxy")
	return []row{
		{title: "front door, 1 KB responses, 32 connections", unit: "k/s", cells: small.cells(0.5), limit: least, target: "≥ 1.3 × ReverseProxy = " + short(least)},
		{title: "its p99", unit: "ms", cells: p99.cells(0.5), atMost: true, limit: 4, target: "≤ 4 ms"},
		{title: "front door, 1 MB responses", unit: "MB/s", cells: big.cells(0.5), limit: big.median("haproxy"), target: "≥ haproxy"},
	}, nil
}

func setUpHaproxy(dir, listen, backend string) ([]string, error) {
	file := filepath.Join(dir, "haproxy.cfg")
	return []string{"haproxy", "-q", "-f", file}, os.WriteFile(file, []byte(fmt.Sprintf(`global
  nbthread 2
defaults
  mode http
  option splice-auto
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind %s
  default_backend b
backend b
  http-reuse always
  server s %s
`, listen, backend)), 0o644)
}

func setUpNginx(dir, listen, backend string) ([]string, error) {
	file := filepath.Join(dir, "nginx.conf")
	return []string{"nginx", "-p", dir, "-e", filepath.Join(dir, "nginx.err"), "-c", file}, os.WriteFile(file, []byte(fmt.Sprintf(`daemon off;
user root;
worker_processes 2;
pid %[1]s/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  proxy_temp_path %[1]s/proxy;
  client_body_temp_path %[1]s/body;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  keepalive_requests 100000000;
  upstream b { server %[3]s; keepalive 64; keepalive_requests 100000000; }
  server {
    listen %[2]s;
    location / { proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_max_temp_file_size 0; }
  }
}
`, dir, listen, backend)), 0o644)
}

// wrk is requests a second, and the p99 in ms.
func wrk(url string) (rate, p99 float64, err error) {
	out, err := exec.Command("wrk", "-t1", "-c32", "-d3s", "--latency", url).CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("wrk %s: %w: %s", url, err, out)
	}
	if regexp.MustCompile(`Non-2xx`).Match(out) {
		return 0, 0, fmt.Errorf("wrk %s: not all were answered: %s", url, out)
	}
	m := regexp.MustCompile(`(?s)99%\s+([\d.]+)(us|ms|s).*Requests/sec:\s+([\d.]+)`).FindStringSubmatch(string(out))
	if m == nil {
		return 0, 0, fmt.Errorf("wrk %s says: %s", url, out)
	}
	p99, err = strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, 0, err
	}
	rate, err = strconv.ParseFloat(m[3], 64)
	return rate, p99 * map[string]float64{"us": .001, "ms": 1, "s": 1000}[m[2]], err
}
