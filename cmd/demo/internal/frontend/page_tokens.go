package frontend

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
)

func (s *server) tokensPage(w http.ResponseWriter, r *http.Request) { s.showTokens(w, r, "", "") }

// showTokens shows a new token this one time.
func (s *server) showTokens(w http.ResponseWriter, r *http.Request, token, problem string) {
	tokens, err := s.db.Tokens(r.Context(), userFrom(r.Context()).ID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	data := struct {
		New    string
		Tokens []database.Token
	}{token, tokens}
	s.render(w, r, http.StatusOK, "tokens", view{Title: "Access tokens", Error: problem, Data: data})
}

func (s *server) newTokenPage(w http.ResponseWriter, r *http.Request) {
	if !s.form(w, r) {
		return
	}
	note := strings.TrimSpace(r.PostForm.Get("note"))
	if note == "" || len(note) > 200 {
		s.showTokens(w, r, "", "Say in up to 200 bytes what the token is for.")
		return
	}
	_, token, err := s.newToken(r.Context(), userFrom(r.Context()).ID, note)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.showTokens(w, r, token, "")
}

func (s *server) deleteToken(w http.ResponseWriter, r *http.Request) {
	if !s.form(w, r) {
		return
	}
	row, err := strconv.ParseInt(r.PostForm.Get("id"), 10, 64)
	if err != nil {
		s.showTokens(w, r, "", "That token has no number.")
		return
	}
	err = s.db.DeleteToken(r.Context(), userFrom(r.Context()).ID, row)
	if err != nil && !errors.Is(err, database.ErrNotFound) {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/user/settings/tokens", http.StatusSeeOther)
}
