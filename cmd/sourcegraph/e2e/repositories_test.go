package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBadRepositories adds what cannot be cloned, or hardly, beside a good one: each is told, and the good one is searched.
func TestBadRepositories(t *testing.T) {
	t.Parallel()
	a := install(t)
	a.up()
	a.administrator()
	locked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer locked.Close()
	good := a.repository("good", "a.txt", "needle\n")
	odd := a.repository("odd", "sp ace/ü 🙂.txt", "needle\n", "-dash", "needle\n", "new\nline.txt", "needle\n", "q'\"<b>.txt", "needle\n", "100%25.txt", "needle\n")
	empty := a.repository("empty")
	inner := a.repository("inner", "in.txt", "needle inside\n")
	outer := a.repository("outer", "out.txt", "needle outside\n")
	git(t, a.src()+"/outer", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner, "sub")
	git(t, a.src()+"/outer", "commit", "-q", "-m", "submodule")
	require.NoError(t, os.RemoveAll(a.src()+"/outer/.git/modules"))
	a.add(good, odd, empty, outer, "file://"+a.src()+"/missing", locked.URL+"/private.git")

	said := func(part string) *mirror {
		for _, m := range a.mirrors() {
			if strings.Contains(m.Name, part) {
				return &m
			}
		}
		return nil
	}
	for _, part := range []string{"good", "odd", "outer"} {
		require.True(t, a.eventually(func() bool { m := said(part); return m != nil && m.MirrorInfo.Cloned }), part)
	}
	for part, want := range map[string]string{"missing": "does not appear to be a git repository", "private": "check user, password or token"} {
		var last string
		require.True(t, a.eventually(func() bool {
			m := said(part)
			if m == nil || m.MirrorInfo.LastError == nil {
				return false
			}
			last = *m.MirrorInfo.LastError
			return true
		}), part)
		require.False(t, said(part).MirrorInfo.Cloned)
		require.Contains(t, last, want, part)
	}
	a.answers("needle count:all repo:(good|odd|outer)$", 7) // 1 good, 5 odd, 1 outer: the submodule is another repository
	got, err := a.search(t.Context(), http.DefaultClient, "needle count:all")
	require.Equal(t, 7, got)
	require.ErrorContains(t, err, "repository-missing", "an answer without them says so")
	require.Empty(t, a.missing(), "bad repositories make no service unwell")
	require.Nil(t, said("empty").MirrorInfo.LastError, "an empty repository is none that is broken")
}
