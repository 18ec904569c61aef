package gitserver

import (
	"context"
	"errors"
	"net/url"
	"slices"
)

// shards is what a store knows of the other gitservers. The zero value stands for a gitserver on its own.
type shards struct {
	self    string // our entry in SRC_GIT_SERVERS
	client  *Client
	handOff bool // what belongs to another one is removed once that one has it
}

// Join tells a store before it is served which gitserver it is of those in SRC_GIT_SERVERS. A name that is not among them changes nothing: whoever does not know
// who he is gives nothing away.
func (s *Store) Join(self string, servers []string, handOff bool) {
	if slices.Contains(servers, self) {
		s.shards = shards{self: self, client: NewClient(func() []string { return servers }, nil), handOff: handOff}
	}
}

// owner is the gitserver that a repository belongs to.
func (s shards) owner(name string) string {
	if s.client == nil {
		return s.self
	}
	order, err := s.client.order(name)
	if err != nil {
		return s.self
	}
	return order[0]
}

// neighbour says whether an address is another gitserver's.
func (s shards) neighbour(addr string) bool {
	return s.client != nil && addr != s.self && slices.Contains(s.client.addrs(), addr)
}

// adopted copies the clone of the gitserver that held the repository until now, and says whether that went well. The copy is as old as the original.
func (s *Store) adopted(ctx context.Context, name, holder string, f *flight) bool {
	if !s.shards.neighbour(holder) {
		return false
	}
	from, err := s.shards.client.statusAt(ctx, holder, name)
	if err == nil && !from.Cloned {
		err = &Error{Code: ErrNotCloned, Text: name + " is not cloned there"}
	}
	if err == nil {
		err = s.cloneFrom(ctx, name, gitRemote(holder, name), f, state{Refs: from.Refs, LastChanged: from.LastChanged, LastFetched: from.LastFetched})
	}
	if err != nil {
		s.log.Warn("copy a clone from another gitserver, taking the code host's instead", "repo", name, "gitserver", holder, "error", err)
		return false
	}
	s.log.Info("copied a clone from another gitserver", "repo", name, "gitserver", holder)
	return true
}

func gitRemote(shard, name string) remote {
	u := url.URL{Scheme: "http", Host: shard, Path: gitPath + name}
	return remote{url: u.String()}
}

// handedOver removes a clone that belongs to another gitserver, and says whether it did: only when that one has a clone that it has just checked to be sound,
// and that was fetched no earlier than ours.
func (s *Store) handedOver(ctx context.Context, name string) bool {
	owner := s.shards.owner(name)
	if owner == s.shards.self || !s.shards.handOff {
		return false
	}
	ours := readState(cloneDir(s.root, name)).LastFetched
	theirs, err := s.shards.client.statusAt(ctx, owner, name)
	if err == nil && (!theirs.Cloned || theirs.LastFetched.Before(ours)) {
		return false // it is still on its way
	}
	if err == nil {
		_, err = s.shards.client.verifyAt(ctx, owner, name)
	}
	if err == nil {
		err = s.Remove(ctx, name)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("hand a clone over to the gitserver that it belongs to", "repo", name, "gitserver", owner, "error", err)
		}
		return false
	}
	s.log.Info("handed a clone over", "repo", name, "gitserver", owner)
	return true
}

// Verify checks the whole of a clone that belongs here, and gives the status of a sound one. A damaged one is made again at its next update.
func (s *Store) Verify(ctx context.Context, name string) (RepoStatus, error) {
	if err := checkName(name); err != nil {
		return RepoStatus{}, err
	}
	if owner := s.shards.owner(name); owner != s.shards.self {
		return RepoStatus{}, &Error{Code: ErrWrongShard, Text: "this gitserver is " + s.shards.self + ", and " + name + " belongs to " + owner,
			Remedy: "SRC_GIT_SERVERS of all gitservers must be the same"}
	}
	if !whole(cloneDir(s.root, name)) {
		return RepoStatus{}, s.absent(name)
	}
	err := s.alone(ctx, name, nil, func(ctx context.Context) error {
		return errors.Join(s.verify(ctx, cloneDir(s.root, name)), context.Cause(ctx))
	})
	if errors.Is(err, ErrCorrupt) {
		s.suspect(name, err)
	}
	if err != nil {
		return RepoStatus{}, err
	}
	return s.Status(ctx, name)
}
