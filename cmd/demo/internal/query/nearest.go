package query

import (
	"maps"
	"slices"
)

// nearest gives the field at most two edits away, or nothing.
func nearest(name string) string {
	best, distance := "", 3
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if d := edits(name, field); len(field) > 1 && d < distance && d < len(name) {
			best, distance = field, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two short words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
