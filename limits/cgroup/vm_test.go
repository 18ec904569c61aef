package cgroup

import (
	"testing"

	"github.com/sourcegraph/appliance/limits/vm"
)

// TestInVMWithV2 runs this package's tests where cgroup2 has all controllers and nothing else is mounted.
func TestInVMWithV2(t *testing.T) {
	vm.Run(t, ".", ".", map[string]string{
		"/bin/sh":     "/bin/sh",
		"/bin/sleep":  "/bin/sleep",
		"/bin/true":   "/bin/true",
		"/bin/setsid": "/usr/bin/setsid",
	})
}
