package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// limit for one boot with its tests; emulation is slow on a busy machine.
const limit = 10 * time.Minute

// guestMark is in the environment of the guest's tests.
const guestMark = "VM_GUEST"

// Inside says that this very process runs in the virtual machine.
func Inside() bool { return os.Getenv(guestMark) != "" }

// Run runs the tests of the package in dir whose names match pattern, as root in the guest, and fails t if one of them fails or none
// passes. Its name is taken out of the pattern's reach. Files maps paths in the guest to files of this machine; a program brings its
// shared libraries along. In the guest there is nothing else but the test binary, /tmp, /dev, /proc, /sys and an /etc/passwd.
func Run(t *testing.T, dir, pattern string, files map[string]string) {
	t.Helper()
	if Inside() {
		t.Skip("we are inside the virtual machine already")
	}
	qemu, kernel, err := tools()
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("no virtual machine: %v", err)
	}
	if err != nil {
		t.Fatalf("no virtual machine, and CI is set: %v", err)
	}
	initramfs, err := pack(t.Context(), t.TempDir(), dir, files)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	console, err := boot(ctx, qemu, kernel, initramfs, []string{"-test.v", "-test.run=" + pattern, "-test.skip=^" + regexp.QuoteMeta(t.Name()) + "$"})
	skipped, err := verdict(console, err)
	for _, name := range skipped {
		t.Logf("skipped in the guest: %s", name)
	}
	if err != nil {
		t.Fatalf("%v; its console:\n%s", err, console)
	}
}

// tools finds QEMU and a kernel.
func tools() (qemu, kernel string, err error) {
	qemu, err = exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return "", "", fmt.Errorf("%w: apt-get install qemu-system-x86", err)
	}
	root, err := moduleRoot()
	if err != nil {
		return "", "", err
	}
	var stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(root, ".ci", "vm-kernel"))
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", "", fmt.Errorf("find a kernel: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return qemu, strings.TrimSpace(string(out)), nil
}

// moduleRoot is the directory of go.mod above the running test.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the module: no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// boot runs the machine until it powers off and returns what it wrote to its serial console.
func boot(ctx context.Context, qemu, kernel, initramfs string, args []string) (string, error) {
	line := "console=ttyS0 quiet loglevel=1 panic=-1 psi=1 swapaccount=1 -- " + strings.Join(args, " ")
	cmd := exec.CommandContext(ctx, qemu,
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "512",
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-kernel", kernel, "-initrd", initramfs, "-append", line)
	var console bytes.Buffer
	cmd.Stdout, cmd.Stderr = &console, &console
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("not done after %s: %w", limit, ctx.Err())
	}
	return strings.ReplaceAll(console.String(), "\r\n", "\n"), err
}

var outcome = regexp.MustCompile(`(?m)^--- (PASS|SKIP): (\S+)`)

// verdict says why the tests did not pass, judging by the console, and which ones the guest skipped.
func verdict(console string, err error) (skipped []string, fault error) {
	passed := 0
	for _, m := range outcome.FindAllStringSubmatch(console, -1) {
		if m[1] == "PASS" {
			passed++
		} else {
			skipped = append(skipped, m[2])
		}
	}
	switch {
	case err != nil:
		return skipped, fmt.Errorf("run the virtual machine: %w", err)
	case !strings.Contains(console, "\n"+ExitLine(0)+"\n") || !strings.Contains(console, "\nPASS\n"):
		return skipped, errors.New("tests in the virtual machine failed")
	case passed == 0:
		return skipped, errors.New("no test in the virtual machine passed")
	}
	return skipped, nil
}

// ExitLine is how the guest's init tells the exit status of the tests.
func ExitLine(status int) string { return fmt.Sprintf("vm: tests exited with %d", status) }
