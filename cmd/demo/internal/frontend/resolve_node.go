package frontend

import (
	"context"
	"errors"
	"fmt"

	"github.com/graph-gophers/graphql-go"
	"github.com/graph-gophers/graphql-go/relay"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
)

// nodeResolver is anything with an id; exactly one field is set.
type nodeResolver struct {
	id      graphql.ID
	user    *userResolver
	repo    *repoResolver
	service *serviceResolver
}

func (n *nodeResolver) ID() graphql.ID                      { return n.id }
func (n *nodeResolver) ToUser() (*userResolver, bool)       { return n.user, n.user != nil }
func (n *nodeResolver) ToRepository() (*repoResolver, bool) { return n.repo, n.repo != nil }
func (n *nodeResolver) ToExternalService() (*serviceResolver, bool) {
	return n.service, n.service != nil
}

// Node finds an object by its id; nil when it is gone, or not for the asking user.
func (r *resolver) Node(ctx context.Context, args struct{ ID graphql.ID }) (*nodeResolver, error) {
	kind := relay.UnmarshalKind(args.ID)
	row, err := rowID(args.ID, kind)
	if err != nil {
		return nil, err
	}
	n := &nodeResolver{id: args.ID}
	switch kind {
	case "User":
		err = r.userNode(ctx, row, n)
	case "Repository":
		var repo database.Repo
		repo, err = r.s.db.RepoByID(ctx, row)
		n.repo = &repoResolver{r.s, repo}
	case "ExternalService":
		err = r.serviceNode(ctx, row, n)
	default:
		return nil, fmt.Errorf("id %q: %w", args.ID, errNoNode)
	}
	if errors.Is(err, database.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

func (r *resolver) userNode(ctx context.Context, row int64, n *nodeResolver) error {
	me := userFrom(ctx)
	if row != me.ID && !me.SiteAdmin {
		return database.ErrNotFound
	}
	u, err := r.s.db.User(ctx, row)
	n.user = &userResolver{u}
	return err
}

func (r *resolver) serviceNode(ctx context.Context, row int64, n *nodeResolver) error {
	if !userFrom(ctx).SiteAdmin {
		return errAdminOnly
	}
	all, err := r.s.db.ExternalServices(ctx)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.ID == row {
			n.service = &serviceResolver{e}
			return nil
		}
	}
	return database.ErrNotFound
}
