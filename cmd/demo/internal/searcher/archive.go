package searcher

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// An archive file is: the contents of the text files one after the other, the index, the footer.
//
//	index:  key, then for each file: path, kind, size, and for text its offset and checksum
//	footer: offset, length and checksum of the index, number of files, magic
//
// Contents are not compressed: a search reads them at the speed of the page cache. Binary and too big files have no content here.

const (
	archiveMagic = "SGSEARC1"
	footerSize   = 8 + 8 + 4 + 4 + 8
	indexMax     = 1 << 30 // bytes; what says more is damaged
)

// errDamaged says that an archive is not what was written.
var errDamaged = errors.New("the archive is damaged")

// castagnoli has an instruction of its own on every CPU that matters.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// kind says what a search may do with a file.
type kind byte

const (
	kindText   kind = 't'
	kindBinary kind = 'b'
	kindTooBig kind = 'g'
	kindLink   kind = 'l' // a symbolic link: has a path and nothing to search, as git grep has it
)

// file is one file of an archive.
type file struct {
	path   string
	kind   kind
	size   int64
	offset int64
	sum    uint32
}

// archive is an open archive file. It stays readable when the cache evicts it meanwhile.
type archive struct {
	f     *os.File
	files []file // in git's order
}

func (a *archive) Close() error { return a.f.Close() }

// content reads a text file into buf, which grows if need be. The error wraps errDamaged if it is not what was written.
func (a *archive) content(f file, buf []byte) ([]byte, error) {
	if int64(cap(buf)) < f.size {
		buf = make([]byte, f.size)
	}
	buf = buf[:f.size]
	if _, err := a.f.ReadAt(buf, f.offset); err != nil {
		return buf, fmt.Errorf("read %q from %s: %w", f.path, a.f.Name(), errors.Join(err, errDamaged))
	}
	if crc32.Checksum(buf, castagnoli()) != f.sum {
		return buf, fmt.Errorf("read %q from %s: %w", f.path, a.f.Name(), errDamaged)
	}
	return buf, nil
}

// openArchive opens and checks everything but the contents, which are checked as they are read.
func openArchive(path, key string) (*archive, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	files, err := readIndex(f, key)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open archive %s: %w", path, err)
	}
	return &archive{f: f, files: files}, nil
}

func readIndex(f *os.File, key string) ([]file, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := info.Size() - footerSize
	if end < 0 {
		return nil, fmt.Errorf("%d bytes: %w", info.Size(), errDamaged)
	}
	var footer [footerSize]byte
	if _, err := f.ReadAt(footer[:], end); err != nil {
		return nil, errors.Join(err, errDamaged)
	}
	le := binary.LittleEndian
	offset, length := int64(le.Uint64(footer[0:])), int64(le.Uint64(footer[8:]))
	if string(footer[24:]) != archiveMagic || offset < 0 || length < 0 || length > indexMax || offset+length != end {
		return nil, fmt.Errorf("footer: %w", errDamaged)
	}
	index := make([]byte, length)
	if _, err := f.ReadAt(index, offset); err != nil {
		return nil, errors.Join(err, errDamaged)
	}
	if crc32.Checksum(index, castagnoli()) != le.Uint32(footer[16:]) {
		return nil, fmt.Errorf("index: %w", errDamaged)
	}
	return parseIndex(index, key, int(le.Uint32(footer[20:])), offset)
}

func parseIndex(index []byte, key string, count int, contents int64) ([]file, error) {
	r := indexReader{rest: index}
	if got := r.text(); got != key {
		return nil, fmt.Errorf("is of %q and not of %q: %w", got, key, errDamaged)
	}
	if count > len(index) {
		return nil, errDamaged
	}
	files := make([]file, 0, count)
	for range count {
		f := file{path: r.text(), kind: kind(r.number()), size: int64(r.number())}
		if f.kind == kindText {
			f.offset, f.sum = int64(r.number()), uint32(r.number())
			if f.size < 0 || f.offset < 0 || f.size > fileMax || f.offset+f.size > contents {
				return nil, errDamaged
			}
		}
		files = append(files, f)
	}
	if r.short || len(r.rest) > 0 {
		return nil, errDamaged
	}
	return files, nil
}

// indexReader takes values off the front; short says that there was too little.
type indexReader struct {
	rest  []byte
	short bool
}

func (r *indexReader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.short, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *indexReader) text() string {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.short, r.rest = true, nil
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// indexWriter is its counterpart.
type indexWriter struct{ bytes.Buffer }

func (w *indexWriter) number(v uint64) { w.Write(binary.AppendUvarint(nil, v)) }

func (w *indexWriter) text(s string) {
	w.number(uint64(len(s)))
	w.WriteString(s)
}

func (w *indexWriter) file(f file) {
	w.text(f.path)
	w.number(uint64(f.kind))
	w.number(uint64(f.size))
	if f.kind == kindText {
		w.number(uint64(f.offset))
		w.number(uint64(f.sum))
	}
}

// finish writes index and footer behind contents bytes of contents.
func (w *indexWriter) finish(out io.Writer, contents int64, count int) error {
	le := binary.LittleEndian
	var footer [footerSize]byte
	le.PutUint64(footer[0:], uint64(contents))
	le.PutUint64(footer[8:], uint64(w.Len()))
	le.PutUint32(footer[16:], crc32.Checksum(w.Bytes(), castagnoli()))
	le.PutUint32(footer[20:], uint32(count))
	copy(footer[24:], archiveMagic)
	if _, err := out.Write(w.Bytes()); err != nil {
		return err
	}
	_, err := out.Write(footer[:])
	return err
}
