package debugserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHandler(t *testing.T) {
	ready := false
	srv := httptest.NewServer(Handler(func() bool { return ready }))
	defer srv.Close()
	status := func(method, path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	for path, want := range map[string]int{"/healthz": 200, "/ready": 503, "/metrics": 200, "/vars": 200, "/debug/pprof/": 200} {
		code, _ := status("GET", path)
		require.Equal(t, want, code, path)
	}
	ready = true
	code, _ := status("GET", "/ready")
	require.Equal(t, 200, code)
	_, metrics := status("GET", "/metrics")
	require.Contains(t, metrics, "go_goroutines")
	code, _ = status("POST", "/gc")
	require.Equal(t, 200, code)
}

func TestTheSecondServiceOnAnAddressIsToldSo(t *testing.T) {
	t.Setenv("SRC_PROF_HTTP", "127.0.0.1:0")
	ln, err := Listen()
	require.NoError(t, err)
	defer ln.Close()
	t.Setenv("SRC_PROF_HTTP", ln.Addr().String())
	require.ErrorContains(t, Start(t.Context(), func() bool { return true }), "SRC_PROF_HTTP="+ln.Addr().String())
}
