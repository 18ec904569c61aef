package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// built is what all tests run: the binary and the demo release, in a directory that every user may enter.
type built struct {
	dir, binary, release string
}

// build makes both once, as the Makefile does. TestMain removes the directory.
var build = sync.OnceValues(func() (built, error) {
	dir, err := os.MkdirTemp("/tmp", "e2e-build-")
	if err != nil {
		return built{}, err
	}
	b := built{dir: dir, binary: filepath.Join(dir, "sourcegraph"), release: filepath.Join(dir, "demo", "1.0.0")}
	bin := filepath.Join(b.release, "bin")
	if err := errors.Join(os.Chmod(dir, 0o755), os.MkdirAll(bin, 0o755)); err != nil {
		return b, err
	}
	if err := compile(b.binary, "0.1.0", "./cmd/sourcegraph"); err != nil {
		return b, err
	}
	if err := compile(filepath.Join(bin, "frontend"), "1.0.0", "./cmd/demo"); err != nil {
		return b, err
	}
	for _, name := range []string{"gitserver", "searcher", "worker", "migrator"} {
		if err := os.Link(filepath.Join(bin, "frontend"), filepath.Join(bin, name)); err != nil {
			return b, err
		}
	}
	manifest := fmt.Sprintf(`{"schema": 1, "product": "demo", "version": "1.0.0", "arch": %q}`, runtime.GOARCH)
	return b, os.WriteFile(filepath.Join(b.release, "manifest.json"), []byte(manifest), 0o644)
})

func compile(to, version, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+version, "-o", to, pkg)
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if b, _ := build(); b.dir != "" {
		os.RemoveAll(b.dir)
	}
	os.Exit(code)
}
