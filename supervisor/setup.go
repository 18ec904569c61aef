package supervisor

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
