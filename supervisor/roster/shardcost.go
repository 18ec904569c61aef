package roster

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/services"
)

// measureFor bounds how long the data that would move is measured: what was counted by then is "at least".
const measureFor = 2 * time.Second

// ShardCosts says in a sentence each what a change of the numbers of replicas costs, from the plan that runs to the one that is to.
func ShardCosts(old, next services.Plan) []string {
	var out []string
	for _, r := range services.Reshards(old, next) {
		out = append(out, shardCost(old.Product, r, time.Now().Add(measureFor)))
	}
	return out
}

func shardCost(product string, r services.Reshard, until time.Time) string {
	var h holding
	for _, dir := range r.Dirs {
		h.measure(dir, until)
	}
	text := fmt.Sprintf("%s %d → %d: about %.0f %% of %s ", r.Service, r.From, r.To, 100*r.Share, h)
	switch {
	case r.Service != "gitserver":
		text += "belong to another replica then"
	case product == "demo" && r.To > r.From:
		text += "move to another gitserver; searches are answered meanwhile"
	default:
		text += "are cloned again from the code hosts, and not found until then"
	}
	if len(r.Left) > 0 {
		text += "; what lies in " + strings.Join(r.Left, ", ") + " stays there, unused"
	}
	return text
}

// holding is how much lies in directories.
type holding struct {
	repositories int // clones
	files        int // all that is no directory
	bytes        int64
	more         bool // the time was over before all was counted
}

// measure adds what lies below dir. What cannot be read, or vanishes meanwhile, does not count.
func (h *holding) measure(dir string, until time.Time) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		switch {
		case time.Now().After(until):
			return errTimeOver
		case err != nil:
			return nil
		case d.IsDir() && d.Name() == ".git":
			h.repositories++
		case !d.IsDir():
			h.files++
			if info, err := d.Info(); err == nil {
				h.bytes += info.Size()
			}
		}
		return nil
	})
	h.more = h.more || errors.Is(err, errTimeOver)
}

var errTimeOver = errors.New("the time to measure is over")

func (h holding) String() string {
	text := size(h.bytes)
	if h.repositories > 0 {
		text = fmt.Sprintf("%d repositories (%s)", h.repositories, text)
	}
	if h.more {
		return "at least " + text
	}
	return text
}

// size is for people: three digits.
func size(n int64) string {
	value, unit := float64(n), "bytes"
	for _, larger := range []string{"kB", "MB", "GB", "TB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, larger
	}
	return fmt.Sprintf("%.3g %s", value, unit)
}
