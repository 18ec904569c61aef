package roster

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sourcegraph/appliance/services"
)

const maxSecret = 64 << 10 // bytes

// secretStore finds secrets: the generated ones in the data directory, the site's own beside its configuration, and those of the environment.
type secretStore struct {
	generated, site string
	surround        map[string]string // contents
}

// names lists the site's secrets.
func (s secretStore) names() ([]string, error) {
	out := slices.Collect(maps.Keys(s.surround))
	entries, err := os.ReadDir(s.site)
	if errors.Is(err, fs.ErrNotExist) || s.site == "" {
		return out, nil
	}
	if err != nil {
		return nil, invalid(fmt.Errorf("read the site's secrets: %w", err), "make the directory readable for the user that runs the appliance")
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// load returns the content of each name. A generated secret that is not there is made, unless dry or data exists that it opens.
func (s secretStore) load(needed []string, inUse func(name string) string, dry bool) (map[string]string, error) {
	generated := slices.Collect(maps.Keys(services.Generated()))
	out := map[string]string{}
	for _, name := range needed {
		content, given := s.surround[name]
		var err error
		if given {
			out[name] = content
			continue
		}
		if slices.Contains(generated, name) {
			if err = s.notOfTheSite(name); err == nil {
				content, err = s.own(name, inUse(name), dry)
			}
		} else {
			path := name // of a file anywhere
			if !filepath.IsAbs(name) {
				path = filepath.Join(s.site, name)
			}
			if content, err = readSecret(path); err == nil {
				err = checkPrivate(path)
			}
		}
		if err != nil {
			return nil, err
		}
		out[name] = content
	}
	return out, nil
}

// notOfTheSite refuses a file of the site with the name of a secret that the appliance makes: nobody would read it.
func (s secretStore) notOfTheSite(name string) error {
	path := filepath.Join(s.site, name)
	if there, err := exists(path); s.site == "" || !there || err != nil {
		return err
	}
	return invalid(fmt.Errorf("the secret %s is not read: the appliance makes one of this name itself, the %s", path, services.Generated()[name]), "give the file another name, such as "+name+"-site, and say that one where it is meant")
}

func (s secretStore) own(name, inUse string, dry bool) (string, error) {
	path := filepath.Join(s.generated, name)
	content, err := readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return content, err
	}
	if inUse != "" {
		return "", invalid(fmt.Errorf("the secret %s is gone, but %s was made with it", path, inUse), "restore the file from a backup of the data directory")
	}
	if dry {
		return "", nil
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("make the secret %s: %w", name, err)
	}
	content = hex.EncodeToString(random)
	if err := os.MkdirAll(s.generated, 0o700); err != nil {
		return "", fmt.Errorf("make the secret %s: %w", name, err)
	}
	return content, writeFile(path, []byte(content+"\n"), 0o600)
}

// readSecret reads one line; the newline that editors add is no part of it.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxSecret {
		err = fmt.Errorf("%s is larger than 64KiB", path)
	}
	if err != nil {
		return "", invalidFile(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", invalidFile(err)
	}
	text := strings.TrimRight(string(content), "\r\n")
	switch {
	case text == "":
		return "", invalid(fmt.Errorf("the secret %s is empty", path), "put its content into the file, on one line")
	case strings.ContainsAny(text, "\x00\n"):
		return "", invalid(fmt.Errorf("the secret %s has more than one line", path), "put its content into the file, on one line")
	}
	return text, nil
}

// checkPrivate refuses a secret that every user of the machine can read: its mode lets them, and so do all directories above it.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o004 == 0 {
		return err
	}
	if whole, err := filepath.EvalSymlinks(path); err != nil || checkTraversable(filepath.Dir(whole)) != nil {
		return err
	}
	return invalid(fmt.Errorf("every user of this machine can read the secret %s (mode %04o)", path, info.Mode().Perm()), "chmod o-r "+path)
}

func invalidFile(err error) error {
	return invalid(fmt.Errorf("read a secret: %w", err), "make it readable for the user that runs the appliance")
}
