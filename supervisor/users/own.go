package users

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// CheckWritable reports whether we may write the data directory itself. Its owner need not be us: an image's volume is root:0 0775, and any --user N:0 may use it.
// The error is a *RefusedError if we may not.
func CheckWritable(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("look at the data directory %s: %w", dir, err)
	}
	err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	switch {
	case errors.Is(err, unix.EROFS):
		return &RefusedError{fmt.Sprintf("directory %s is on a read-only file system", dir), "mount it writable: it is the one directory that must be"}
	case errors.Is(err, unix.EACCES):
		return foreign(dir, st.Uid, uint32(os.Geteuid()))
	case err != nil:
		return fmt.Errorf("look at the data directory %s: %w", dir, err)
	}
	return nil
}

// Own makes dir, and what in it belonged to dir's owner, belong to uid and gid; changed is the number of files. It costs one look when dir is theirs already.
//
// dir itself comes last, so an interrupted change goes on at the next call. Files of a third owner in it stay theirs: a hard link to a file of root's must not become a
// service's. Nothing may run in dir meanwhile. Without the right to change owners the error is a *RefusedError.
func Own(ctx context.Context, dir string, uid, gid int) (changed int, err error) {
	var top unix.Stat_t
	if err := unix.Lstat(dir, &top); err != nil {
		return 0, fmt.Errorf("change the owner of %s: %w", dir, err)
	}
	if int(top.Uid) == uid { // its group alone proves nothing: a volume's is 0
		return 0, nil
	}
	if top.Mode&unix.S_IFMT == unix.S_IFLNK {
		return 0, fmt.Errorf("change the owner of %s: it is a symbolic link", dir)
	}
	if os.Geteuid() != 0 {
		return 0, foreign(dir, top.Uid, uint32(uid))
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil || path == dir {
			return err
		}
		did, err := pass(path, top.Uid, uid, gid)
		if did {
			changed++
		}
		return err
	})
	if err == nil {
		err = os.Lchown(dir, uid, gid)
		changed++
	}
	if err != nil {
		return changed, fmt.Errorf("change the owner of %s from %d to %d: %w", dir, top.Uid, uid, err)
	}
	return changed, nil
}

// pass changes one file's owner if it is from's.
func pass(path string, from uint32, uid, gid int) (bool, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return false, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	if st.Uid != from {
		return false, nil
	}
	return true, os.Lchown(path, uid, gid)
}
