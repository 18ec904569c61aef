package services

import (
	"fmt"
	"regexp"
	"slices"
	"syscall"
	"time"
)

const maxNameLength = 40 // of a service: it is part of a cgroup's, a directory's and an account's name

// CheckName reports what is wrong with the name of a service of the site's own.
func CheckName(name string) error {
	if len(name) > maxNameLength || !regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`).MatchString(name) {
		return fmt.Errorf("service name %q: use up to %d lower-case letters, digits and single hyphens, a letter first", name, maxNameLength)
	}
	if slices.Contains([]string{"supervisor", "door", "appliance"}, name) {
		return fmt.Errorf("service name %q is the appliance's own", name)
	}
	return nil
}

// FromSite makes a definition of a service of the site's own; origin is its file.
func FromSite(name, origin string, o Override) (Definition, error) {
	if err := CheckName(name); err != nil {
		return Definition{}, err
	}
	if len(o.Command) == 0 || o.Command[0] == "" {
		return Definition{}, fmt.Errorf("service %s has no command", name)
	}
	d := Definition{
		Name:     name,
		Kind:     KindService,
		Loss:     name + " does not answer",
		Stop:     Stop{Signal: syscall.SIGTERM, To: ToMain, Grace: 10 * time.Second},
		Restart:  plainRestart(),
		Log:      Log{MaxSize: 16 << 20, Keep: 4, Format: "plain"},
		Replicas: Replicas{Max: maxReplicas, Identity: true},
		Switch:   StopThenStart,
		Snapshot: SnapshotNever,
		Origin:   origin,
	}
	return o.apply(d), nil
}

// maxReplicas bounds a typing error, not a machine.
const maxReplicas = 1000
