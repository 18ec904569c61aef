package gitserver

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// Rendezvous orders nodes by how much they want key (highest random weight first). Adding or removing a node moves only the keys of that node.
func Rendezvous(key string, nodes []string) []string {
	type weighted struct {
		node   string
		weight uint64
	}
	all := make([]weighted, len(nodes))
	for i, n := range nodes {
		all[i] = weighted{n, weight(key, n)}
	}
	slices.SortFunc(all, func(a, b weighted) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.node, b.node))
	})
	order := make([]string, len(all))
	for i, w := range all {
		order[i] = w.node
	}
	return order
}

func weight(key, node string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(node))
	h.Write([]byte{0})
	h.Write([]byte(key))
	return mix(h.Sum64())
}

// mix is the finalizer of SplitMix64: FNV alone leaves the high bits of similar names alike.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
