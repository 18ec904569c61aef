package door

import "errors"

var errChunk = errors.New("malformed chunked body")

// maxChunkLine bounds a chunk's size line, maxTrailer all trailer fields together, in bytes.
const (
	maxChunkLine = 1 << 10
	maxTrailer   = 16 << 10
)

// chunks follows a chunked body as it streams by, to find its end. The zero value is at its start.
type chunks struct {
	at    chunkPlace
	left  int64 // of the data of this chunk
	line  int   // bytes of the line so far
	size  int64 // of this chunk, while its line is read
	trail int   // bytes of the trailer
	ended bool
}

type chunkPlace uint8

const (
	inSize      chunkPlace = iota // hexadecimal digits
	inExtension                   // anything up to CR
	inSizeLF
	inData
	inDataCR
	inDataLF
	inTrailer // at the start of a trailer line
	inTrailerLine
	inTrailerLF
	inLastLF
)

// scan follows p and returns how much of it belongs to the body: all of it until the body has ended.
func (c *chunks) scan(p []byte) (int, error) {
	for i := 0; i < len(p); {
		if c.ended {
			return i, nil
		}
		if c.at == inData {
			n := min(c.left, int64(len(p)-i))
			c.left -= n
			i += int(n)
			if c.left == 0 {
				c.at = inDataCR
			}
			continue
		}
		if err := c.step(p[i]); err != nil {
			return i, err
		}
		i++
	}
	return len(p), nil
}

func (c *chunks) step(b byte) error {
	switch c.at {
	case inSize:
		return c.stepSize(b)
	case inExtension:
		if c.line++; c.line > maxChunkLine || b < ' ' && b != '\t' && b != '\r' {
			return errChunk
		}
		if b == '\r' {
			c.at = inSizeLF
		}
	case inSizeLF:
		return c.stepSizeEnd(b)
	case inDataCR:
		return c.expect(b, '\r', inDataLF)
	case inDataLF:
		*c = chunks{}
		return c.expect(b, '\n', inSize)
	case inTrailer, inTrailerLine:
		if c.trail++; c.trail > maxTrailer || b == '\n' || b == 0 {
			return errChunk
		}
		switch {
		case b != '\r':
			c.at = inTrailerLine
		case c.at == inTrailer:
			c.at = inLastLF
		default:
			c.at = inTrailerLF
		}
	case inTrailerLF:
		return c.expect(b, '\n', inTrailer)
	case inLastLF:
		c.ended = true
		return c.expect(b, '\n', inSize)
	}
	return nil
}

func (c *chunks) expect(b, want byte, next chunkPlace) error {
	if b != want {
		return errChunk
	}
	c.at = next
	return nil
}

func (c *chunks) stepSize(b byte) error {
	if isHex(b) {
		if c.line++; c.line > 15 {
			return errChunk
		}
		c.size = c.size<<4 | int64(unhex(b))
		return nil
	}
	if c.line == 0 {
		return errChunk
	}
	switch b {
	case '\r':
		c.at = inSizeLF
	case ';':
		c.at = inExtension
	default:
		return errChunk
	}
	return nil
}

func (c *chunks) stepSizeEnd(b byte) error {
	if c.size == 0 {
		return c.expect(b, '\n', inTrailer)
	}
	c.left = c.size
	return c.expect(b, '\n', inData)
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}
