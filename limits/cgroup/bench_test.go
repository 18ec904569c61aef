package cgroup

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

// benchTree is openTree without its checks at the end.
func benchTree(b *testing.B, ignore ...string) *Tree {
	tree, _, err := Open(Options{Name: fmt.Sprintf("cgroup-test-%d-%d", os.Getpid(), trees.Add(1)), Ignore: ignore})
	if err != nil || !tree.Contains() {
		b.Skip("this machine lets us have no cgroup")
	}
	b.Cleanup(func() {
		if err := tree.Destroy(); err != nil {
			b.Error(err)
		}
	})
	return tree
}

func BenchmarkCreateAndRemove(b *testing.B) {
	for _, bc := range []struct {
		name   string
		budget Budget
	}{
		{"none", Budget{}},
		{"pids", Budget{Pids: 100}},
		{"cpu", Budget{CPUs: 1, CPUWeight: 50}},
		{"memory", Budget{Memory: 64 << 20}},
		{"all", Budget{Memory: 64 << 20, CPUs: 1, CPUWeight: 50, Pids: 100}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			tree := benchTree(b)
			n := 0
			for b.Loop() {
				n++
				g, err := tree.Create(fmt.Sprintf("service-0.%d", n), bc.budget)
				if err != nil {
					b.Fatal(err)
				}
				if err := g.Remove(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkJoinAndLeave(b *testing.B) {
	tree := benchTree(b)
	g, err := tree.Create("service-0.1", Budget{Memory: 64 << 20, CPUs: 1, Pids: 100})
	if err != nil {
		b.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		if err := g.Join(); err != nil {
			b.Fatal(err)
		}
		if err := g.Leave(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenEnterAndDestroy(b *testing.B) {
	for b.Loop() {
		tree, _, err := Open(Options{Name: fmt.Sprintf("cgroup-test-%d-%d", os.Getpid(), trees.Add(1))})
		if err != nil {
			b.Fatal(err)
		}
		if err := tree.EnterSupervisor(); err != nil {
			b.Fatal(err)
		}
		if err := tree.Destroy(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUsage(b *testing.B) {
	tree := benchTree(b)
	g, err := tree.Create("service-0.1", Budget{Memory: 64 << 20, CPUs: 1, Pids: 100})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := g.Usage(); err != nil {
			b.Fatal(err)
		}
	}
}
