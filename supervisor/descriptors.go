package supervisor

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/supervisor/roster"
)

// What the supervisor holds open at most. Measured on cgroup v1: 39 without a service, 128 with 20 services that are probed by commands.
// The rest is room for starts that go on at once, for queries and for clients.
const (
	ownDescriptors     = 64
	serviceDescriptors = 8
)

// checkDescriptors refuses a limit that could not hold the plan: running out in the middle would be found out by the services (E26).
func checkDescriptors(instances int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	need := uint64(ownDescriptors + serviceDescriptors*instances)
	if limit.Max >= need {
		return nil
	}
	return &roster.Refusal{
		Code: roster.CodeInvalid, Err: fmt.Errorf("%d services need %d open files, and the limit is %d: too many open files", instances, need, limit.Max),
		Remedy: fmt.Sprintf("raise it: ulimit -Hn %d, or LimitNOFILE= in the unit that runs us", need),
	}
}
