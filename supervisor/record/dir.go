package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	suffix     = ".run"
	newSuffix  = ".new"
	quarantine = "quarantine"
)

// Dir is the directory of the records. One process writes it; nobody else may (0700). Its methods may be called from any goroutine.
type Dir struct {
	path string

	mu    sync.Mutex
	files map[string]place // by file name: where the next write goes
}

// Open makes the directory if it is not there and removes what an interrupted Write left.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of run records: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(escapeGlob(path), "*"+newSuffix))
	if err != nil {
		return nil, fmt.Errorf("look for unfinished run records in %s: %w", path, err)
	}
	for _, file := range left {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("remove an unfinished run record: %w", err)
		}
	}
	return &Dir{path: path, files: map[string]place{}}, nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}

// FullError is a Write that found no space: the disk, the quota, or read-only. The old record, if any, is still whole.
type FullError struct {
	Path string
	Err  error
}

func (e *FullError) Error() string { return fmt.Sprintf("write %s: %v", e.Path, e.Err) }
func (e *FullError) Unwrap() error { return e.Err }

// Hint is what an operator can do.
func (e *FullError) Hint() string { return "make room on the file system of " + filepath.Dir(e.Path) }

// Write replaces the record of r.Name: whole or not at all. The error is a *FullError if a descriptor at stage 0 is the better place now.
func (d *Dir) Write(r Record) error {
	b, err := r.encode()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name := fileName(r.Name)
	if at, ok := d.files[name]; ok && len(b) <= at.room() {
		if err = d.overwrite(name, at.next(), b); err == nil {
			return nil
		}
	}
	if err = d.create(name, b); err == nil {
		return nil
	}
	if isFull(err) {
		return &FullError{filepath.Join(d.path, name), err}
	}
	return fmt.Errorf("write the run record of %s: %w", r.Name, err)
}

// overwrite fills the slot that does not hold the present record.
func (d *Dir) overwrite(name string, at place, b []byte) error {
	fd, err := unix.Open(filepath.Join(d.path, name), unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := pwrite(fd, at.seal(b), at.offset()); err != nil {
		return err
	}
	d.files[name] = at
	return nil
}

// create makes the file anew, beside and renamed, with room for twice what it holds now in each slot.
func (d *Dir) create(name string, b []byte) error {
	file := filepath.Join(d.path, name)
	at := newPlace(len(b), d.files[name].seq)
	fd, err := unix.Open(file+newSuffix, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	err = unix.Fallocate(fd, 0, 0, 2*at.size) // so that a disk that fills up later does not matter
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = unix.Ftruncate(fd, 2*at.size)
	}
	if err == nil {
		err = pwrite(fd, at.seal(b), at.offset())
	}
	err = errors.Join(err, unix.Close(fd))
	if err == nil {
		err = os.Rename(file+newSuffix, file)
	}
	if err != nil {
		_ = os.Remove(file + newSuffix)
		return err
	}
	d.files[name] = at
	return nil
}

func pwrite(fd int, b []byte, offset int64) error {
	n, err := unix.Pwrite(fd, b, offset)
	if err == nil && n < len(b) {
		err = unix.ENOSPC
	}
	return err
}

func isFull(err error) bool {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, full) {
			return true
		}
	}
	return false
}

// Remove forgets an instance; it is no error if there is no record of it.
func (d *Dir) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, fileName(name))
	if err := os.Remove(filepath.Join(d.path, fileName(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the run record of %s: %w", name, err)
	}
	return nil
}

// Load reads all records, sorted by name. What cannot be used is moved to quarantine/ and told in faults; only a directory that
// cannot be read is an error.
func (d *Dir) Load() (records []Record, faults []error, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the run records: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		r, err := d.load(e.Name())
		if err != nil {
			faults = append(faults, d.setAside(e.Name(), err))
			continue
		}
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(a.Name, b.Name) })
	return records, faults, nil
}

func (d *Dir) load(name string) (Record, error) {
	f, err := os.OpenFile(filepath.Join(d.path, name), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err != nil {
		return Record{}, err
	}
	at, text, err := newest(b)
	if err != nil {
		return Record{}, err
	}
	r, err := decode(text)
	if err == nil && fileName(r.Name) != name {
		err = fmt.Errorf("it is the record of %q", r.Name)
	}
	if err == nil {
		d.files[name] = at
	}
	return r, err
}

// setAside moves a file out of the way, with a number when one of its name is there already.
func (d *Dir) setAside(name string, why error) error {
	dir := filepath.Join(d.path, quarantine)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("run record %s is of no use (%w) and stays: %w", name, why, err)
	}
	for n := 0; ; n++ {
		to := filepath.Join(dir, name)
		if n > 0 {
			to = fmt.Sprintf("%s.%d", to, n)
		}
		if _, err := os.Lstat(to); err == nil {
			continue
		}
		if err := os.Rename(filepath.Join(d.path, name), to); err != nil {
			return fmt.Errorf("run record %s is of no use (%w) and stays: %w", name, why, err)
		}
		return fmt.Errorf("run record %s is of no use and was moved to %s: %w", name, to, why)
	}
}

// fileName is one file name for gitserver/1 and any other instance.
func fileName(instance string) string { return url.PathEscape(instance) + suffix }
