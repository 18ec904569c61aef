package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// NoChange as Spec.UID leaves user, group and supplementary groups as they are: the one-user mode.
const NoChange = -1

// DefaultUmask applies when Spec.Umask is 0: no group or other may write what a service creates.
const DefaultUmask = 0o022

// Spec says how a process is born. The zero value of a field is its documented default, except UID and CgroupFD,
// where 0 is a real user and a real descriptor: set them to NoChange and -1.
type Spec struct {
	Program string   // absolute path of the executable
	Argv    []string // with argv[0]
	Env     []string // KEY=value; the whole environment
	Dir     string   // working directory, absolute

	UID, GID int      // UID NoChange: keep ours, and GID and Groups are not used
	Groups   []int    // supplementary groups, the run's mark among them
	Caps     []string // capabilities kept, by name without CAP_; nil: none, not even for uid 0

	NoFile      uint64 // soft limit of descriptors; 0: what the appliance itself was started with
	OOMScoreAdj int    // -1000..1000, written as it is
	Nice        int    // -20..19, not relative to ours
	Umask       int    // 0: DefaultUmask

	Input  *os.File   // nil: /dev/null; made blocking
	Output *os.File   // stdout and stderr; nil: /dev/null; made blocking
	Files  []*os.File // descriptors 3 and up

	CgroupFD  int      // directory of a v2 cgroup that it is born in; -1: none
	TaskFiles []string // v1 `tasks` files of the cgroups that it is born in
	HomeFiles []string // and those of ours in the same hierarchies, to which the thread that forks returns
}

func (s Spec) validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !filepath.IsAbs(s.Program) {
		fault("program %q is not an absolute path", s.Program)
	}
	if len(s.Argv) == 0 {
		fault("no argv[0]")
	}
	if !filepath.IsAbs(s.Dir) {
		fault("directory %q is not an absolute path", s.Dir)
	}
	if s.UID < NoChange || s.UID != NoChange && s.GID < 0 {
		fault("user %d:%d is not a pair of ids", s.UID, s.GID)
	}
	if len(s.TaskFiles) != len(s.HomeFiles) {
		fault("%d v1 cgroups to be born in and %d to return to", len(s.TaskFiles), len(s.HomeFiles))
	}
	for _, text := range append(append([]string{s.Program, s.Dir}, s.Argv...), s.Env...) {
		if strings.IndexByte(text, 0) >= 0 {
			fault("%q holds a NUL byte", text)
		}
	}
	if _, err := capNumbers(s.Caps); err != nil {
		faults = append(faults, err)
	}
	if s.OOMScoreAdj < -1000 || s.OOMScoreAdj > 1000 {
		fault("oom_score_adj %d is outside -1000..1000", s.OOMScoreAdj)
	}
	if s.Nice < -20 || s.Nice > 19 {
		fault("nice %d is outside -20..19", s.Nice)
	}
	if err := errors.Join(faults...); err != nil {
		return &ExecError{Step: StepSpec, Program: s.Program, Path: s.Program, Err: err}
	}
	return nil
}

func (s Spec) umask() int {
	if s.Umask == 0 {
		return DefaultUmask
	}
	return s.Umask
}
