package limits

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var (
	errNotPositive = errors.New("must be positive")
	errTooLarge    = errors.New("is too large")
)

// parseDecimal reads plain decimals above 0: no exponent, no NaN, no infinity, no hexadecimal.
func parseDecimal(number string) (float64, error) {
	if number == "" {
		return 0, errors.New("no number")
	}
	if strings.Trim(number, "-+0123456789.") != "" {
		return 0, fmt.Errorf("%q is not a number", number)
	}
	f, err := strconv.ParseFloat(number, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, errTooLarge
	}
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", number)
	}
	if f <= 0 {
		return 0, errNotPositive
	}
	return f, nil
}

// trimNumber rounds to a number of decimals and drops trailing zeros.
func trimNumber(f float64, decimals int) string {
	text := strconv.FormatFloat(f, 'f', decimals, 64)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}
