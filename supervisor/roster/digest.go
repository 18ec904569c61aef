package roster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// seenRelease is state/release-seen: the digest of the directory that --release named last. A release has gigabytes, and each start would read them
// all to learn that nothing changed.
type seenRelease struct {
	Source, Stamp, Digest string
}

// cachedDigest is digestOf, remembered for as long as no file's inode, size, or time of change differs.
func cachedDigest(dataDir, source string) (string, error) {
	stamp, err := stampOf(source)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dataDir, "state", "release-seen")
	var seen seenRelease
	if content, err := os.ReadFile(path); err == nil && json.Unmarshal(content, &seen) == nil && seen.Source == source && seen.Stamp == stamp {
		return seen.Digest, nil
	}
	digest, err := digestOf(source)
	if err != nil {
		return "", err
	}
	if again, err := stampOf(source); err != nil || again != stamp {
		return digest, err // it is being written to: nothing to remember
	}
	content, err := json.Marshal(seenRelease{source, stamp, digest})
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return digest, writeFile(path, append(content, '\n'), 0o644)
}

// stampOf covers what the kernel changes with a file's content or mode. The time of change cannot be set by a program.
func stampOf(root string) (string, error) {
	sum := sha256.New()
	err := walk(root, func(e entry) error {
		var st syscall.Stat_t
		if err := syscall.Lstat(filepath.Join(root, e.path), &st); err != nil {
			return err
		}
		_, err := fmt.Fprintf(sum, "%q %d %d %d %d %d.%d\n", e.path, st.Dev, st.Ino, st.Mode, st.Size, st.Ctim.Sec, st.Ctim.Nsec)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}
