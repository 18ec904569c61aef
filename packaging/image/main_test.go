// Package image_test runs the image in Docker, as its users do.
package image_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// image builds the image once, by `make image`, and gives its name. TestMain removes it.
var image = sync.OnceValues(func() (string, error) {
	name := fmt.Sprintf("sourcegraph-test:%d", os.Getpid())
	cmd := exec.Command("make", "-C", "../..", "image")
	cmd.Env = append(os.Environ(), "IMAGE="+name)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make image: %w\n%s", err, out)
	}
	return name, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dockerMissing() == nil {
		_ = exec.Command("docker", "image", "rm", fmt.Sprintf("sourcegraph-test:%d", os.Getpid())).Run() // it may never have been built
	}
	os.Exit(code)
}

// dockerMissing says why no image can be built here.
func dockerMissing() error {
	if os.Geteuid() != 0 {
		return errors.New("the image is built as root")
	}
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		return fmt.Errorf("no Docker answers: %w: %s", err, out)
	}
	return nil
}

// needImage gives the image. In CI the machine must have Docker.
func needImage(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: it takes minutes, and nothing of what runs in the image is built for the race detector")
	}
	if err := dockerMissing(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	name, err := image()
	require.NoError(t, err)
	return name
}

// docker runs a command that must succeed and gives its output.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	require.NoError(t, err, "docker %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}
