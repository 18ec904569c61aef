package users

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/supervisor/process"
)

// The numbers given to services without an account: below 65536 for user namespaces of the usual size, above the accounts that people make first,
// below those that process.Marks takes where it has to.
const (
	firstUID  = 20000
	lastUID   = 39999
	blockSize = 64 // for one appliance, so that two on one machine start apart; a roster is 27 services at most
)

// maxAccount is the longest account name. Source: useradd(8), 32 with the NUL.
const maxAccount = 31

// schema of state/users.
const schema = 1

// Identity is who a service runs as.
type Identity struct {
	UID     int    `json:"uid"`
	GID     int    `json:"gid"`
	Account string `json:"account,omitempty"` // empty: the number has no entry in passwd
}

// SpecUID is what process.Spec.UID wants: process.NoChange in the one-user mode.
func (i Identity) SpecUID() int {
	if i.UID == os.Geteuid() && i.GID == os.Getegid() && i.UID != 0 {
		return process.NoChange
	}
	return i.UID
}

// Book remembers every service's user in a file.
type Book struct {
	mode  Mode
	file  string
	start int // first number of the appliance's block

	mu    sync.Mutex
	known map[string]Identity
}

type document struct {
	Schema int                 `json:"schema"`
	Users  map[string]Identity `json:"users"`
}

// Open reads the file, which need not exist. id names the appliance on this machine for ever (a hash of its data directory's device and inode).
//
// A damaged file is an error and not rebuilt: the numbers in it own data.
func Open(file, id string, mode Mode) (*Book, error) {
	h := fnv.New64a()
	_, _ = io.WriteString(h, id)
	blocks := uint64(lastUID-firstUID+1) / blockSize
	b := &Book{mode: mode, file: file, start: firstUID + int(h.Sum64()%blocks)*blockSize, known: map[string]Identity{}}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the services' users: %w", err)
	}
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, &RefusedError{fmt.Sprintf("read the services' users in %s: %v", file, err), "bring it back from a backup; ls -ln of the data directories shows the numbers"}
	}
	if doc.Schema != schema {
		return nil, &RefusedError{fmt.Sprintf("the services' users in %s have schema %d, this version knows %d", file, doc.Schema, schema), "use the version that wrote it"}
	}
	for service, i := range doc.Users {
		b.known[service] = i
	}
	return b, nil
}

// Of is the user of a service: in root mode the one it had, else the account's, else a number of the block that no account has; new ones are on disk when
// Of returns. In the one-user mode it is always ourselves, and nothing is remembered.
func (b *Book) Of(service, account string) (Identity, error) {
	if b.mode == OneUser {
		return Identity{UID: os.Geteuid(), GID: os.Getegid()}, nil
	}
	if err := b.Reserve(map[string]string{service: account}); err != nil {
		return Identity{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[service], nil
}

// Reserve is Of for many services, by account, with one write to disk.
func (b *Book) Reserve(accounts map[string]string) error {
	if b.mode == OneUser {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var fresh []string
	for _, service := range slices.Sorted(maps.Keys(accounts)) {
		if _, ok := b.known[service]; ok {
			continue
		}
		i, err := b.choose(accounts[service])
		if err != nil {
			b.forget(fresh)
			return fmt.Errorf("choose a user for %s: %w", service, err)
		}
		b.known[service] = i
		fresh = append(fresh, service)
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := b.save(); err != nil {
		b.forget(fresh)
		return fmt.Errorf("remember the users of %s: %w", strings.Join(fresh, ", "), err)
	}
	return nil
}

func (b *Book) forget(services []string) {
	for _, service := range services {
		delete(b.known, service)
	}
}

func (b *Book) choose(account string) (Identity, error) {
	if len(account) > maxAccount {
		return Identity{}, fmt.Errorf("account %q is longer than %d characters", account, maxAccount)
	}
	if account != "" {
		u, err := user.Lookup(account)
		if err == nil {
			return identityOf(u)
		}
		if !isUnknown(err) {
			return Identity{}, fmt.Errorf("look up account %q: %w", account, err)
		}
	}
	taken := map[int]bool{}
	for _, i := range b.known {
		taken[i.UID] = true
	}
	for n := range lastUID - firstUID + 1 {
		uid := firstUID + (b.start-firstUID+n)%(lastUID-firstUID+1)
		if taken[uid] {
			continue
		}
		free, err := unused(uid)
		if err != nil {
			return Identity{}, err
		}
		if free {
			return Identity{UID: uid, GID: uid}, nil
		}
	}
	return Identity{}, fmt.Errorf("all numbers from %d to %d belong to accounts", firstUID, lastUID)
}

func identityOf(u *user.User) (Identity, error) {
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return Identity{}, fmt.Errorf("account %q: %w", u.Username, err)
	}
	return Identity{UID: uid, GID: gid, Account: u.Username}, nil
}

// unused reports that neither a user nor a group has the number.
func unused(n int) (bool, error) {
	_, err := user.LookupId(strconv.Itoa(n))
	if err == nil {
		return false, nil
	}
	if !isUnknown(err) {
		return false, fmt.Errorf("look up uid %d: %w", n, err)
	}
	_, err = user.LookupGroupId(strconv.Itoa(n))
	if err == nil {
		return false, nil
	}
	if !isUnknown(err) {
		return false, fmt.Errorf("look up gid %d: %w", n, err)
	}
	return true, nil
}

// isUnknown includes a root file system without passwd, as in a small image.
func isUnknown(err error) bool {
	var name user.UnknownUserError
	var uid user.UnknownUserIdError
	var gid user.UnknownGroupIdError
	return errors.As(err, &name) || errors.As(err, &uid) || errors.As(err, &gid) || errors.Is(err, fs.ErrNotExist)
}

// save writes beside, syncs, renames and syncs the directory: what owns data must survive a power cut.
func (b *Book) save() error {
	text, err := json.MarshalIndent(document{schema, b.known}, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(b.file+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(b.file+".new", b.file)
	}
	if err != nil {
		_ = os.Remove(b.file + ".new")
		return err
	}
	dir, err := os.Open(filepath.Dir(b.file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
