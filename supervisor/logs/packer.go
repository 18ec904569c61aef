package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

const (
	packChunk = 64 << 10

	// packShare is the part of the time that the packer works, at most. It is paced instead of running at a low priority: the Go
	// runtime stops the world for its garbage collection, and would wait for a thread that the kernel does not let run.
	packShare = 5

	// packWindow bounds what the packer and its readers need: about 1 MiB. Sourcegraph's logs shrink to a tenth with it.
	packWindow = 128 << 10
)

// packer compresses rotated files, one at a time, newest first: the oldest may be removed before their turn.
type packer struct {
	mu      sync.Mutex
	dirs    []string // to be looked through
	running bool
	closed  chan struct{}
	done    sync.WaitGroup
	report  func(dir string, err error)
}

func newPacker(report func(dir string, err error)) *packer {
	return &packer{closed: make(chan struct{}), report: report}
}

// add asks for dir to be looked through.
func (p *packer) add(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.dirs {
		if d == dir {
			return
		}
	}
	p.dirs = append(p.dirs, dir)
	if !p.running {
		p.running = true
		p.done.Go(p.run)
	}
}

// close ends the packer; a half packed file is left for the next one.
func (p *packer) close() {
	p.mu.Lock()
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	p.mu.Unlock()
	p.done.Wait()
}

var errPackerClosed = errors.New("packer closed")

func (p *packer) run() {
	for {
		p.mu.Lock()
		if len(p.dirs) == 0 {
			p.running = false
			p.mu.Unlock()
			return
		}
		dir := p.dirs[0]
		p.dirs = p.dirs[1:]
		p.mu.Unlock()
		if err := p.packDir(dir); errors.Is(err, errPackerClosed) {
			return
		} else if err != nil {
			p.report(dir, err)
		}
	}
}

func (p *packer) packDir(dir string) error {
	skip := map[string]bool{}
	for {
		name := newestPlain(dir, skip)
		if name == "" {
			return nil
		}
		skip[name] = true
		err := p.pack(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // the retention was faster
			return err
		}
	}
}

// newestPlain is the newest rotated file that is not packed. It removes what a crash left half packed.
func newestPlain(dir string, skip map[string]bool) (newest string) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range list {
		name := e.Name()
		if strings.HasSuffix(name, unreadyExt) {
			os.Remove(filepath.Join(dir, name))
		}
		if strings.HasPrefix(name, "@") && strings.HasSuffix(name, plainExt) && !skip[name] {
			newest = name
		}
	}
	return newest
}

// pack replaces path by its compressed form. The original goes last, so a crash at any moment leaves it or a whole copy (E51).
func (p *packer) pack(path string) error {
	base := strings.TrimSuffix(path, plainExt)
	src, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("compress log: %w", err)
	}
	defer src.Close()
	dst, err := os.OpenFile(base+unreadyExt, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return fmt.Errorf("compress log: %w", err)
	}
	err = p.copy(dst, src)
	if err == nil {
		err = dst.Sync()
	}
	err = errors.Join(err, dst.Close())
	if err == nil {
		err = os.Rename(base+unreadyExt, base+packedExt)
	}
	if err != nil {
		os.Remove(base + unreadyExt)
		return fmt.Errorf("compress log %s: %w", path, err)
	}
	if os.Remove(path) != nil { // the retention was faster
		os.Remove(base + packedExt)
	}
	return nil
}

func (p *packer) copy(dst io.Writer, src io.Reader) error {
	enc, err := zstd.NewWriter(dst, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(packWindow))
	if err != nil {
		return err
	}
	buf := make([]byte, packChunk)
	for {
		began := time.Now()
		n, err := src.Read(buf)
		if n > 0 {
			if _, werr := enc.Write(buf[:n]); werr != nil {
				return errors.Join(werr, enc.Close())
			}
		}
		if err == io.EOF {
			return enc.Close()
		}
		if err != nil {
			return errors.Join(err, enc.Close())
		}
		select {
		case <-p.closed:
			return errors.Join(errPackerClosed, enc.Close())
		case <-time.After(time.Since(began) * (packShare - 1)):
		}
	}
}
