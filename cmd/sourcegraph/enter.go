package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// replaceBy enters a service's cgroups, user and directory, and replaces this process. It returns only with an error.
//
// Limits come first, since a service's user may not write them; then the user, and no way back. Source: capabilities(7), no_new_privs(2const).
func replaceBy(spec api.ExecSpec, program string, argv, env []string) error {
	for _, file := range spec.Cgroups {
		if err := os.WriteFile(file, []byte("0"), 0); err != nil {
			return fmt.Errorf("enter the service's limits: %w", err)
		}
	}
	if err := takeUser(spec); err != nil {
		return err
	}
	if err := os.Chdir(spec.Dir); err != nil {
		return fmt.Errorf("enter the service's directory: %w", err)
	}
	runtime.LockOSThread() // no_new_privs is a thread's, and the one that calls exec keeps it
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up ways to more privileges: %w", err)
	}
	err := syscall.Exec(program, argv, env)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EACCES) {
		return &api.Error{Code: exitUsage, Message: fmt.Sprintf("run %s as uid %d: %v", program, spec.UID, err)}
	}
	return fmt.Errorf("run %s: %w", program, err)
}

// takeUser becomes the service's user; it is refused to who is neither root nor that user.
func takeUser(spec api.ExecSpec) error {
	if os.Geteuid() != 0 {
		if spec.UID != os.Geteuid() {
			return &api.Error{Code: exitRefused, Message: fmt.Sprintf("only root may become uid %d", spec.UID), Remedy: "use sudo"}
		}
		return nil
	}
	groups := append([]int{}, spec.Groups...)
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("take the service's groups: %w", err)
	}
	if err := syscall.Setgid(spec.GID); err != nil {
		return fmt.Errorf("take the service's group %d: %w", spec.GID, err)
	}
	if err := syscall.Setuid(spec.UID); err != nil {
		return fmt.Errorf("take the service's user %d: %w", spec.UID, err)
	}
	return nil
}
