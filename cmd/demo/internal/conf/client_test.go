package conf

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// frontend answers what it holds; nothing is 503.
func frontend(t *testing.T) (*atomic.Pointer[Config], *Client, *atomic.Int32) {
	var now atomic.Pointer[Config]
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		require.Equal(t, Path, r.URL.Path)
		if c := now.Load(); c != nil {
			require.NoError(t, json.NewEncoder(w).Encode(c))
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		if asked.Load() == 3 { // it starts up meanwhile
			now.Store(&Config{PostgresDSN: "postgres://sg:secret@a/sg", GitServers: []string{"g"}})
		}
	}))
	t.Cleanup(srv.Close)
	return &now, NewClient(srv.URL), &asked
}

func TestWaitOutlastsAFrontendThatStarts(t *testing.T) {
	_, c, asked := frontend(t)
	got, err := c.Wait(t.Context(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, []string{"g"}, got.GitServers)
	require.EqualValues(t, 4, asked.Load())
}

func TestWatchSeesAnotherDatabaseAndKeepsItsPassword(t *testing.T) {
	now, c, _ := frontend(t)
	now.Store(&Config{PostgresDSN: "postgres://sg:other-secret@b/sg"})
	err := c.WatchDSN(t.Context(), Config{PostgresDSN: "postgres://sg:secret@a/sg"})
	var changed *SettingsChanged
	require.ErrorAs(t, err, &changed)
	require.Contains(t, err.Error(), "Detected settings change")
	require.NotContains(t, err.Error(), "secret")
}

func TestRedact(t *testing.T) {
	require.Equal(t, "postgres://sg:xxxxx@h:1/db?sslmode=disable", Redact("postgres://sg:secret@h:1/db?sslmode=disable&password=secret"))
	require.Equal(t, "(redacted)", Redact("host=h password=secret"))
	require.Equal(t, "(redacted)", Redact("postgres://sg:sec ret@h:port"))
}
