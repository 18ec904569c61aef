package searcher

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkSearch reads 64 MB of source-like text in 4000 files from the page cache, through HTTP as the frontend does.
func BenchmarkSearch(b *testing.B) {
	line := "\tif err := s.doSomething(ctx, request.Name); err != nil { return fmt.Errorf(\"do: %w\", err) }\n"
	files := map[string]string{}
	size := int64(0)
	for i := range 4000 {
		text := strings.Repeat(line, 180) + fmt.Sprintf("needle%d\n", i%100)
		files[fmt.Sprintf("d%02d/f%d.go", i%64, i)] = text
		size += int64(len(text))
	}
	s := newStack(b, files, 1<<30)
	for name, req := range map[string]Request{
		"literal":      {Pattern: "needle42", CaseSensitive: true},
		"literal fold": {Pattern: "NEEDLE42"},
		"regexp":       {Pattern: `needle4[0-9]\b`, IsRegexp: true, CaseSensitive: true},
		"regexp fold":  {Pattern: `NEEDLE4[0-9]\b`, IsRegexp: true},
		"no literal":   {Pattern: `[0-9]{3}[a-z]x`, IsRegexp: true, CaseSensitive: true},
		"first 500":    {Pattern: "err", Limit: 500},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				s.search(b, req)
			}
		})
	}
}
