package supervisor

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/door"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
	"github.com/sourcegraph/appliance/supervisor/stage0"
	"github.com/sourcegraph/appliance/supervisor/store"
)

// newSetup is a supervisor with a real front door before a backend, and an address that others reach.
func newSetup(t *testing.T, backend string) (*Supervisor, string) {
	t.Helper()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	s := &Supervisor{
		opts: Options{Roster: roster.Options{DataDir: dir}}, log: log, since: time.Now(), store: store.New(filepath.Join(dir, "store"), store.Options{}),
		roster:      &roster.Roster{Plan: services.Plan{Product: "demo"}, Site: roster.Site{Listen: []keys.Listener{"0.0.0.0:7080"}}},
		certificate: newCertificate(log), reach: newReach(),
	}
	var err error
	s.open, err = s.openFront(s.roster)
	require.NoError(t, err)
	s.host = &Host{door: &frontDoor{log: log, tell: func(stage0.Message) {}}}
	s.engine = engine.New(s.host, jitter, func(string, error) {})
	t.Cleanup(s.engine.Close)
	s.setup, err = openSetup(dir)
	require.NoError(t, err)

	ours, theirs, err := door.NewPair()
	require.NoError(t, err)
	ended := make(chan int, 1)
	go func() { ended <- door.Main(theirs, io.Discard) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	d := s.host.door
	d.adopt(ours)
	require.NoError(t, ours.Close())
	d.setListenersLocked([]door.Listener{{Name: "main", File: f}})
	d.show(door.State{Mode: door.Proxy, Backend: backend, SetupToken: s.setupToken()})
	t.Cleanup(func() {
		require.NoError(t, d.control.Drain(door.Drain{}))
		require.Zero(t, <-ended)
		d.control.Close()
	})
	_, err = d.stats(t.Context()) // it has taken all that by the time it answers
	require.NoError(t, err)
	return s, "http://" + l.Addr().String()
}

func TestSetupTokenEndsOnceAnAdministratorIsMade(t *testing.T) {
	answer := make(chan int, 1)
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(<-answer) }))
	defer b.Close()
	s, address := newSetup(t, strings.TrimPrefix(b.URL, "http://"))
	token := s.setupToken()
	require.Len(t, token, 32)
	require.Contains(t, s.secretValues(), token)
	create := func(status int) {
		t.Helper()
		answer <- status
		r, err := http.NewRequestWithContext(t.Context(), "POST", address+"/-/site-init", strings.NewReader("{}"))
		require.NoError(t, err)
		r.Header.Set("X-Appliance-Setup", token)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.Equal(t, status, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
	create(400)
	s.endSetup(t.Context())
	require.Equal(t, token, s.setupToken(), "nobody was made")

	create(201)
	require.Eventually(t, func() bool { s.endSetup(t.Context()); return s.setupToken() == "" }, 30*time.Second, 10*time.Millisecond)
	require.Empty(t, s.setupURL())
	require.NoFileExists(t, setupFile(s.opts.Roster.DataDir))
	again, err := openSetup(s.opts.Roster.DataDir)
	require.NoError(t, err)
	require.Empty(t, again, "a later start makes no other token")
	info, err := os.Stat(setupFile(s.opts.Roster.DataDir) + ".used")
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())

	_, err = s.host.door.stats(t.Context())
	require.NoError(t, err)
	code, _ := fetch(t, "GET", address+"/-/appliance/setup?token="+token)
	require.NotEqual(t, 403, code, "the door was told")
	require.Empty(t, s.host.door.state.SetupToken)
}

func TestNobodyIsAskedWhereNoTokenIsNeeded(t *testing.T) {
	s := &Supervisor{
		setup:  "token",
		roster: &roster.Roster{Plan: services.Plan{Product: "demo"}, Site: roster.Site{Listen: []keys.Listener{"127.0.0.1:7080"}}},
	}
	open := func() {
		var err error
		s.open, err = s.openFront(s.roster)
		require.NoError(t, err)
	}
	open()
	s.endSetup(t.Context()) // would find neither a host nor a door
	require.Equal(t, "token", s.setup)
	s.roster.Site.Listen, s.roster.Plan.Product = []keys.Listener{"0.0.0.0:7080"}, "none"
	open()
	s.endSetup(t.Context())
	require.Equal(t, "token", s.setup)
}

// TestSetupTokenEndsWhereTheProductHasAnAdministrator: the door that saw the first one made died before anybody heard of it.
func TestSetupTokenEndsWhereTheProductHasAnAdministrator(t *testing.T) {
	for name, tc := range map[string]struct {
		product, location, page string
		status                  int
		ends, known             bool
	}{
		"Sourcegraph, owned":    {product: "sourcegraph", status: 200, page: `window.context = {"needsSiteInit":false}`, ends: true, known: true},
		"Sourcegraph, new":      {product: "sourcegraph", status: 200, page: `window.context = {"needsSiteInit":true}`, known: true},
		"Sourcegraph, starting": {product: "sourcegraph", status: 503},
		"Sourcegraph, silent":   {product: "sourcegraph", status: 200, page: "sign in"},
		"demo, owned":           {product: "demo", status: 200, page: "sign in", ends: true, known: true},
		"demo, new":             {product: "demo", status: 303, location: "/site-admin/init", known: true},
		"demo, failing":         {product: "demo", status: 500},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				require.Equal(t, "/sign-in", r.URL.Path)
				if tc.location != "" {
					w.Header().Set("Location", tc.location)
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.page)
			}))
			defer b.Close()
			address := strings.TrimPrefix(b.URL, "http://")
			s, _ := newSetup(t, address)
			s.roster.Plan = services.Plan{Product: tc.product, Instances: []services.Instance{
				{Service: frontendName, Replicas: 1, Wanted: true, Addresses: map[string]string{"http": address}},
			}}
			s.endSetup(t.Context())
			require.Equal(t, tc.ends, s.setupToken() == "")
			require.Equal(t, tc.known, s.productAsked)
			s.endSetup(t.Context())
			require.Equal(t, map[bool]int{true: 1, false: 2}[tc.known], asked, "one that has answered is asked no more")
		})
	}
}
