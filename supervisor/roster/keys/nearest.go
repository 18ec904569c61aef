package keys

// Nearest returns the candidate with the fewest edits from word, if those are few enough to be a typing error: at most a third of the word, rounded up, and 3.
func Nearest(word string, candidates []string) string {
	best, bestEdits := "", 4
	for _, c := range candidates {
		if n := edits(word, c); n < bestEdits && n <= (len(word)+2)/3 {
			best, bestEdits = c, n
		}
	}
	return best
}

// edits is the Levenshtein distance in bytes. Words longer than any key are as far away as they are long.
func edits(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
