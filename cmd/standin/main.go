package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	name := filepath.Base(os.Args[0])
	run, ok := programs()[name]
	if !ok {
		fmt.Println(strings.Join(slices.Sorted(maps.Keys(programs())), "\n")) // what a release of stand-ins consists of
		return
	}
	p := &program{name: name, args: os.Args[1:], version: releaseVersion()}
	p.needs("HOME", "PATH")
	p.writes(os.Getenv("HOME"))
	run(p)
}

// programs are those of every family; a release of one family has more than it is asked for.
func programs() map[string]func(*program) {
	all := map[string]func(*program){
		"frontend": frontend, "migrator": migrator, "syntect_server": syntect, "zoekt-webserver": zoektWebserver,
		"zoekt-sourcegraph-indexserver": zoektIndexserver, "zoekt-git-index": zoektGitIndex, "universal-ctags": helper, "scip-syntax": helper,
	}
	for name, s := range goServices() {
		all[name] = s.run
	}
	for name, s := range thirdParties() {
		all[name] = s.run
	}
	return all
}
