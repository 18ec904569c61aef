package frontend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/tailscale/hujson"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
)

// siteConfig is what the demo takes from the site configuration; Sourcegraph's other settings may be in it and have no effect here.
type siteConfig struct {
	MinPasswordLength int `json:"auth.minPasswordLength"` // bytes
}

// siteConfig reads what is in force: an edit of it counts at once.
func (s *server) siteConfig(ctx context.Context) (siteConfig, error) {
	var c siteConfig
	text, err := s.db.SiteConfig(ctx)
	if err != nil {
		return c, err
	}
	standard, err := hujson.Standardize([]byte(text))
	if err == nil {
		err = json.Unmarshal(standard, &c)
	}
	if err != nil {
		return c, fmt.Errorf("read the site configuration: %w", err)
	}
	if c.MinPasswordLength <= 0 {
		c.MinPasswordLength = 12 // as Sourcegraph
	}
	return c, nil
}

// overrideSiteConfig makes the files of SITE_CONFIG_FILE, as PATH lists them, the site configuration: one as it is, several merged, where a later one wins.
// src: sourcegraph: cmd/frontend/internal/cli/config.go (readSiteConfigFile, overrideSiteConfig)
func overrideSiteConfig(ctx context.Context, db *database.DB, list string) error {
	if list == "" {
		return nil
	}
	contents, err := readSiteConfig(filepath.SplitList(list))
	if err != nil {
		return fmt.Errorf("environment SITE_CONFIG_FILE=%s: %w", list, err)
	}
	return db.SetSiteConfig(ctx, contents)
}

func readSiteConfig(paths []string) (string, error) {
	merged := map[string]json.RawMessage{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		standard, err := hujson.Standardize(bytes.Clone(text))
		var one map[string]json.RawMessage
		if err == nil {
			err = json.Unmarshal(standard, &one)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		if len(paths) == 1 {
			return string(text), nil
		}
		maps.Copy(merged, one)
	}
	text, err := json.MarshalIndent(merged, "", "  ")
	return "// merged SITE_CONFIG_FILE\n" + string(text) + "\n", err
}
