package services

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStorageOfEachClass: what a key names moves, everywhere that its path is told, and nothing else does.
func TestStorageOfEachClass(t *testing.T) {
	two := 2
	in := input(t, Selection{Product: sourcegraph, Version: "7.5.4453", Overrides: map[string]Override{"gitserver": {Replicas: &two}, "zoekt-webserver": {Replicas: &two}}})
	plain, err := Build(in)
	require.NoError(t, err)
	in.Dirs.Storage = Storage{
		Database: "/ssd/db", Repos: "/disk/repos", ReposShards: map[string]string{"1": "/disk2/repos"}, Index: "/ssd/index", IndexShards: map[string]string{"1": "/ssd2/index"}, Cache: "/scratch",
	}
	moved, err := Build(in)
	require.NoError(t, err)
	found := map[string]string{}
	for i, inst := range moved.Instances {
		for j, d := range inst.Data {
			if was := plain.Instances[i].Data[j].Path; d.Path != was {
				require.NotContains(t, fmt.Sprintf("%q", []any{inst.Argv, inst.Env, inst.Files, inst.Prepare}), `"`+was+`"`, inst.Name())
				require.NotEqual(t, plain.Instances[i].Hash, inst.Hash, "it is restarted")
				found[inst.Name()+" "+d.Name] = d.Path
			}
		}
	}
	require.Equal(t, map[string]string{
		"postgres postgres": "/ssd/db/gen-1/postgres", "gitserver/0 repos": "/disk/repos/0", "gitserver/1 repos": "/disk2/repos/1",
		"zoekt-webserver/0 index": "/ssd/index/16/0", "zoekt-webserver/1 index": "/ssd2/index/16/1",
		"zoekt-sourcegraph-indexserver/0 index": "/ssd/index/16/0", "zoekt-sourcegraph-indexserver/1 index": "/ssd2/index/16/1",
		"frontend cache": "/scratch/frontend/0", "searcher cache": "/scratch/searcher/0", "worker cache": "/scratch/worker/0", "redis-cache redis": "/scratch/redis-cache/0",
	}, found)
	for _, inst := range moved.Instances {
		for _, kv := range inst.Env {
			if path, ok := strings.CutPrefix(kv, "SRC_REPOS_DIR="); ok {
				require.Equal(t, found[inst.Name()+" repos"], path)
			}
		}
	}
}
