package store

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// patientFS lets Pebble wait for a full disk instead of dying of it: Pebble ends the process when its log cannot be written. A write
// that finds no space is tried again until there is some, or until the store is closed.
//
// It also makes the sync of the write-ahead log a plain write, which survives a kill of the process, unless Flush wants more. A log is
// always synced before it is closed, since a torn log that is not the last one counts as corruption.
type patientFS struct {
	vfs.FS
	stop   <-chan struct{}
	report func(error)
	honest atomic.Int32 // syncs are real
	full   atomic.Bool  // somebody waits for space
	broken atomic.Bool  // Pebble has given up
}

func newPatientFS(fs vfs.FS, stop <-chan struct{}, report func(error)) *patientFS {
	return &patientFS{FS: fs, stop: stop, report: report}
}

// patiently repeats do while the disk is full.
func (p *patientFS) patiently(name string, do func() error) error {
	for {
		err := do()
		if err == nil {
			if p.full.CompareAndSwap(true, false) {
				p.report(nil)
			}
			return nil
		}
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) && !errors.Is(err, syscall.EROFS) {
			return err
		}
		p.full.Store(true)
		p.report(fmt.Errorf("write event store file %s: %w", name, err))
		select {
		case <-p.stop:
			return errors.Join(err, errClosed)
		case <-time.After(retryEvery):
		}
	}
}

func (p *patientFS) file(name string, open func() (vfs.File, error)) (vfs.File, error) {
	var f vfs.File
	err := p.patiently(name, func() (err error) { f, err = open(); return err })
	if err != nil {
		return nil, err
	}
	return &patientFile{File: f, fs: p, name: name, log: strings.HasSuffix(name, ".log")}, nil
}

func (p *patientFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.file(name, func() (vfs.File, error) { return p.FS.Create(name, c) })
}

func (p *patientFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return p.file(name, func() (vfs.File, error) { return p.FS.OpenReadWrite(name, c, opts...) })
}

func (p *patientFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.file(to, func() (vfs.File, error) { return p.FS.ReuseForWrite(from, to, c) })
}

func (p *patientFS) Link(from, to string) error {
	return p.patiently(to, func() error { return p.FS.Link(from, to) })
}

func (p *patientFS) Rename(from, to string) error {
	return p.patiently(to, func() error { return p.FS.Rename(from, to) })
}

func (p *patientFS) Unwrap() vfs.FS { return p.FS }

// patientFile is a file that is written.
type patientFile struct {
	vfs.File
	fs   *patientFS
	name string
	log  bool // of the write-ahead log
}

// Write goes on where a full disk has stopped it.
func (f *patientFile) Write(b []byte) (n int, err error) {
	err = f.fs.patiently(f.name, func() error {
		m, err := f.File.Write(b[n:])
		n += m
		return err
	})
	return n, err
}

// Preallocate only saves time.
func (f *patientFile) Preallocate(offset, length int64) error {
	if err := f.File.Preallocate(offset, length); err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return nil
}

func (f *patientFile) lazy() bool { return f.log && f.fs.honest.Load() == 0 }

func (f *patientFile) Sync() error {
	if f.lazy() {
		return nil
	}
	return f.fs.patiently(f.name, f.File.Sync)
}

func (f *patientFile) SyncData() error {
	if f.lazy() {
		return nil
	}
	return f.fs.patiently(f.name, f.File.SyncData)
}

func (f *patientFile) SyncTo(length int64) (fullSync bool, err error) {
	if f.lazy() {
		return false, nil
	}
	err = f.fs.patiently(f.name, func() (err error) { fullSync, err = f.File.SyncTo(length); return err })
	return fullSync, err
}

func (f *patientFile) Close() error {
	if f.log {
		if err := f.fs.patiently(f.name, f.File.SyncData); err != nil {
			return errors.Join(err, f.File.Close())
		}
	}
	return f.File.Close()
}
