package supervisor

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/stage0"
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
	if err = os.WriteFile(tmp, b, 0o600); err == nil {
		err = os.Rename(tmp, s.acceptedFile())
	}
	if err != nil {
		s.log.Warn("the accepted plan is kept in memory", "err", err) // a full disk must not keep services from starting
		return s.keepAcceptedInMemory(b)
	}
	return s.conn.Send(stage0.Message{Type: stage0.Drop, Name: acceptedName})
}

// acceptedName is the plan that stage 0 holds for us while the disk takes none.
const acceptedName = "accepted"

func (s *Supervisor) keepAcceptedInMemory(b []byte) error {
	fd, err := unix.MemfdCreate(acceptedName, unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("keep the accepted plan in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), acceptedName)
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		return fmt.Errorf("keep the accepted plan in memory: %w", err)
	}
	return s.conn.Send(stage0.Message{Type: stage0.Store, Name: acceptedName, Files: []*os.File{f}})
}

// readAccepted prefers what stage 0 holds: it is newer than the file.
func (s *Supervisor) readAccepted(stored map[string][]*os.File) ([]byte, error) {
	if files := stored[acceptedName]; len(files) == 1 {
		return io.ReadAll(io.NewSectionReader(files[0], 0, 1<<30))
	}
	return os.ReadFile(s.acceptedFile())
}

func (s *Supervisor) accepted(stored map[string][]*os.File) (*roster.Roster, error) {
	b, err := s.readAccepted(stored)
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
