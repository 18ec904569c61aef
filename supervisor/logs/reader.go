package logs

import (
	"bufio"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// reader reads one log file line by line.
type reader struct {
	in      *bufio.Reader
	src     io.Reader
	release func()
	part    []byte // of a line whose end has not been written yet
	done    bool   // part has been returned
	read    int64
}

const readSize = 32 << 10

func newReader(src io.Reader, release func()) *reader {
	r := &reader{src: src, release: release}
	r.in = bufio.NewReaderSize(src, readSize)
	if s, ok := src.(io.Seeker); ok {
		r.read, _ = s.Seek(0, io.SeekCurrent)
	}
	return r
}

// openRotated opens a rotated file, given without extension.
func openRotated(base string) (*reader, error) {
	f, err := os.Open(base + packedExt)
	if err != nil {
		if f, err = os.Open(base + plainExt); err != nil {
			if f, err = os.Open(base + packedExt); err != nil { // compressed between the two
				return nil, err
			}
			return openPacked(f)
		}
		return newReader(f, func() { f.Close() }), nil
	}
	return openPacked(f)
}

func openPacked(f *os.File) (*reader, error) {
	dec, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		f.Close()
		return nil, err
	}
	return newReader(dec, func() { dec.Close(); f.Close() }), nil
}

func (r *reader) close() {
	if r.release != nil {
		r.release()
	}
}

// line returns the next whole line without its newline, valid until the next call. At the end it is io.EOF; what is there of an unfinished
// line stays for a later call, when the file has grown.
func (r *reader) line() ([]byte, error) {
	if r.done {
		r.part, r.done = r.part[:0], false
	}
	for {
		b, err := r.in.ReadSlice('\n')
		r.read += int64(len(b))
		if err == nil && len(r.part) == 0 {
			return b[:len(b)-1], nil
		}
		r.part = append(r.part, b...)
		switch err {
		case nil:
			r.done = true
			return r.part[:len(r.part)-1], nil
		case bufio.ErrBufferFull:
		default:
			return nil, err
		}
	}
}

// unread says whether a file of that size has more than what was read.
func (r *reader) unread(size int64) bool { return r != nil && size > r.read }

// cut follows a file that has become shorter than what was read, and says whether it has. A block that could not be written whole was taken
// back, and comes again; more than a block means that somebody has emptied the file.
func (r *reader) cut(size int64) bool {
	s, ok := r.src.(io.Seeker)
	if !ok || size >= r.read {
		return false
	}
	to := size
	if r.read-size > outSize {
		to = 0
	}
	if _, err := s.Seek(to, io.SeekStart); err != nil {
		return false
	}
	r.in.Reset(r.src)
	r.read, r.part = to, r.part[:0]
	return true
}
