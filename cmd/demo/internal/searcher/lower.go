package searcher

import "encoding/binary"

const (
	highs = 0x8080808080808080
	ones  = 0x0101010101010101
)

// lower writes src into dst with A-Z in lower case and every other byte as it is, eight bytes at a time. dst grows if need be.
func lower(dst, src []byte) []byte {
	if cap(dst) < len(src) {
		dst = make([]byte, len(src))
	}
	dst = dst[:len(src)]
	i := 0
	for ; i+8 <= len(src); i += 8 {
		x := binary.LittleEndian.Uint64(src[i:])
		low := x &^ highs                       // seven bits of each byte
		fromA := low + (0x80-'A')*ones          // high bit where >= A
		afterZ := low + (0x80-'Z'-1)*ones       // high bit where > Z
		upper := (fromA &^ afterZ) &^ x & highs // and an ASCII byte
		binary.LittleEndian.PutUint64(dst[i:], x|upper>>2)
	}
	for ; i < len(src); i++ {
		c := src[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		dst[i] = c
	}
	return dst
}
