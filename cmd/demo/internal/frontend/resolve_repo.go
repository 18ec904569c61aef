package frontend

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"

	"github.com/graph-gophers/graphql-go"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/extsvc"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
)

type repoResolver struct {
	s *server
	r database.Repo
}

func (r *repoResolver) ID() graphql.ID         { return id("Repository", r.r.ID) }
func (r *repoResolver) Name() string           { return r.r.Name }
func (r *repoResolver) URI() string            { return r.r.Name }
func (r *repoResolver) Description() string    { return "" }
func (r *repoResolver) URL() string            { return repoURL(r.r.Name, "") }
func (r *repoResolver) CreatedAt() dateTime    { return dateTime{r.r.CreatedAt} }
func (r *repoResolver) UpdatedAt() *dateTime   { return optionalTime(r.r.LastChangedAt) }
func (r *repoResolver) IsFork() bool           { return false }
func (r *repoResolver) IsArchived() bool       { return false }
func (r *repoResolver) IsPrivate() bool        { return false }
func (r *repoResolver) CloneInProgress() bool  { return r.r.Cloning }
func (r *repoResolver) DiskSizeBytes() *bigInt { b := bigInt(r.r.DiskBytes); return &b }

// ViewerCanAdminister is true for administrators.
func (r *repoResolver) ViewerCanAdminister(ctx context.Context) bool { return userFrom(ctx).SiteAdmin }

// MirrorInfo is the state of the clone.
func (r *repoResolver) MirrorInfo() *mirrorResolver { return &mirrorResolver{r.s, r.r} }

// Commit resolves a revision; nil when there is none of that name, or no clone.
func (r *repoResolver) Commit(ctx context.Context, args struct {
	Rev          string
	InputRevspec *string
}) (*commitResolver, error) {
	oid, err := r.s.git.Resolve(ctx, r.r.Name, r.r.Shard, args.Rev)
	if errors.Is(err, gitserver.ErrRevisionNotFound) || errors.Is(err, gitserver.ErrNotCloned) || errors.Is(err, gitserver.ErrCloneInProgress) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rev := args.Rev
	if args.InputRevspec != nil {
		rev = *args.InputRevspec
	}
	return &commitResolver{r, oid, rev}, nil
}

type mirrorResolver struct {
	s *server
	r database.Repo
}

func (m *mirrorResolver) RemoteURL() string     { return extsvc.Redact(m.r.CloneURL) }
func (m *mirrorResolver) Cloned() bool          { return m.r.Cloned }
func (m *mirrorResolver) CloneInProgress() bool { return m.r.Cloning }
func (m *mirrorResolver) UpdatedAt() *dateTime  { return optionalTime(m.r.LastFetchedAt) }
func (m *mirrorResolver) LastError() *string    { return m.r.LastError }
func (m *mirrorResolver) ByteSize() bigInt      { return bigInt(m.r.DiskBytes) }

// CloneProgress is git's last line while it clones.
func (m *mirrorResolver) CloneProgress(ctx context.Context) (*string, error) {
	if !m.r.Cloning {
		return nil, nil
	}
	status, err := m.s.git.Status(ctx, m.r.Name)
	if err != nil {
		return nil, err
	}
	return &status.Progress, nil
}

// Repository finds one by its name, or by the URL it is cloned from.
func (r *resolver) Repository(ctx context.Context, args struct{ Name, CloneURL, URI *string }) (*repoResolver, error) {
	if args.CloneURL != nil && args.Name == nil && args.URI == nil {
		return r.byCloneURL(ctx, *args.CloneURL)
	}
	name := cmp.Or(args.Name, args.URI)
	if name == nil {
		return nil, errors.New("repository: give a name or a cloneURL")
	}
	repo, err := r.s.db.Repo(ctx, *name)
	if errors.Is(err, database.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &repoResolver{r.s, repo}, nil
}

func (r *resolver) byCloneURL(ctx context.Context, cloneURL string) (*repoResolver, error) {
	repos, err := r.s.db.Repos(ctx)
	if err != nil {
		return nil, err
	}
	for _, repo := range repos {
		if repo.CloneURL == cloneURL || extsvc.Redact(repo.CloneURL) == cloneURL {
			return &repoResolver{r.s, repo}, nil
		}
	}
	return nil, nil
}

// repositoriesArgs are the arguments of repositories.
type repositoriesArgs struct {
	First           *int32
	Query           *string
	After           *string
	Names           *[]string
	Cloned          bool
	CloneInProgress bool
	NotCloned       bool
	CloneStatus     *string
	Indexed         bool
	NotIndexed      bool
	FailedFetch     bool
	OrderBy         string
	Descending      bool
}

type repoConnection struct {
	nodes []*repoResolver
	total int
	info  pageInfo
}

func (c *repoConnection) Nodes() []*repoResolver { return c.nodes }
func (c *repoConnection) PageInfo() pageInfo     { return c.info }

// TotalCount is always precise here.
func (c *repoConnection) TotalCount(struct{ Precise bool }) *int32 {
	n := int32(c.total)
	return &n
}

// Repositories lists repositories.
func (r *resolver) Repositories(ctx context.Context, args repositoriesArgs) (*repoConnection, error) {
	all, err := r.s.db.Repos(ctx)
	if err != nil {
		return nil, err
	}
	match, err := args.matcher()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(repo database.Repo) bool { return !match(repo) })
	args.sort(all)
	from, to, info, err := page(len(all), args.First, args.After)
	if err != nil {
		return nil, err
	}
	c := &repoConnection{total: len(all), info: info}
	for _, repo := range all[from:to] {
		c.nodes = append(c.nodes, &repoResolver{r.s, repo})
	}
	return c, nil
}

func (args repositoriesArgs) matcher() (func(database.Repo) bool, error) {
	name := regexp.MustCompile("")
	if args.Query != nil {
		re, err := regexp.Compile("(?i:" + *args.Query + ")")
		if err != nil {
			re = regexp.MustCompile("(?i:" + regexp.QuoteMeta(*args.Query) + ")") // c++ is a name, not a regular expression
		}
		name = re
	}
	return func(repo database.Repo) bool {
		status := cloneStatus(repo)
		return name.MatchString(repo.Name) &&
			(args.Names == nil || slices.Contains(*args.Names, repo.Name)) &&
			(args.Cloned || status != "CLONED") && (args.NotCloned || status != "NOT_CLONED") && (args.CloneInProgress || status != "CLONING") &&
			(args.CloneStatus == nil || *args.CloneStatus == status) &&
			args.NotIndexed && // the demo has no index
			(!args.FailedFetch || repo.LastError != nil)
	}, nil
}

func cloneStatus(repo database.Repo) string {
	switch {
	case repo.Cloned:
		return "CLONED"
	case repo.Cloning:
		return "CLONING"
	}
	return "NOT_CLONED"
}

func (args repositoriesArgs) sort(repos []database.Repo) {
	slices.SortStableFunc(repos, func(a, b database.Repo) int {
		order := cmp.Compare(a.Name, b.Name)
		switch args.OrderBy {
		case "REPO_CREATED_AT", "REPOSITORY_CREATED_AT":
			order = cmp.Or(a.CreatedAt.Compare(b.CreatedAt), order)
		case "SIZE":
			order = cmp.Or(cmp.Compare(a.DiskBytes, b.DiskBytes), order)
		}
		if args.Descending {
			return -order
		}
		return order
	})
}

// UpdateMirrorRepository asks for a fetch now.
func (r *resolver) UpdateMirrorRepository(ctx context.Context, args struct{ Repository graphql.ID }) (*empty, error) {
	if !userFrom(ctx).SiteAdmin {
		return nil, errAdminOnly
	}
	row, err := rowID(args.Repository, "Repository")
	if err != nil {
		return nil, err
	}
	repo, err := r.s.db.RepoByID(ctx, row)
	if err != nil {
		return nil, err
	}
	return &empty{}, r.s.db.RequestFetch(ctx, repo.Name)
}
