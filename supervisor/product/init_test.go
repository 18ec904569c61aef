package product

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInitAsOldAndNewReleasesWantIt: an old one wants the token and the cookie of its page, a new one has none.
func TestInitAsOldAndNewReleasesWantIt(t *testing.T) {
	for name, page := range map[string]string{"old": `{"xhrHeaders":{"X-Csrf-Token":"t0ken","x":1}}`, "new": `<html>`} {
		t.Run(name, func(t *testing.T) {
			var got Credentials
			mux := http.NewServeMux()
			mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					http.Redirect(w, r, "/site-admin/init", http.StatusFound)
					return
				}
				http.SetCookie(w, &http.Cookie{Name: "sg_csrf_token", Value: "c00kie"})
				w.Write([]byte(page))
			})
			mux.HandleFunc("POST /-/site-init", func(w http.ResponseWriter, r *http.Request) {
				cookie, err := r.Cookie("sg_csrf_token")
				if name == "old" && (r.Header.Get("X-Csrf-Token") != "t0ken" || err != nil || cookie.Value != "c00kie") {
					http.Error(w, "Forbidden - CSRF token invalid", http.StatusForbidden)
					return
				}
				require.NoError(t, json.NewDecoder(r.Body).Decode(&got))
			})
			server := httptest.NewServer(mux)
			defer server.Close()
			want := Credentials{"root@example.com", "root", "correct horse"}
			require.NoError(t, Init(t.Context(), strings.TrimPrefix(server.URL, "http://"), want))
			require.Equal(t, want, got)
		})
	}
}

func TestInitTellsWhatTheProductSays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "site_already_initialized", http.StatusForbidden)
	}))
	address := strings.TrimPrefix(server.URL, "http://")
	require.ErrorContains(t, Init(t.Context(), address, Credentials{}), "site_already_initialized")
	server.Close()
	require.ErrorContains(t, Init(t.Context(), address, Credentials{}), "does not answer")
}
