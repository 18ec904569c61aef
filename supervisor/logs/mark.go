package logs

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// mark is what is kept beside the current file: what was about to be written to it, and how many lines the log has had. A supervisor killed half
// way leaves a file that is shorter than promised; the next one cuts it back, and finds the same bytes in the pipe again.
type mark struct {
	inode         uint64 // of the file that it is about
	from, to      int64  // size before and after
	first         int64  // lines that the log has had before this file
	before, after int64  // and at from and to
}

const (
	markSize    = 6 * 8
	oldMarkSize = 3 * 8 // had no numbers of lines
)

func (m mark) write(f *os.File) error {
	b := make([]byte, 0, markSize)
	for _, n := range []int64{int64(m.inode), m.from, m.to, m.first, m.before, m.after} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	_, err := f.WriteAt(b, 0)
	return err
}

// readMark reads what write has written; counted says that it has numbers of lines.
func readMark(f *os.File) (m mark, counted, ok bool) {
	var b [markSize]byte
	n, _ := f.ReadAt(b[:], 0) // its length tells
	if n < oldMarkSize {
		return m, false, false
	}
	field := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) }
	return mark{uint64(field(0)), field(1), field(2), field(3), field(4), field(5)}, n == markSize, true
}

// markOf reads the mark of a folder for a reader; ok is false unless it is about that file and has its numbers of lines.
func markOf(path string, inode uint64) (m mark, ok bool) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return m, false
	}
	defer f.Close()
	m, counted, ok := readMark(f)
	return m, ok && counted && m.inode == inode
}
