package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// contestant runs services its own way.
type contestant struct {
	name  string
	setUp func(b *bench, dir string, services []service) ([]string, error) // writes its files, returns its command
	stop  syscall.Signal
}

func ours() contestant    { return contestant{us, setUpOurs, syscall.SIGTERM} }
func floored() contestant { return contestant{"floor", setUpFloor, syscall.SIGTERM} }

// peers are those of the distribution that are installed.
func peers() []contestant {
	var out []contestant
	for _, p := range []contestant{
		{"runit", setUpRunit, syscall.SIGHUP}, {"s6", setUpS6, syscall.SIGTERM}, {"supervisord", setUpSupervisord, syscall.SIGTERM},
	} {
		if _, err := exec.LookPath(map[string]string{"runit": "runsvdir", "s6": "s6-svscan", "supervisord": "supervisord"}[p.name]); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func setUpOurs(b *bench, dir string, services []service) ([]string, error) {
	defs := map[string]any{}
	for _, s := range services {
		def := map[string]any{
			"command": b.argv(s), "restart": map[string]any{"delay": "0s", "reset_after": "1s"}, "needs": append([]string{}, s.needs...),
		}
		switch s.ready {
		case "notify":
			def["ready"] = map[string]any{"notify": true}
		case "http":
			probe := map[string]any{"http": "/", "port": "http", "every": "10s"}
			def["ports"], def["ready"], def["live"] = map[string]int{"http": s.port}, probe, probe
		}
		if s.pids > 0 {
			def["budget"] = map[string]any{"pids": s.pids}
		}
		if s.keep > 0 {
			def["log"] = map[string]any{"keep": s.keep}
		}
		defs[s.name] = def
	}
	text, err := json.Marshal(defs) // which is YAML
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "services.d"), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "services.d", "bench.yaml"), text, 0o644); err != nil {
		return nil, err
	}
	port, err := freePort()
	return []string{b.program, "--data", filepath.Join(dir, "data"), "--config", filepath.Join(dir, "appliance.yaml"), "run", "--release", "none",
		"--listen", fmt.Sprintf("127.0.0.1:%d", port)}, err
}

func setUpFloor(b *bench, dir string, services []service) ([]string, error) {
	var text strings.Builder
	for _, s := range services {
		text.WriteString(strings.Join(b.argv(s), " ") + "\n")
	}
	list := filepath.Join(dir, "list")
	return []string{b.floor, list}, os.WriteFile(list, []byte(text.String()), 0o644)
}

// scanned writes a directory of services as daemontools' heirs want it.
func scanned(b *bench, dir string, services []service) error {
	for _, s := range services {
		if err := os.MkdirAll(filepath.Join(dir, "scan", s.name), 0o755); err != nil {
			return err
		}
		run := "#!/bin/sh\nexec " + strings.Join(b.argv(s), " ") + "\n"
		if err := os.WriteFile(filepath.Join(dir, "scan", s.name, "run"), []byte(run), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func setUpRunit(b *bench, dir string, services []service) ([]string, error) {
	return []string{"runsvdir", "-P", filepath.Join(dir, "scan")}, scanned(b, dir, services)
}

func setUpS6(b *bench, dir string, services []service) ([]string, error) {
	return []string{"s6-svscan", filepath.Join(dir, "scan")}, scanned(b, dir, services)
}

func setUpSupervisord(b *bench, dir string, services []service) ([]string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "[supervisord]\nnodaemon=true\nlogfile=%[1]s/log\npidfile=%[1]s/pid\nchildlogdir=%[1]s\n", dir)
	for _, s := range services {
		fmt.Fprintf(&text, "[program:%s]\ncommand=%s\nautorestart=true\n", s.name, strings.Join(b.argv(s), " "))
	}
	file := filepath.Join(dir, "conf")
	return []string{"supervisord", "-c", file}, os.WriteFile(file, []byte(text.String()), 0o644)
}
