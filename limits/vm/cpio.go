package vm

import (
	"bufio"
	"fmt"
	"io"
	"path"
)

// archive writes cpio's "newc" format, which the kernel unpacks into the root it boots with.
// Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
type archive struct {
	out   *bufio.Writer
	inode int
	dirs  map[string]bool
	err   error // the first; later calls do nothing
}

func newArchive(w io.Writer) *archive {
	return &archive{out: bufio.NewWriter(w), dirs: map[string]bool{".": true}}
}

// directory adds a directory and those above it, once. Names are relative.
func (a *archive) directory(name string) {
	if a.dirs[name] {
		return
	}
	a.directory(path.Dir(name))
	a.dirs[name] = true
	a.entry(name, 0o040755, nil)
}

func (a *archive) file(name string, perm uint32, data []byte) {
	a.directory(path.Dir(name))
	a.entry(name, 0o100000|perm, data)
}

func (a *archive) entry(name string, mode uint32, data []byte) {
	a.inode++
	// magic, inode, mode, uid, gid, links, mtime, size, device and rdevice in two parts each, length of the name with its NUL, no sum
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.padded([]byte(header + name + "\x00"))
	a.padded(data)
}

// padded writes b up to a multiple of 4 bytes; every entry begins at one.
func (a *archive) padded(b []byte) {
	for _, part := range [][]byte{b, make([]byte, -len(b)&3)} {
		if a.err == nil {
			_, a.err = a.out.Write(part)
		}
	}
}

func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, nil)
	if a.err == nil {
		a.err = a.out.Flush()
	}
	if a.err != nil {
		return fmt.Errorf("write an initramfs: %w", a.err)
	}
	return nil
}
