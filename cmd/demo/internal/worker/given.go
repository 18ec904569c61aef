package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/extsvc"
)

// givenName is the code host that stands for the repositories of DEMO_REPOS, URLs separated by spaces. It follows the variable at each
// start; without the variable it is left as it is.
const givenName = "given at start"

// keepGiven makes the repositories of the code host those that the variable names.
func keepGiven(ctx context.Context, db *database.DB, variable string) error {
	urls := strings.Fields(variable)
	if len(urls) == 0 {
		return nil
	}
	config, err := json.Marshal(map[string]any{"repos": urls})
	if err != nil {
		return err
	}
	repos, err := extsvc.Parse(string(config))
	if err != nil {
		return fmt.Errorf("environment DEMO_REPOS: %w", err)
	}
	services, err := db.ExternalServices(ctx)
	if err != nil {
		return err
	}
	for _, s := range services {
		if s.DisplayName == givenName {
			return db.SetExternalService(ctx, s.ID, string(config), repos)
		}
	}
	_, err = db.AddExternalService(ctx, givenName, string(config), repos)
	return err
}
