package roster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/sourcegraph/appliance/services"
)

// checkRetired refuses a number of replicas below that of one whose directory holds state that no other replica has, unless the site says that it may
// lie there unused. What the product makes again by itself, as gitserver its clones, is no obstacle: [ShardCosts] says what that costs.
func (r *Roster) checkRetired() error {
	var faults []error
	hint := ""
	until := time.Now().Add(measureFor)
	for _, inst := range r.Plan.Instances {
		if inst.Number > 0 {
			continue
		}
		for _, dir := range stateBeyond(inst, r.Site.Services[inst.Service].Retired) {
			var h holding
			if h.measure(dir, until); h.files == 0 {
				continue
			}
			key := "services." + inst.Service
			lost := fmt.Sprintf("%s/%s", inst.Service, filepath.Base(dir))
			var fault error = fmt.Errorf("%s.replicas: %d leaves out %s, whose directory %s holds %s that no other replica has", key, inst.Replicas, lost, dir, h)
			if at, ok := r.places[key+".replicas"]; ok {
				fault = at.Fault("%v", fault)
			}
			faults = append(faults, fault)
			hint = fmt.Sprintf("move what is in it to where it is wanted and empty the directory, or say that it may lie there unused, with %s.retired: [%s]", key, filepath.Base(dir))
		}
	}
	return invalid(errors.Join(faults...), hint)
}

// stateBeyond are the directories, each named by its replica's number, of replicas that are no more and not retired. first is replica 0.
func stateBeyond(first services.Instance, retired []int) (dirs []string) {
	for _, d := range first.Data {
		if d.Class != services.DataState || d.Moves != "" || filepath.Base(d.Path) != "0" {
			continue
		}
		parent := filepath.Dir(d.Path)
		entries, _ := os.ReadDir(parent) // what is not there, or not ours to see, holds nobody up
		for _, e := range entries {
			if n, err := strconv.Atoi(e.Name()); err == nil && n >= first.Replicas && !slices.Contains(retired, n) {
				dirs = append(dirs, filepath.Join(parent, e.Name()))
			}
		}
	}
	return dirs
}
