package frontend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/query"
	"github.com/sourcegraph/appliance/cmd/demo/internal/search"
	"github.com/sourcegraph/appliance/cmd/demo/internal/searcher"
)

// keepMax bounds what one GraphQL search keeps in memory. What comes after it is counted and not kept; the stream has no such bound.
const keepMax = 32 << 20 // bytes of matched lines and paths

// Search reads the query; an invalid one is an alert among the results, as it is for Sourcegraph's clients.
func (r *resolver) Search(ctx context.Context, args struct {
	Version     string
	PatternType *string
	Query       string
}) (*searchResolver, error) {
	pattern := map[string]string{"V1": "regexp", "V2": "literal", "V3": "standard"}[args.Version]
	if args.PatternType != nil {
		pattern = *args.PatternType
	}
	q, err := parse(args.Query, pattern)
	return &searchResolver{r.s, q, err}, nil
}

// parse reads a query whose pattern is of the given type unless it says otherwise itself.
func parse(text, patternType string) (query.Query, error) {
	switch patternType {
	case "", "standard", "literal", "regexp":
		return query.Parse(text, patternType == "regexp")
	}
	return query.Query{}, &query.Error{Title: "Unknown pattern type", Description: "The demo knows standard, literal and regexp, not " + patternType + "."}
}

type searchResolver struct {
	s   *server
	q   query.Query
	err error // of parsing
}

// Results runs the search to its end.
func (r *searchResolver) Results(ctx context.Context) (*resultsResolver, error) {
	out := &resultsResolver{s: r.s}
	err := r.err
	if err == nil {
		kept := 0
		out.p, err = r.s.engine.Search(ctx, r.q, func(m search.Match) error {
			if kept += weight(m); kept > keepMax {
				out.more = true
				return nil
			}
			out.matches = append(out.matches, m)
			return nil
		}, func(search.Progress) {})
	}
	if out.alert = alertFor(err, out.p); err != nil && out.alert == nil {
		return nil, err
	}
	return out, nil
}

func weight(m search.Match) int {
	n := 200 + len(m.Path)
	for _, l := range m.Lines {
		n += 50 + len(l.Line) + 16*len(l.Ranges)
	}
	return n
}

type alertResolver struct{ title, description string }

func (a *alertResolver) Title() string        { return a.title }
func (a *alertResolver) Description() *string { return &a.description }
func (a *alertResolver) Kind() *string        { return nil }

// alertFor says what a person has to know before the results: a query that cannot be run, or repositories that could not be searched.
func alertFor(err error, p search.Progress) *alertResolver {
	var bad *query.Error
	switch {
	case errors.As(err, &bad):
		return &alertResolver{bad.Title, bad.Description}
	case err != nil:
		return nil
	case len(p.Failed) > 0:
		name := slices.Min(slices.Collect(maps.Keys(p.Failed)))
		return &alertResolver{plural(len(p.Failed), "repository", "repositories") + " could not be searched", name + ": " + p.Failed[name].Error()}
	case len(p.TimedOut) > 0:
		return &alertResolver{"The search timed out", "Not searched to the end: " + names(p.TimedOut) + ". Narrow it with repo: or file:, or give it more time with timeout:60s."}
	case len(p.Missing) > 0 && len(p.Missing) == p.Repositories:
		return &alertResolver{plural(len(p.Missing), "repository", "repositories") + " could not be searched", "Not cloned, or without that revision: " + names(p.Missing) + "."}
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func names(repos []database.Repo) string {
	const most = 5
	var list []string
	for _, r := range repos[:min(len(repos), most)] {
		list = append(list, r.Name)
	}
	if len(repos) > most {
		list = append(list, fmt.Sprintf("and %d more", len(repos)-most))
	}
	return strings.Join(list, ", ")
}

type resultsResolver struct {
	s       *server
	matches []search.Match
	p       search.Progress
	more    bool // some are counted only
	alert   *alertResolver
}

func (r *resultsResolver) MatchCount() int32          { return int32(r.p.MatchCount) }
func (r *resultsResolver) ResultCount() int32         { return int32(r.p.MatchCount) }
func (r *resultsResolver) LimitHit() bool             { return r.p.LimitHit || r.more }
func (r *resultsResolver) IndexUnavailable() bool     { return false }
func (r *resultsResolver) Alert() *alertResolver      { return r.alert }
func (r *resultsResolver) ElapsedMilliseconds() int32 { return int32(r.p.Elapsed.Milliseconds()) }
func (r *resultsResolver) Cloning() []*repoResolver   { return r.repos(r.p.Cloning) }
func (r *resultsResolver) Missing() []*repoResolver   { return r.repos(r.p.Missing) }
func (r *resultsResolver) Timedout() []*repoResolver  { return r.repos(r.p.TimedOut) }

// ApproximateResultCount ends in + when there may be more.
func (r *resultsResolver) ApproximateResultCount() string {
	if r.LimitHit() {
		return fmt.Sprintf("%d+", r.p.MatchCount)
	}
	return fmt.Sprint(r.p.MatchCount)
}

// Repositories are those with results.
func (r *resultsResolver) Repositories() []*repoResolver {
	var found []database.Repo
	for _, m := range r.matches {
		found = append(found, m.Repo)
	}
	slices.SortFunc(found, func(a, b database.Repo) int { return cmp.Compare(a.Name, b.Name) })
	return r.repos(slices.CompactFunc(found, func(a, b database.Repo) bool { return a.ID == b.ID }))
}

// RepositoriesCount is the number of those.
func (r *resultsResolver) RepositoriesCount() int32 { return int32(len(r.Repositories())) }

func (r *resultsResolver) repos(list []database.Repo) []*repoResolver {
	out := make([]*repoResolver, 0, len(list))
	for _, repo := range list {
		out = append(out, &repoResolver{r.s, repo})
	}
	return out
}

// Results are the matches.
func (r *resultsResolver) Results() []*resultResolver {
	out := make([]*resultResolver, 0, len(r.matches))
	for _, m := range r.matches {
		out = append(out, &resultResolver{r.s, m})
	}
	return out
}

type resultResolver struct {
	s *server
	m search.Match
}

// ToFileMatch is for files, found by content or by path.
func (r *resultResolver) ToFileMatch() (*fileMatchResolver, bool) {
	return &fileMatchResolver{r.s, r.m}, r.m.Type != query.TypeRepo
}

// ToRepository is for repositories.
func (r *resultResolver) ToRepository() (*repoResolver, bool) {
	return &repoResolver{r.s, r.m.Repo}, r.m.Type == query.TypeRepo
}

type fileMatchResolver struct {
	s *server
	m search.Match
}

func (f *fileMatchResolver) Repository() *repoResolver { return &repoResolver{f.s, f.m.Repo} }
func (f *fileMatchResolver) LimitHit() bool            { return false }

// File is where the match is.
func (f *fileMatchResolver) File() *blobResolver {
	return &blobResolver{&commitResolver{f.Repository(), f.m.Commit, f.m.Rev}, f.m.Path}
}

// Resource is a URI of the file, of the form git://repo?commit#path.
func (f *fileMatchResolver) Resource() string {
	return "git://" + f.m.Repo.Name + "?" + f.m.Commit + "#" + text(f.m.Path)
}

// LineMatches are the lines, none when the path matched.
func (f *fileMatchResolver) LineMatches() []lineResolver {
	out := make([]lineResolver, 0, len(f.m.Lines))
	for _, l := range f.m.Lines {
		out = append(out, lineResolver{l})
	}
	return out
}

type lineResolver struct{ l searcher.LineMatch }

func (l lineResolver) Preview() string   { return text(l.l.Line) }
func (l lineResolver) LineNumber() int32 { return int32(l.l.Number) }
func (l lineResolver) LimitHit() bool    { return l.l.Cut }

// OffsetAndLengths count characters from the start of the line.
func (l lineResolver) OffsetAndLengths() [][]int32 {
	out := make([][]int32, 0, len(l.l.Ranges))
	for _, r := range l.l.Ranges {
		out = append(out, []int32{int32(r[0]), int32(r[1])})
	}
	return out
}
