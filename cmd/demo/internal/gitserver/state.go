package gitserver

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const stateFile = "gitserver.json"

// state is what we remember of a clone, in a file inside of it.
type state struct {
	LastFetched time.Time `json:"lastFetched"`
	LastChanged time.Time `json:"lastChanged"`
	Refs        string    `json:"refs"`              // hash over names and values of all refs and HEAD
	Suspect     string    `json:"suspect,omitempty"` // why the clone may be damaged
}

// readState gives the zero state when there is none that can be read: the next fetch writes it anew.
func readState(dir string) state {
	var s state
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil || json.Unmarshal(data, &s) != nil {
		return state{}
	}
	return s
}

func writeState(dir string, s state) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the state of %s: %w", dir, err)
	}
	path := filepath.Join(dir, stateFile)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write the state of %s: %w", dir, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the state of %s: %w", dir, err)
	}
	return nil
}

// editState changes the state file of a clone.
func (s *Store) editState(dir string, edit func(*state)) error {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	st := readState(dir)
	edit(&st)
	return writeState(dir, st)
}

func (s state) result() UpdateResult {
	return UpdateResult{LastFetched: s.LastFetched, LastChanged: s.LastChanged}
}
