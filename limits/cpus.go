package limits

import (
	"fmt"
	"math"
	"strings"
)

// ParseCPUs reads a number of CPUs such as 2, 0.5 or 500m (thousandths, as Kubernetes writes them), 0.01 to 4096.
//
// The lower bound is the kernel's: a quota is at least 1 ms of a period of 100 ms. Source: Linux, tg_set_cfs_bandwidth.
func ParseCPUs(text string) (float64, error) {
	number, divisor := strings.TrimSpace(text), 1.0
	if milli, ok := strings.CutSuffix(number, "m"); ok {
		number, divisor = milli, 1000
	}
	f, err := parseDecimal(number)
	if err != nil {
		return 0, fmt.Errorf("cpus %q: %w", text, err)
	}
	f /= divisor
	if f < 0.01 || f > 4096 {
		return 0, fmt.Errorf("cpus %q: is outside 0.01 to 4096", text)
	}
	return math.Round(f*1000) / 1000, nil
}

// FormatCPUs writes what [ParseCPUs] reads: 2, 0.5, 0.125.
func FormatCPUs(cpus float64) string {
	return trimNumber(cpus, 3)
}
