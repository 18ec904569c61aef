package limits

import "strconv"

// Size is a number of bytes, written as [ParseBytes] reads it.
type Size int64

// Notation says how it is written.
func (*Size) Notation() (what, example, pattern string) {
	return "a size", "256MiB", `^ *[0-9]+(\.[0-9]+)? *(B|KiB|MiB|GiB|TiB)? *$`
}

// UnmarshalText reads it.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := ParseBytes(string(text))
	if err == nil {
		*s = Size(n)
	}
	return err
}

// MarshalText writes it exactly, in the largest unit that it is a whole number of.
func (s Size) MarshalText() ([]byte, error) {
	for _, u := range units {
		if int64(s)%u.bytes == 0 {
			return []byte(strconv.FormatInt(int64(s)/u.bytes, 10) + u.name), nil
		}
	}
	return nil, nil // not reached: every number is one of bytes
}

// CPUs is a number of CPUs, written as [ParseCPUs] reads it.
type CPUs float64

// Notation says how it is written.
func (*CPUs) Notation() (what, example, pattern string) {
	return "a number of CPUs", "0.5", `^ *[0-9]+(\.[0-9]+)?m? *$`
}

// UnmarshalText reads it.
func (c *CPUs) UnmarshalText(text []byte) error {
	n, err := ParseCPUs(string(text))
	if err == nil {
		*c = CPUs(n)
	}
	return err
}

// MarshalText writes it.
func (c CPUs) MarshalText() ([]byte, error) { return []byte(FormatCPUs(float64(c))), nil }
