package frontend

import (
	"context"
	"fmt"

	"github.com/graph-gophers/graphql-go"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/extsvc"
)

type serviceResolver struct{ e database.ExternalService }

func (r serviceResolver) ID() graphql.ID         { return id("ExternalService", r.e.ID) }
func (r serviceResolver) Kind() string           { return r.e.Kind }
func (r serviceResolver) DisplayName() string    { return r.e.DisplayName }
func (r serviceResolver) Config() scalar         { return scalar(r.e.Config) }
func (r serviceResolver) CreatedAt() dateTime    { return dateTime{r.e.CreatedAt} }
func (r serviceResolver) UpdatedAt() dateTime    { return dateTime{r.e.UpdatedAt} }
func (r serviceResolver) RepoCount() int32       { return int32(r.e.RepoCount) }
func (r serviceResolver) WebhookURL() *string    { return nil }
func (r serviceResolver) Warning() *string       { return nil }
func (r serviceResolver) LastSyncError() *string { return r.e.LastSyncError }
func (r serviceResolver) LastSyncAt() *dateTime  { return optionalTime(r.e.LastSyncAt) }
func (r serviceResolver) NextSyncAt() *dateTime  { return nil }

type serviceConnection struct {
	nodes []*serviceResolver
	total int
	info  pageInfo
}

func (c serviceConnection) Nodes() []*serviceResolver { return c.nodes }
func (c serviceConnection) TotalCount() int32         { return int32(c.total) }
func (c serviceConnection) PageInfo() pageInfo        { return c.info }

// ExternalServices lists the code hosts, to administrators: a configuration may hold passwords.
func (r *resolver) ExternalServices(ctx context.Context, args struct {
	Namespace *graphql.ID
	First     *int32
	After     *string
}) (*serviceConnection, error) {
	if !userFrom(ctx).SiteAdmin {
		return nil, errAdminOnly
	}
	all, err := r.s.db.ExternalServices(ctx)
	if err != nil {
		return nil, err
	}
	if args.Namespace != nil {
		all = nil // the demo's code hosts belong to the site, to no namespace
	}
	from, to, info, err := page(len(all), args.First, args.After)
	if err != nil {
		return nil, err
	}
	c := &serviceConnection{total: len(all), info: info}
	for _, e := range all[from:to] {
		c.nodes = append(c.nodes, &serviceResolver{e})
	}
	return c, nil
}

// AddExternalService adds a code host of kind OTHER and its repositories.
func (r *resolver) AddExternalService(ctx context.Context, args struct {
	Input struct {
		Kind        string
		DisplayName string
		Config      string
		Namespace   *graphql.ID
	}
}) (*serviceResolver, error) {
	in := args.Input
	switch {
	case !userFrom(ctx).SiteAdmin:
		return nil, errAdminOnly
	case in.Kind != extsvc.Kind:
		return nil, fmt.Errorf("kind %s: the demo has code hosts of kind %s only", in.Kind, extsvc.Kind)
	case in.Namespace != nil:
		return nil, fmt.Errorf("namespace %s: the demo's code hosts belong to the site only", *in.Namespace)
	case in.DisplayName == "" || len(in.DisplayName) > 255:
		return nil, fmt.Errorf("displayName %.40q: want 1 to 255 bytes", in.DisplayName)
	}
	repos, err := extsvc.Parse(in.Config)
	if err != nil {
		return nil, err
	}
	e, err := r.s.db.AddExternalService(ctx, in.DisplayName, in.Config, repos)
	if err != nil {
		return nil, err
	}
	return &serviceResolver{e}, nil
}

// DeleteExternalService removes a code host and its repositories; the clones go soon after, whatever async says.
func (r *resolver) DeleteExternalService(ctx context.Context, args struct {
	ExternalService graphql.ID
	Async           bool
}) (*empty, error) {
	if !userFrom(ctx).SiteAdmin {
		return nil, errAdminOnly
	}
	row, err := rowID(args.ExternalService, "ExternalService")
	if err != nil {
		return nil, err
	}
	return &empty{}, r.s.db.DeleteExternalService(ctx, row)
}
