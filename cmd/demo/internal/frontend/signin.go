package frontend

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
)

const (
	bodyMax     = 1 << 20 // bytes of a JSON or form body
	passwordMax = 72      // bytes; bcrypt looks at no more

	guessesMax = 10 // wrong passwords for one account …
	guessesFor = 15 * time.Minute
)

// credentials are what /-/site-init and /-/sign-in take.
type credentials struct {
	Email    string `json:"email"`
	Username string `json:"username"`
	Password string `json:"password"`
}

func readCredentials(w http.ResponseWriter, r *http.Request) (credentials, bool) {
	var c credentials
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "" && kind != "application/json" {
		http.Error(w, "want Content-Type: application/json", http.StatusUnsupportedMediaType)
		return c, false
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax)).Decode(&c); err != nil {
		http.Error(w, "want JSON such as {\"email\": …, \"username\": …, \"password\": …}: "+err.Error(), http.StatusBadRequest)
		return c, false
	}
	c.Email, c.Username = strings.TrimSpace(c.Email), strings.TrimSpace(c.Username)
	return c, true
}

// siteInit makes the first administrator and signs them in: 200, or 403 when there is one.
func (s *server) siteInit(w http.ResponseWriter, r *http.Request) {
	c, ok := readCredentials(w, r)
	if !ok {
		return
	}
	config, err := s.siteConfig(r.Context())
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	if err := c.validate(config.MinPasswordLength); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(c.Password), bcrypt.DefaultCost)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	u, err := s.db.Initialize(r.Context(), c.Username, c.Email, string(hash))
	if errors.Is(err, database.ErrInitialized) {
		http.Error(w, err.Error()+": sign in instead", http.StatusForbidden)
		return
	}
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	s.welcome(w, r, u)
}

func (c credentials) validate(passwordMin int) error {
	var faults []error
	if !validUsername(c.Username) {
		faults = append(faults, fmt.Errorf("username %q: want 1 to 255 letters, digits, '-', '_' and '.', beginning with a letter or digit", c.Username))
	}
	if at := strings.LastIndexByte(c.Email, '@'); at < 1 || at == len(c.Email)-1 || len(c.Email) > 320 || strings.ContainsAny(c.Email, " \t\r\n\x00") {
		faults = append(faults, fmt.Errorf("email %q: want an address such as you@example.com", c.Email))
	}
	if len(c.Password) < passwordMin || len(c.Password) > passwordMax {
		faults = append(faults, fmt.Errorf("password: want %d to %d bytes", passwordMin, passwordMax))
	}
	return errors.Join(faults...)
}

func validUsername(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return name != "" && len(name) <= 255
}

// signIn takes a user name or an address, either under either name, as Sourcegraph does.
func (s *server) signIn(w http.ResponseWriter, r *http.Request) {
	c, ok := readCredentials(w, r)
	if !ok {
		return
	}
	login := c.Email
	if login == "" {
		login = c.Username
	}
	u, err := s.db.UserByLogin(r.Context(), login)
	if err != nil && !errors.Is(err, database.ErrNotFound) {
		s.unavailable(w, r, err)
		return
	}
	guessed := login + " " + sessionOf(u) // who was given a new password has all guesses again
	if wait, err := s.guesses(r, guessed, 0); err != nil {
		s.unavailable(w, r, err)
		return
	} else if wait {
		http.Error(w, "too many wrong passwords for this account; try again in a quarter of an hour", http.StatusTooManyRequests)
		return
	}
	if !passwordFits(u.PasswordHash, c.Password) {
		if _, err := s.guesses(r, guessed, 1); err != nil {
			s.unavailable(w, r, err)
			return
		}
		http.Error(w, "wrong user name or password", http.StatusUnauthorized)
		return
	}
	s.welcome(w, r, u)
}

// nobody is a hash that fits no password, so that an unknown account takes as long as a wrong password.
const nobody = "$2a$10$7EqJtq98hPqEX7fNZaFWoOhi5B0Gdrs2pAxlPz7bQ9hJ1cVq1vSCO"

func passwordFits(hash, password string) bool {
	if hash == "" {
		bcrypt.CompareHashAndPassword([]byte(nobody), []byte(password)) // for its time only
		return false
	}
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}

// guesses adds n wrong passwords and says whether there were too many.
func (s *server) guesses(r *http.Request, login string, n int64) (bool, error) {
	key := sessionKey("guesses for " + strings.ToLower(login))
	pipe := s.store.TxPipeline()
	count := pipe.IncrBy(r.Context(), key, n)
	pipe.ExpireNX(r.Context(), key, guessesFor)
	if _, err := pipe.Exec(r.Context()); err != nil {
		return false, fmt.Errorf("count wrong passwords in redis-store: %w", err)
	}
	return count.Val() >= guessesMax, nil
}

func (s *server) welcome(w http.ResponseWriter, r *http.Request, u database.User) {
	if err := s.beginSession(w, r, u); err != nil {
		s.unavailable(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"username": u.Username, "siteAdmin": u.SiteAdmin})
}

func (s *server) signOut(w http.ResponseWriter, r *http.Request) {
	if err := s.endSession(w, r); err != nil {
		s.unavailable(w, r, err)
		return
	}
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}
