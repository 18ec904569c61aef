package supervisor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
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

// endSetup ends the token once the first administrator was made with it. Where no token is needed, nobody is asked.
func (s *Supervisor) endSetup(ctx context.Context) {
	if s.setupToken() == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, setupWait)
	defer cancel()
	if stats, err := s.host.door.stats(ctx); err != nil || !stats.SetupDone {
		return // a door that does not answer is asked again at the next beat
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
