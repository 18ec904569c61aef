package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// places are the directories that a command works on.
type places struct {
	Data, Run, Config string
}

// The places of an installation by root, which the image shares.
const (
	systemData   = "/var/lib/sourcegraph"
	systemRun    = "/run/sourcegraph"
	systemConfig = "/etc/sourcegraph/appliance.yaml"
)

// imageMark is set in the image's environment.
const imageMark = "APPLIANCE_IMAGE"

// where finds the places: what was said, else the defaults of root, of the image, or of an ordinary user.
func where(said places) (places, error) {
	root, image := os.Geteuid() == 0, os.Getenv(imageMark) != ""
	p := said
	if p.Data == "" {
		switch {
		case root || image:
			p.Data = systemData
		default:
			dir, err := userDir("XDG_STATE_HOME", ".local/state")
			if err != nil {
				return p, fmt.Errorf("find the data directory: %w; name it with --data", err)
			}
			p.Data = filepath.Join(dir, "sourcegraph")
		}
	}
	if p.Run == "" {
		p.Run = filepath.Join(p.Data, "run")
		if root && !image && p.Data == systemData {
			p.Run = systemRun
		}
	}
	if p.Config == "" {
		switch {
		case image:
			p.Config = filepath.Join(p.Data, "config", "appliance.yaml")
		case root:
			p.Config = systemConfig
		default:
			dir, err := userDir("XDG_CONFIG_HOME", ".config")
			if err != nil {
				return p, fmt.Errorf("find the configuration: %w; name it with --config", err)
			}
			p.Config = filepath.Join(dir, "sourcegraph", "appliance.yaml")
		}
	}
	for _, path := range []*string{&p.Data, &p.Run, &p.Config} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return p, fmt.Errorf("make %s absolute: %w", *path, err)
		}
		*path = abs
	}
	return p, nil
}

func userDir(variable, below string) (string, error) {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, below), nil
}
