package services

import "slices"

// Reshard is a change of the number of replicas of a service whose data belongs to its replicas one by one.
type Reshard struct {
	Service  string
	From, To int
	Share    float64   // of the data that belongs to another replica than before, 0 to 1, on average
	Class    DataClass // what a loss of that data costs: the dearest of it
	Dirs     []string  // absolute, of all replicas that there were, in their order
	Left     []string  // those of Dirs that no replica has any more
}

// Reshards compares the plan that runs with the one that is to.
func Reshards(old, next Plan) []Reshard {
	var out []Reshard
	for _, inst := range old.Instances {
		to := count(next, inst.Service)
		if inst.Number > 0 || to == 0 || to == inst.Replicas {
			continue
		}
		r := Reshard{Service: inst.Service, From: inst.Replicas, To: to, Share: share(old.Product, inst.Service, inst.Replicas, to)}
		for _, was := range old.Instances {
			if was.Service == inst.Service {
				r.hold(was)
			}
		}
		if len(r.Dirs) > 0 {
			out = append(out, r)
		}
	}
	return out
}

func count(p Plan, service string) (n int) {
	for _, i := range p.Instances {
		if i.Service == service {
			n++
		}
	}
	return n
}

// hold takes note of the data that belongs to one replica.
func (r *Reshard) hold(inst Instance) {
	for _, d := range inst.Data {
		if d.Identity == "" {
			continue
		}
		if r.Class == "" || d.Class == DataState {
			r.Class = d.Class
		}
		r.Dirs = append(r.Dirs, d.Path)
		if inst.Number >= r.To && !slices.Contains(r.Left, d.Path) {
			r.Left = append(r.Left, d.Path)
		}
	}
}

// share is how much moves: with the highest random weight, which the demo uses, only what must. Sourcegraph's gitserver of a repository is the hash of the name modulo
// their number, and of n = lcm(from, to) equally likely remainders min(from, to) are the same for both.
// src: sourcegraph-public-snapshot: internal/gitserver/connection/addrs.go (addrForKey)
func share(product, service string, from, to int) float64 {
	if product == sourcegraph && service == "gitserver" {
		return 1 - float64(min(from, to))/float64(from/gcd(from, to)*to)
	}
	return 1 - float64(min(from, to))/float64(max(from, to))
}

func gcd(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}
