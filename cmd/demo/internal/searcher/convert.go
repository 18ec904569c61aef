package searcher

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	fileMax   = 16 << 20 // bytes; larger files are not searched. Sourcegraph's bound is 1 MB
	sniffed   = 8000     // bytes in which a NUL makes a file binary, as in git
	blockSize = 256 << 10
)

// writeArchive turns the tar stream of a commit into an archive. It reads the stream to its very end, so that one that broke off is found.
func writeArchive(out io.Writer, stream io.Reader, key string) error {
	w := converter{out: bufio.NewWriterSize(out, blockSize)}
	w.index.text(key)
	in := tar.NewReader(stream)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = w.add(h, in)
		}
		if err != nil {
			return fmt.Errorf("convert the archive of %s: %w", key, err)
		}
	}
	_, err := io.Copy(io.Discard, stream)
	err = errors.Join(err, w.index.finish(w.out, w.offset, w.count), w.out.Flush())
	if err != nil {
		return fmt.Errorf("convert the archive of %s: %w", key, err)
	}
	return nil
}

type converter struct {
	out    *bufio.Writer
	index  indexWriter
	offset int64
	count  int
	buf    []byte
}

func (c *converter) add(h *tar.Header, content io.Reader) error {
	f := file{path: h.Name, size: h.Size}
	switch {
	case h.Typeflag == tar.TypeSymlink:
		f.kind, f.size = kindLink, int64(len(h.Linkname))
	case h.Typeflag != tar.TypeReg:
		return nil // directories, submodules among them, and git's comment
	case h.Size > fileMax:
		kind, err := c.peek(content)
		if err != nil {
			return fmt.Errorf("read %q: %w", h.Name, err)
		}
		f.kind = kind
	default:
		if err := c.copy(&f, content); err != nil {
			return fmt.Errorf("read %q: %w", h.Name, err)
		}
	}
	c.index.file(f)
	c.count++
	return nil
}

// peek tells whether a file that is too big would be skipped as binary anyway.
func (c *converter) peek(content io.Reader) (kind, error) {
	var start [sniffed]byte
	if _, err := io.ReadFull(content, start[:]); err != nil {
		return 0, err
	}
	if isBinary(start[:]) {
		return kindBinary, nil
	}
	return kindTooBig, nil
}

func (c *converter) copy(f *file, content io.Reader) error {
	if int64(cap(c.buf)) < f.size {
		c.buf = make([]byte, f.size)
	}
	data := c.buf[:f.size]
	if _, err := io.ReadFull(content, data); err != nil {
		return err
	}
	if isBinary(data) {
		f.kind = kindBinary
		return nil
	}
	f.kind, f.offset, f.sum = kindText, c.offset, crc32.Checksum(data, castagnoli())
	c.offset += f.size
	_, err := c.out.Write(data)
	return err
}

func isBinary(data []byte) bool {
	return bytes.IndexByte(data[:min(len(data), sniffed)], 0) >= 0
}
