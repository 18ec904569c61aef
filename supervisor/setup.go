package supervisor

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// setupFile holds the one-time token with which the first administrator is made off loopback. Without the file there is, or was, one.
func setupFile(dataDir string) string { return filepath.Join(dataDir, "state", "secrets", "setup") }

// openSetup reads the token, or makes it at the first start of a data directory.
func openSetup(dataDir string) (string, error) {
	done := setupFile(dataDir) + ".used"
	if _, err := os.Lstat(done); err == nil {
		return "", nil
	}
	b, err := os.ReadFile(setupFile(dataDir))
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the setup token: %w", err)
	}
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("make the setup token: %w", err)
	}
	token := hex.EncodeToString(random)
	if err := os.MkdirAll(filepath.Dir(done), 0o700); err != nil {
		return "", fmt.Errorf("make the setup token: %w", err)
	}
	return token, os.WriteFile(setupFile(dataDir), []byte(token+"\n"), 0o600)
}

// closeSetup ends the token: an administrator exists.
func closeSetup(dataDir string) error {
	return os.Rename(setupFile(dataDir), setupFile(dataDir)+".used")
}

// setupSecret is the token, whether it is needed here or not; empty once there is an administrator.
func (s *Supervisor) setupSecret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setup
}

// setupWait is how long the door may take to say whether somebody used the token; the heartbeat waits for it.
const setupWait = time.Second

// endSetup ends the token once the first administrator was made with it: the door has seen it, or the product says so, which is asked once in
// each life of a supervisor, since door and supervisor may have died together in between. Where no token is needed, nobody is asked.
func (s *Supervisor) endSetup(ctx context.Context) {
	if s.setupToken() == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, setupWait)
	defer cancel()
	stats, err := s.host.door.stats(ctx)
	if done := err == nil && stats.SetupDone; !done && !s.productHasAdministrator(ctx) {
		return // who does not answer is asked again at the next beat
	}
	if err := closeSetup(s.opts.Roster.DataDir); err != nil {
		s.log.Error("end the setup token", "err", err)
		return
	}
	s.mu.Lock()
	s.setup = ""
	s.mu.Unlock()
	s.event(api.Event{Kind: "appliance", Message: "the first administrator was made; the setup URL has ended"})
	s.showDoor()
}

// productHasAdministrator asks the product until it has said yes or no.
func (s *Supervisor) productHasAdministrator(ctx context.Context) bool {
	if s.productAsked {
		return false
	}
	plan := s.plan()
	for _, inst := range plan.Instances {
		if inst.Service == frontendName && inst.Wanted {
			has, known := hasAdministrator(ctx, inst.Addresses["http"], plan.Product)
			s.productAsked = known
			return has
		}
	}
	return false
}

// hasAdministrator says whether somebody owns the product, as its page for signing in shows to everybody: Sourcegraph's tells its own script in
// a JSON object, the demo's leads to the page that makes the first administrator. What it does not say is not known.
// src: sourcegraph: internal/gqltestutil/client.go @3.38, NeedsSiteInit: GET /sign-in, "needsSiteInit":true
func hasAdministrator(ctx context.Context, address, product string) (has, known bool) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/sign-in", http.NoBody)
	if err != nil {
		return false, false
	}
	resp, err := http.DefaultTransport.RoundTrip(r) // no redirect is followed
	if err != nil {
		return false, false
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, maxSignIn))
	if err != nil {
		return false, false
	}
	if product == "demo" {
		initial := resp.StatusCode == http.StatusSeeOther && resp.Header.Get("Location") == "/site-admin/init"
		return resp.StatusCode == http.StatusOK, initial || resp.StatusCode == http.StatusOK
	}
	has = bytes.Contains(page, []byte(`"needsSiteInit":false`))
	return has, has || bytes.Contains(page, []byte(`"needsSiteInit":true`))
}

// maxSignIn bounds the page that is looked at, in bytes; the object stands in its head.
const maxSignIn = 1 << 20
