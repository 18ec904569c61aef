package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/process"
)

// nssWrapperPlaces are where distributions put the library that lets a process have a name without an entry in passwd.
var nssWrapperPlaces = [...]string{"/usr/lib/*/libnss_wrapper.so", "/usr/lib/libnss_wrapper.so", "/usr/lib64/libnss_wrapper.so"}

// nameless is the environment that gives a user without an entry in passwd a name: initdb and ssh refuse to run without one (measured).
// The files are in the service's run directory. Without the library the service starts as it is, and says itself what it lacks.
func (h *Host) nameless(inst services.Instance, acc account) ([]string, error) {
	if acc.named || inst.RunDir == "" {
		return nil, nil
	}
	lib := findNSSWrapper()
	if lib == "" {
		return nil, nil
	}
	uid, gid := acc.uid, acc.gid
	if uid == process.NoChange {
		uid, gid = os.Geteuid(), os.Getegid()
	}
	entries := map[string]string{
		"passwd": fmt.Sprintf("%s:x:%d:%d:%s:%s:/usr/sbin/nologin\n", inst.User, uid, gid, inst.Service, inst.Dir),
		"group":  fmt.Sprintf("%s:x:%d:\n", inst.User, gid),
	}
	env := []string{"LD_PRELOAD=" + lib}
	for name, entry := range entries {
		system, err := os.ReadFile("/etc/" + name)
		if err != nil && !os.IsNotExist(err) {
			return nil, fmt.Errorf("read /etc/%s: %w", name, err)
		}
		path := filepath.Join(inst.RunDir, name)
		text := strings.TrimRight(string(system), "\n") + "\n" + entry
		if err := writeFile(services.File{Path: path, Mode: 0o644, Content: strings.TrimLeft(text, "\n")}, acc); err != nil {
			return nil, fmt.Errorf("write %s for %s: %w", path, inst.Name(), err)
		}
		env = append(env, "NSS_WRAPPER_"+strings.ToUpper(name)+"="+path)
	}
	return env, nil
}

func findNSSWrapper() string {
	for _, pattern := range nssWrapperPlaces {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return found[0]
		}
	}
	return ""
}
