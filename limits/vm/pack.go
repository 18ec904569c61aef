package vm

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
)

// users of the guest; tests that need an unprivileged one find it here.
const (
	passwd = "root:x:0:0:root:/tmp:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
	group  = "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n"
)

// pack builds the test binary of the package in dir and the guest's init, and puts them with the files into an initramfs.
func pack(ctx context.Context, work, dir string, files map[string]string) (string, error) {
	tests, init := filepath.Join(work, "tests"), filepath.Join(work, "init")
	for _, args := range [][]string{
		{"test", "-c", "-o", tests, dir},
		{"build", "-o", init, "github.com/sourcegraph/appliance/limits/vm/init"},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %q: %w\n%s", args, err, out)
		}
	}
	all, err := withLibraries(ctx, files)
	if err != nil {
		return "", err
	}
	all["/init"], all["/tests"] = init, tests
	return write(filepath.Join(work, "initramfs"), all)
}

// library matches a line of ldd: "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)" or "/lib64/ld-linux-x86-64.so.2 (0x…)".
var library = regexp.MustCompile(`(?m)^\s+(?:\S+ => )?(/\S+) \(0x`)

// withLibraries adds what dynamic programs load. ldd fails for a static program or a data file, which need nothing.
func withLibraries(ctx context.Context, files map[string]string) (map[string]string, error) {
	all := map[string]string{}
	for guest, host := range files {
		if !path.IsAbs(guest) {
			return nil, fmt.Errorf("file %s for the virtual machine: its path in the guest must be absolute", guest)
		}
		all[guest] = host
		out, err := exec.CommandContext(ctx, "ldd", host).Output()
		if err != nil {
			continue
		}
		for _, m := range library.FindAllStringSubmatch(string(out), -1) {
			all[m[1]] = m[1]
		}
	}
	return all, nil
}

// write makes an initramfs of files of this machine.
func write(name string, files map[string]string) (string, error) {
	out, err := os.Create(name)
	if err != nil {
		return "", err
	}
	defer out.Close()
	a := newArchive(out)
	for _, dir := range []string{"proc", "sys", "dev", "tmp", "run", "etc"} {
		a.directory(dir)
	}
	a.file("etc/passwd", 0o644, []byte(passwd))
	a.file("etc/group", 0o644, []byte(group))
	for _, guest := range slices.Sorted(maps.Keys(files)) {
		data, err := os.ReadFile(files[guest])
		if err != nil {
			return "", fmt.Errorf("file %s for the virtual machine: %w", guest, err)
		}
		info, err := os.Stat(files[guest])
		if err != nil {
			return "", fmt.Errorf("file %s for the virtual machine: %w", guest, err)
		}
		a.file(path.Clean(guest)[1:], uint32(info.Mode().Perm()), data)
	}
	return name, a.close()
}
