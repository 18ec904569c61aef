package stage0

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// readSmall is the trimmed content of a file of at most 64 KiB.
func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, 64<<10))
	return strings.TrimSpace(string(content)), err
}

// plainName is name if it can only mean an entry of a directory, else "".
func plainName(name string) string {
	if name == "" || name == "." || name == ".." || name != filepath.Base(name) || strings.ContainsAny(name, "\x00\n") {
		return ""
	}
	return name
}

// writeExisting writes to a file of the kernel that must be there already.
func writeExisting(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
