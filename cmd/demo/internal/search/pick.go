package search

import (
	"context"
	"fmt"
	"regexp"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/query"
)

// pick lists the repositories that the query's filters leave.
func (e *Engine) pick(ctx context.Context, q query.Query) ([]database.Repo, error) {
	include, err := compile(patterns(q.Repos))
	if err != nil {
		return nil, err
	}
	exclude, err := compile(q.NotRepos)
	if err != nil {
		return nil, err
	}
	all, err := e.Repos.Repos(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, &query.Error{Title: "No repositories", Description: "Nothing has been added yet; a site administrator adds repositories on the repositories page."}
	}
	var picked []database.Repo
	for _, repo := range all {
		if wanted(repo.Name, include, exclude) {
			picked = append(picked, repo)
		}
	}
	if len(picked) == 0 {
		return nil, &query.Error{Title: "No repositories found", Description: fmt.Sprintf("None of the %d repositories satisfies the repo: filters of the query.", len(all))}
	}
	return picked, nil
}

func patterns(filters []query.RepoFilter) []string {
	var all []string
	for _, f := range filters {
		all = append(all, f.Pattern)
	}
	return all
}

func compile(patterns []string) ([]*regexp.Regexp, error) {
	var all []*regexp.Regexp
	for _, p := range patterns {
		re, err := regexp.Compile("(?i:" + p + ")")
		if err != nil {
			return nil, &query.Error{Title: "Invalid filter", Description: err.Error()}
		}
		all = append(all, re)
	}
	return all, nil
}

func wanted(name string, include, exclude []*regexp.Regexp) bool {
	for _, re := range include {
		if !re.MatchString(name) {
			return false
		}
	}
	for _, re := range exclude {
		if re.MatchString(name) {
			return false
		}
	}
	return true
}
