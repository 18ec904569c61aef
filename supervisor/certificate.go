package supervisor

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sourcegraph/appliance/supervisor/door"
	"github.com/sourcegraph/appliance/supervisor/roster"
)

const (
	certificateSettle = 200 * time.Millisecond // for the second of the two files to be written
	certificateEvery  = time.Minute            // for file systems that do not tell: NFS, FUSE
)

// certificate is the site's certificate with its key, read again when a file changes. A pair that cannot be used leaves the last one in use.
type certificate struct {
	log *slog.Logger

	mu    sync.Mutex
	files roster.TLS
	pair  door.TLS
	fault string        // why what is on disk is not in use
	moved chan struct{} // the files are others
}

func newCertificate(log *slog.Logger) *certificate {
	return &certificate{log: log, moved: make(chan struct{}, 1)}
}

// use names the files; none means that there is no certificate of the site.
func (c *certificate) use(files roster.TLS) {
	c.mu.Lock()
	if files == c.files {
		c.mu.Unlock()
		return
	}
	c.files = files
	if files.Cert == "" {
		c.pair, c.fault = door.TLS{}, ""
	}
	c.mu.Unlock()
	c.read()
	select {
	case c.moved <- struct{}{}:
	default:
	}
}

// read takes what is on disk, and says whether that is another pair than before.
func (c *certificate) read() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files.Cert == "" {
		return false
	}
	pair, err := loadPair(c.files)
	if err != nil {
		fault := err.Error()
		if c.pair != (door.TLS{}) {
			fault += "; the certificate that was read before stays in use"
		}
		if fault != c.fault {
			c.log.Warn("certificate", "err", fault)
		}
		c.fault = fault
		return false
	}
	changed := pair != c.pair
	c.pair, c.fault = pair, ""
	return changed
}

func loadPair(files roster.TLS) (door.TLS, error) {
	cert, err := os.ReadFile(string(files.Cert))
	if err != nil {
		return door.TLS{}, fmt.Errorf("read the certificate: %w", err)
	}
	key, err := os.ReadFile(string(files.Key))
	if err != nil {
		return door.TLS{}, fmt.Errorf("read the certificate's key: %w", err)
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return door.TLS{}, fmt.Errorf("use certificate %s with key %s: %w", files.Cert, files.Key, err)
	}
	return door.TLS{Cert: string(bytes.TrimSpace(cert)), Key: string(bytes.TrimSpace(key))}, nil
}

func (c *certificate) current() door.TLS {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair
}

func (c *certificate) problem() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

// dirs are what to watch: a file that is replaced by a rename, or behind a link as certbot and Kubernetes do it, shows as a change of its directory.
func (c *certificate) dirs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files.Cert == "" {
		return nil
	}
	return []string{filepath.Dir(string(c.files.Cert)), filepath.Dir(string(c.files.Key))}
}

// watch calls changed each time that there is another pair, until ctx is done.
func (c *certificate) watch(ctx context.Context, changed func()) error {
	for {
		again, err := c.watchOnce(ctx, changed)
		if !again {
			return err
		}
	}
}

// watchOnce watches until the files are others; then again is true.
func (c *certificate) watchOnce(ctx context.Context, changed func()) (again bool, err error) {
	dirs := c.dirs()
	if len(dirs) == 0 {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-c.moved:
			return true, nil
		}
	}
	events, end := c.watchDirs(dirs)
	defer end()
	if c.read() { // what changed before we watched
		changed()
	}
	timer := time.NewTimer(certificateEvery)
	defer timer.Stop()
	settling := false
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-c.moved:
			return true, nil
		case <-events:
			if !settling { // a directory that is written to all the time must not put it off for ever
				settling = true
				timer.Reset(certificateSettle)
			}
			continue
		case <-timer.C:
		}
		settling = false
		timer.Reset(certificateEvery)
		if c.read() {
			changed()
		}
	}
}

// watchDirs tells when something in the directories changes; the channel is nil where that cannot be had.
func (c *certificate) watchDirs(dirs []string) (events <-chan fsnotify.Event, end func()) {
	const instead = "certificate files are looked at once a minute: they cannot be watched"
	w, err := fsnotify.NewWatcher()
	if err != nil {
		c.log.Warn(instead, "err", err)
		return nil, func() {}
	}
	for _, dir := range dirs {
		if err := w.Add(dir); err != nil {
			c.log.Warn(instead, "dir", dir, "err", err)
		}
	}
	go func() {
		for range w.Errors { // an overflow is mended by the timer
		}
	}()
	return w.Events, func() { w.Close() }
}

// watchCertificate shows the door each new certificate.
func (s *Supervisor) watchCertificate(ctx context.Context) error {
	return s.certificate.watch(ctx, func() {
		s.log.Info("certificate read again", "file", s.site().TLS.Cert)
		s.showDoor()
	})
}
