package frontend

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/graph-gophers/graphql-go"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
)

type userResolver struct{ u database.User }

func (r userResolver) ID() graphql.ID       { return id("User", r.u.ID) }
func (r userResolver) DatabaseID() int32    { return int32(r.u.ID) }
func (r userResolver) Username() string     { return r.u.Username }
func (r userResolver) Email() string        { return r.u.Email }
func (r userResolver) DisplayName() *string { return nil }
func (r userResolver) SiteAdmin() bool      { return r.u.SiteAdmin }
func (r userResolver) CreatedAt() dateTime  { return dateTime{r.u.CreatedAt} }
func (r userResolver) URL() string          { return "/users/" + r.u.Username }

// CurrentUser is who asks.
func (r *resolver) CurrentUser(ctx context.Context) *userResolver {
	return &userResolver{userFrom(ctx)}
}

type siteResolver struct {
	version, id string
	anyRepo     bool
}

func (r siteResolver) ID() graphql.ID                     { return "U2l0ZToic2l0ZSI=" } // Site:"site", the one id it has
func (r siteResolver) SiteID() string                     { return r.id }
func (r siteResolver) ProductVersion() string             { return r.version }
func (r siteResolver) BuildVersion() string               { return r.version }
func (r siteResolver) HasCodeIntelligence() bool          { return false }
func (r siteResolver) NeedsRepositoryConfiguration() bool { return !r.anyRepo }

// Site is this instance.
func (r *resolver) Site(ctx context.Context) (siteResolver, error) {
	siteID, _, err := r.s.db.Site(ctx)
	if err != nil {
		return siteResolver{}, err
	}
	services, err := r.s.db.ExternalServices(ctx)
	return siteResolver{r.s.version, siteID, len(services) > 0}, err
}

type tokenResolver struct {
	id    graphql.ID
	token string
}

func (r tokenResolver) ID() graphql.ID { return r.id }
func (r tokenResolver) Token() string  { return r.token }

const scopeAll = "user:all"

// CreateAccessToken makes a token of one's own. The demo has the scope user:all only.
func (r *resolver) CreateAccessToken(ctx context.Context, args struct {
	User   graphql.ID
	Scopes []string
	Note   string
}) (*tokenResolver, error) {
	owner, err := rowID(args.User, "User")
	if err != nil {
		return nil, err
	}
	if owner != userFrom(ctx).ID {
		return nil, errors.New("access tokens can be made for oneself only")
	}
	if !slices.Equal(args.Scopes, []string{scopeAll}) {
		return nil, fmt.Errorf("scopes %q: want [%q]", args.Scopes, scopeAll)
	}
	row, token, err := r.s.newToken(ctx, owner, args.Note)
	if err != nil {
		return nil, err
	}
	return &tokenResolver{id("AccessToken", row), token}, nil
}

// newToken makes a token of the form that scanners know Sourcegraph's by: sgp_ and 40 hexadecimal digits.
func (s *server) newToken(ctx context.Context, owner int64, note string) (row int64, token string, err error) {
	if len(note) > 1000 {
		return 0, "", fmt.Errorf("note: %d bytes, at most 1000 are possible", len(note))
	}
	var secret [20]byte
	rand.Read(secret[:]) // never fails
	token = "sgp_" + hex.EncodeToString(secret[:])
	row, err = s.db.AddToken(ctx, owner, token, note, []string{scopeAll})
	return row, token, err
}

// DeleteAccessToken revokes one of one's own tokens.
func (r *resolver) DeleteAccessToken(ctx context.Context, args struct {
	ByID    *graphql.ID
	ByToken *string
}) (*empty, error) {
	if (args.ByID == nil) == (args.ByToken == nil) {
		return nil, errors.New("deleteAccessToken: give either byID or byToken")
	}
	if args.ByToken != nil {
		sum := sha256.Sum256([]byte(*args.ByToken))
		return &empty{}, r.s.db.DeleteTokenByHash(ctx, userFrom(ctx).ID, sum[:])
	}
	row, err := rowID(*args.ByID, "AccessToken")
	if err != nil {
		return nil, err
	}
	return &empty{}, r.s.db.DeleteToken(ctx, userFrom(ctx).ID, row)
}
