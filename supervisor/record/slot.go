package record

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
)

// headerSize is the length of "<crc32> <count> <length> ", in hexadecimal.
const headerSize = 8 + 1 + 16 + 1 + 8 + 1

// slotUnit is what slots are multiples of, in bytes: a page, so that a small record costs two.
const slotUnit = 4096

// place is a slot of a record's file. The count chooses the slot: even the first, odd the second.
type place struct {
	seq  uint64 // count of writes, of this file and those it replaced
	size int64  // of one slot
}

// newPlace is the first slot to write of a new file that follows count seq, with room to double.
func newPlace(length int, seq uint64) place {
	units := (2*length + headerSize + slotUnit - 1) / slotUnit
	return place{seq + 1, int64(units) * slotUnit}
}

func (p place) next() place { return place{p.seq + 1, p.size} }

func (p place) offset() int64 { return int64(p.seq%2) * p.size }

func (p place) room() int { return int(p.size) - headerSize }

// seal puts the header before the document; the checksum covers the count and the length too.
func (p place) seal(text []byte) []byte {
	rest := fmt.Appendf(make([]byte, 0, headerSize+len(text)), "%016x %08x ", p.seq, len(text))
	rest = append(rest, text...)
	return append(fmt.Appendf(make([]byte, 0, len(rest)+9), "%08x ", crc32.ChecksumIEEE(rest)), rest...)
}

// unseal is the document of a slot and its count.
func unseal(slot []byte) (seq uint64, text []byte, err error) {
	if len(slot) < headerSize {
		return 0, nil, errors.New("too short")
	}
	var sum uint32
	var length int
	if _, err := fmt.Fscanf(bytes.NewReader(slot[:headerSize]), "%08x %016x %08x", &sum, &seq, &length); err != nil {
		return 0, nil, errors.New("no header")
	}
	if length < 0 || length > len(slot)-headerSize {
		return 0, nil, fmt.Errorf("%d bytes do not fit", length)
	}
	if crc32.ChecksumIEEE(slot[9:headerSize+length]) != sum {
		return 0, nil, errors.New("checksum does not match")
	}
	return seq, slot[headerSize : headerSize+length], nil
}

// newest finds the record in a file's content.
func newest(file []byte) (place, []byte, error) {
	size := len(file) / 2
	seq0, text0, err0 := unseal(file[:size])
	seq1, text1, err1 := unseal(file[size:])
	switch {
	case err0 != nil && err1 != nil:
		return place{}, nil, fmt.Errorf("neither slot is whole: %w, %w", err0, err1)
	case err0 == nil && (err1 != nil || seq0 > seq1):
		return place{seq0, int64(size)}, text0, nil
	default:
		return place{seq1, int64(size)}, text1, nil
	}
}
