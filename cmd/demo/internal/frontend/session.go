package frontend

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
)

const (
	cookieName  = "sgs"               // as Sourcegraph's
	sessionLife = 30 * 24 * time.Hour // from sign-in
)

// errAnonymous says that a request carries no credentials, or none that are valid.
var errAnonymous = errors.New("sign in first, or send an access token")

// beginSession makes a session and gives the browser its cookie. Redis holds a hash only, so that a copy of its data opens no session.
// What all sessions of the user end with is in it, so that no clock decides which began before.
func (s *server) beginSession(w http.ResponseWriter, r *http.Request, u database.User) error {
	token := rand.Text()
	if err := s.store.Set(r.Context(), sessionKey(token), sessionOf(u), sessionLife).Err(); err != nil {
		return fmt.Errorf("keep the session in redis-store: %w", err)
	}
	http.SetCookie(w, cookie(r, token, int(sessionLife.Seconds())))
	return nil
}

// sessionOf is what redis-store keeps of a session.
func sessionOf(u database.User) string {
	return fmt.Sprintf("%d %d", u.ID, u.InvalidatedSessionsAt.UnixMicro())
}

func (s *server) endSession(w http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(cookieName); err == nil {
		if err := s.store.Del(r.Context(), sessionKey(c.Value)).Err(); err != nil {
			return fmt.Errorf("end the session in redis-store: %w", err)
		}
	}
	http.SetCookie(w, cookie(r, "", -1))
	return nil
}

func cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}

func sessionKey(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "session:" + hex.EncodeToString(sum[:])
}

// user finds who sent a request: by access token, else by session. The error is errAnonymous, or says what was out of reach.
func (s *server) user(r *http.Request) (database.User, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		return s.userByToken(r.Context(), header)
	}
	c, err := r.Cookie(cookieName)
	if err != nil || c.Value == "" {
		return database.User{}, errAnonymous
	}
	kept, err := s.store.Get(r.Context(), sessionKey(c.Value)).Result()
	if errors.Is(err, redis.Nil) {
		return database.User{}, errAnonymous
	}
	if err != nil {
		return database.User{}, fmt.Errorf("find the session in redis-store: %w", err)
	}
	id, _, _ := strings.Cut(kept, " ")
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return database.User{}, errAnonymous
	}
	u, err := known(s.db.User(r.Context(), n))
	if err == nil && sessionOf(u) != kept {
		return database.User{}, errAnonymous
	}
	return u, err
}

// userByToken reads "token T", and "Bearer T" as later versions of Sourcegraph do.
func (s *server) userByToken(ctx context.Context, header string) (database.User, error) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "token") && !strings.EqualFold(scheme, "bearer") {
		return database.User{}, errAnonymous
	}
	token = strings.Trim(strings.TrimPrefix(strings.TrimSpace(token), "token="), `"`)
	return known(s.db.UserByToken(ctx, token))
}

func known(u database.User, err error) (database.User, error) {
	if errors.Is(err, database.ErrNotFound) {
		return u, errAnonymous
	}
	return u, err
}

type userKey struct{}

// userFrom is the user of a request that went through [server.api] or [server.page].
func userFrom(ctx context.Context) database.User {
	u, _ := ctx.Value(userKey{}).(database.User)
	return u
}

// api lets only known users through: 401 for others, 503 when that cannot be told.
func (s *server) api(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u, err := s.user(r)
		switch {
		case errors.Is(err, errAnonymous):
			w.Header().Set("WWW-Authenticate", `token realm="demo"`)
			http.Error(w, "Unauthorized: "+err.Error(), http.StatusUnauthorized)
		case err != nil:
			s.unavailable(w, r, err)
		default:
			h(w, r.WithContext(context.WithValue(r.Context(), userKey{}, u)))
		}
	}
}

// unavailable answers 503 and keeps the reason to the log.
func (s *server) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		s.log.Error("request", "path", r.URL.Path, "error", err)
	}
	w.Header().Set("Retry-After", "2")
	http.Error(w, "a service that this needs is away; try again in a moment", http.StatusServiceUnavailable)
}

func ping(ctx context.Context, name string, client *redis.Client) error {
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ask %s: %w", name, err)
	}
	return nil
}
