package limits

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units of a size, largest first. Only powers of 1024: "GB" means two things to two people.
var units = [...]struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
}

// ParseBytes reads a size such as 512MiB, 1.5GiB or 4096 (bytes), 1 byte to 8 EiB less one.
//
// Units are B, KiB, MiB, GiB and TiB, in this spelling; a space before the unit is fine.
// An error names the text; for a unit of another family (GB, Mi, k) it names the one to use.
func ParseBytes(text string) (int64, error) {
	number, unit := splitUnit(text)
	factor, err := unitBytes(unit)
	if err != nil {
		return 0, fmt.Errorf("size %q: %w", text, err)
	}
	n, err := scale(number, factor)
	if err != nil {
		return 0, fmt.Errorf("size %q: %w", text, err)
	}
	return n, nil
}

// FormatBytes writes a size the way [ParseBytes] reads it, in the largest unit that fits, rounded to two decimals: 1.5GiB.
func FormatBytes(n int64) string {
	for _, u := range units {
		if n >= u.bytes || n <= -u.bytes {
			return trimNumber(float64(n)/float64(u.bytes), 2) + u.name
		}
	}
	return "0B"
}

func splitUnit(text string) (number, unit string) {
	text = strings.TrimSpace(text)
	end := strings.LastIndexAny(text, "0123456789.") + 1
	return text[:end], strings.TrimSpace(text[end:])
}

func unitBytes(unit string) (int64, error) {
	if unit == "" {
		return 1, nil
	}
	for _, u := range units {
		if u.name == unit {
			return u.bytes, nil
		}
	}
	for _, u := range units { // k, K, kB, KB, Ki, kib: all mean KiB here
		if strings.EqualFold(unit[:1], u.name[:1]) && len(unit) <= len("KiB") {
			return 0, fmt.Errorf("unknown unit %q, use %s", unit, u.name)
		}
	}
	return 0, fmt.Errorf("unknown unit %q, use B, KiB, MiB, GiB or TiB", unit)
}

// scale multiplies exactly as long as number is whole, and rounds to a byte when it has a fraction.
func scale(number string, factor int64) (int64, error) {
	if whole, err := strconv.ParseInt(number, 10, 64); err == nil {
		if whole <= 0 {
			return 0, errNotPositive
		}
		if whole > math.MaxInt64/factor {
			return 0, errTooLarge
		}
		return whole * factor, nil
	}
	f, err := parseDecimal(number)
	if err != nil {
		return 0, err
	}
	bytes := math.Round(f * float64(factor))
	if bytes < 1 {
		return 0, errNotPositive
	}
	if bytes >= math.MaxInt64 {
		return 0, errTooLarge
	}
	return int64(bytes), nil
}
