package frontend

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/extsvc"
)

// repositoryRow is a line of the repositories page.
type repositoryRow struct {
	database.Repo
	Remote string // without its password
	Status string // cloned, cloning, waiting or failed
}

func (s *server) repositoriesPage(w http.ResponseWriter, r *http.Request) {
	s.showRepositories(w, r, http.StatusOK, "", "")
}

func (s *server) showRepositories(w http.ResponseWriter, r *http.Request, status int, problem, typed string) {
	repos, err := s.db.Repos(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var data struct {
		Rows  []repositoryRow
		Busy  bool // something changes soon
		Typed string
	}
	data.Typed = typed
	for _, repo := range repos {
		row := repositoryRow{repo, extsvc.Redact(repo.CloneURL), rowStatus(repo)}
		data.Busy = data.Busy || row.Status == "cloning" || row.Status == "waiting"
		data.Rows = append(data.Rows, row)
	}
	s.render(w, r, status, "repositories", view{Title: "Repositories", Error: problem, Data: data})
}

func rowStatus(repo database.Repo) string {
	switch {
	case repo.Cloning:
		return "cloning"
	case repo.LastError != nil:
		return "failed"
	case repo.Cloned:
		return "cloned"
	}
	return "waiting"
}

// addRepository adds the one URL of a form, as a code host of its own.
func (s *server) addRepository(w http.ResponseWriter, r *http.Request) {
	if !s.adminForm(w, r) {
		return
	}
	cloneURL := strings.TrimSpace(r.PostForm.Get("url"))
	config, err := json.Marshal(map[string][]string{"repos": {cloneURL}})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	repos, err := extsvc.Parse(string(config))
	if err != nil {
		problem := strings.TrimPrefix(err.Error(), "configuration: repos[0]: ")
		s.showRepositories(w, r, http.StatusBadRequest, problem, cloneURL)
		return
	}
	if _, err := s.db.Repo(r.Context(), repos[0].Name); err == nil {
		s.showRepositories(w, r, http.StatusConflict, repos[0].Name+" is here already", cloneURL)
		return
	}
	if _, err := s.db.AddExternalService(r.Context(), repos[0].Name, string(config), repos); err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/repositories", http.StatusSeeOther)
}

func (s *server) removeRepository(w http.ResponseWriter, r *http.Request) {
	if !s.adminForm(w, r) {
		return
	}
	row, err := strconv.ParseInt(r.PostForm.Get("id"), 10, 64)
	if err != nil {
		s.showRepositories(w, r, http.StatusBadRequest, fmt.Sprintf("id %q is not a number", r.PostForm.Get("id")), "")
		return
	}
	err = s.db.RemoveRepo(r.Context(), row, extsvc.Without)
	if err != nil && !errors.Is(err, database.ErrNotFound) {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/repositories", http.StatusSeeOther)
}

// adminForm reads a form of an administrator; others are told off.
func (s *server) adminForm(w http.ResponseWriter, r *http.Request) bool {
	if !userFrom(r.Context()).SiteAdmin {
		s.render(w, r, http.StatusForbidden, "message", view{Title: "Not allowed", Data: message{Text: "Only site administrators can do this."}})
		return false
	}
	return s.form(w, r)
}

func (s *server) form(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, bodyMax)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "a form that cannot be read: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}
