package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sourcegraph/appliance/supervisor/roster"
)

// acceptedFile is the last plan that was valid, beside the run records. Secrets are in it by reference only.
func (s *Supervisor) acceptedFile() string {
	return filepath.Join(s.opts.Roster.RunDir, "accepted.json")
}

// keepAccepted writes what a later life of the supervisor falls back to.
func (s *Supervisor) keepAccepted(r *roster.Roster) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("keep the accepted plan: %w", err)
	}
	tmp := s.acceptedFile() + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		s.log.Warn("the accepted plan cannot be kept", "err", err) // a full disk must not keep services from starting
		return nil
	}
	if err := os.Rename(tmp, s.acceptedFile()); err != nil {
		return fmt.Errorf("keep the accepted plan: %w", err)
	}
	return nil
}

func (s *Supervisor) accepted() (*roster.Roster, error) {
	b, err := os.ReadFile(s.acceptedFile())
	if err != nil {
		return nil, fmt.Errorf("read the last accepted plan: %w", err)
	}
	r := &roster.Roster{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read the last accepted plan: %w", err)
	}
	if err := r.ReadSecrets(s.opts.Roster); err != nil {
		return nil, err
	}
	return r, nil
}
