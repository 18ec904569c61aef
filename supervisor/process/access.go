package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// identity is whose permissions count.
type identity struct {
	uid    int
	groups []int // the first is the primary one
}

func identityOf(spec Spec) identity {
	if spec.UID != NoChange {
		return identity{spec.UID, append([]int{spec.GID}, spec.Groups...)}
	}
	groups, _ := os.Getgroups()
	return identity{os.Geteuid(), append([]int{os.Getegid()}, groups...)}
}

func (w identity) String() string { return fmt.Sprintf("uid %d", w.uid) }

// may reports whether the mode bits grant what (4 read, 2 write, 1 execute). Access lists are not consulted: this only explains a refusal
// that the kernel has already spoken.
func (w identity) may(st *unix.Stat_t, what uint32) bool {
	switch {
	case w.uid == 0: // DAC_OVERRIDE, or the owner of most; executing needs one x bit
		return what != 1 || st.Mode&unix.S_IFMT == unix.S_IFDIR || st.Mode&0o111 != 0
	case uint32(w.uid) == st.Uid:
		return st.Mode>>6&what == what
	case slices.Contains(w.groups, int(st.Gid)):
		return st.Mode>>3&what == what
	default:
		return st.Mode&what == what
	}
}

// fault is what is wrong with a path.
type fault struct {
	step                 Step
	path, detail, remedy string
}

// Traversable checks that uid with its groups can reach path: every directory above it must let them pass. It returns the first that does not, with its
// mode and owner, or "".
func Traversable(path string, uid int, groups ...int) string {
	if f := checkParents(path, identity{uid, groups}); f != nil {
		return f.detail
	}
	return ""
}

func checkParents(path string, who identity) *fault {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	dir := "/"
	for _, name := range strings.Split(strings.Trim(filepath.Dir(path), "/"), "/") {
		dir = filepath.Join(dir, name)
		var st unix.Stat_t
		if err := unix.Stat(dir, &st); err != nil {
			return &fault{StepExec, dir, fmt.Sprintf("directory %s: %v", dir, err), ""}
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return &fault{StepExec, dir, dir + " is not a directory", ""}
		}
		if !who.may(&st, 1) {
			return &fault{StepExec, dir, fmt.Sprintf("directory %s (mode %04o, owner %d:%d) does not let %s pass", dir, st.Mode&0o7777, st.Uid, st.Gid, who),
				"chmod o+x " + dir}
		}
	}
	return nil
}

func checkDirectory(dir string, who identity) *fault {
	var st unix.Stat_t
	err := unix.Stat(dir, &st)
	switch {
	case err != nil:
		return &fault{StepChdir, dir, "working directory", ""}
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return &fault{StepChdir, dir, "the working directory is not a directory", ""}
	}
	if f := checkParents(filepath.Join(dir, "x"), who); f != nil {
		f.step = StepChdir
		return f
	}
	return nil
}
