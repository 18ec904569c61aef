package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/process"
)

// nssNames gives users without an entry in passwd a name: initdb and ssh refuse to run without one (measured). The system's files and ours, in the run
// directory, are what libnss_wrapper shows to a service. Without the library the services start as they are, and say themselves what they lack.
type nssNames struct {
	library string // empty: there is none
	dir     string
}

// nssWrapperPlaces are where distributions put the library.
var nssWrapperPlaces = [...]string{"/usr/lib/*/libnss_wrapper.so", "/usr/lib/libnss_wrapper.so", "/usr/lib64/libnss_wrapper.so"}

func newNames(runDir string) nssNames {
	for _, pattern := range nssWrapperPlaces {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return nssNames{found[0], runDir}
		}
	}
	return nssNames{"", runDir}
}

// env is what a nameless service gets.
func (n nssNames) env(acc account) []string {
	if n.library == "" || acc.named {
		return nil
	}
	return []string{"LD_PRELOAD=" + n.library, "NSS_WRAPPER_PASSWD=" + filepath.Join(n.dir, "passwd"), "NSS_WRAPPER_GROUP=" + filepath.Join(n.dir, "group")}
}

// write makes the files for the users of a plan.
func (n nssNames) write(insts []services.Instance, account func(services.Instance) (account, error)) error {
	if n.library == "" {
		return nil
	}
	passwd, group := &strings.Builder{}, &strings.Builder{}
	seen := map[int]bool{}
	for _, inst := range insts {
		acc, err := account(inst)
		if err != nil {
			return err
		}
		uid, gid := acc.uid, acc.gid
		if uid == process.NoChange {
			uid, gid = os.Geteuid(), os.Getegid()
		}
		if acc.named || seen[uid] {
			continue
		}
		seen[uid] = true
		fmt.Fprintf(passwd, "%s:x:%d:%d::%s:/usr/sbin/nologin\n", inst.User, uid, gid, inst.Dir)
		fmt.Fprintf(group, "%s:x:%d:\n", inst.User, gid)
	}
	return errors.Join(n.file("passwd", passwd.String()), n.file("group", group.String()))
}

func (n nssNames) file(name, ours string) error {
	system, err := os.ReadFile("/etc/" + name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read /etc/%s: %w", name, err)
	}
	text := string(system)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return writeFile(services.File{Path: filepath.Join(n.dir, name), Mode: 0o644, Content: text + ours}, account{uid: process.NoChange})
}

// weAreNamed says whether our own user has an entry in passwd.
func weAreNamed() bool {
	_, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	return err == nil
}
