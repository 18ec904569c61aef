package query

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Query{
		"foo":                         {Pattern: "foo", Type: TypeFile},
		"  foo   bar ":                {Pattern: "foo bar", Type: TypeFile},
		`"foo  bar"`:                  {Pattern: "foo  bar", Type: TypeFile},
		`"a \"b\" \\"`:                {Pattern: `a "b" \`, Type: TypeFile},
		`say \"hi\"`:                  {Pattern: `say "hi"`, Type: TypeFile},
		`it's`:                        {Pattern: "it's", Type: TypeFile},
		`'one two'`:                   {Pattern: "one two", Type: TypeFile},
		`'tis`:                        {Pattern: "'tis", Type: TypeFile},
		"std::string":                 {Pattern: "std::string", Type: TypeFile},
		"http://x.example/y":          {Pattern: "http://x.example/y", Type: TypeFile},
		"default: x":                  {Pattern: "default: x", Type: TypeFile},
		"a := b":                      {Pattern: "a := b", Type: TypeFile},
		"-x":                          {Pattern: "-x", Type: TypeFile},
		"f(x):y":                      {Pattern: "f(x):y", Type: TypeFile},
		"and or not":                  {Pattern: "and or not", Type: TypeFile},
		`"AND"`:                       {Pattern: "AND", Type: TypeFile},
		`content:"repo:x"`:            {Pattern: "repo:x", Type: TypeFile},
		"/a+\\/b/":                    {Pattern: "a+/b", IsRegexp: true, Type: TypeFile},
		"//":                          {Pattern: "//", Type: TypeFile},
		"/a/ /b/":                     {Pattern: "/a/ /b/", Type: TypeFile},
		"patternType:regexp a|b c":    {Pattern: "(?:a|b).*?(?:c)", IsRegexp: true, Type: TypeFile},
		"patterntype:REGEX a|b":       {Pattern: "a|b", IsRegexp: true, Type: TypeFile},
		`patternType:regexp "a+" b`:   {Pattern: `(?:a\+).*?(?:b)`, IsRegexp: true, Type: TypeFile},
		"patternType:literal a(":      {Pattern: "a(", Type: TypeFile},
		"case:yes count:10 x":         {Pattern: "x", CaseSensitive: true, Count: 10, Type: TypeFile},
		"count:ALL x":                 {Pattern: "x", Count: CountAll, Type: TypeFile},
		"timeout:5s context:global x": {Pattern: "x", Timeout: 5 * time.Second, Type: TypeFile},
		"repo:a -r:b x":               {Pattern: "x", Repos: []RepoFilter{{Pattern: "a"}}, NotRepos: []string{"b"}, Type: TypeFile},
		"repo:a@v1:v2 x":              {Pattern: "x", Repos: []RepoFilter{{Pattern: "a", Revs: []string{"v1", "v2"}}}, Type: TypeFile},
		"r:a@ x":                      {Pattern: "x", Repos: []RepoFilter{{Pattern: "a", Revs: []string{}}}, Type: TypeFile},
		"rev:main x":                  {Pattern: "x", Revs: []string{"main"}, Type: TypeFile},
		`file:"a b" -f:c path:d x`:    {Pattern: "x", Files: []string{"a b", "d"}, NotFiles: []string{"c"}, Type: TypeFile},
		"lang:go -language:c++ x":     {Pattern: "x", Langs: []string{"go"}, NotLangs: []string{"c++"}, Type: TypeFile},
		"file:x":                      {Files: []string{"x"}, Type: TypePath},
		"lang:go":                     {Langs: []string{"go"}, Type: TypePath},
		"repo:x":                      {Repos: []RepoFilter{{Pattern: "x"}}, Type: TypeRepo},
		"type:repo x":                 {Pattern: "x", Type: TypeRepo},
		"type:path x":                 {Pattern: "x", Type: TypePath},
		"REPO:x y":                    {Pattern: "y", Repos: []RepoFilter{{Pattern: "x"}}, Type: TypeFile},
		"Ünïcode 世界":                  {Pattern: "Ünïcode 世界", Type: TypeFile},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := Parse(text, false)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "Nothing to search for",
		"count:5":                      "Nothing to search for",
		"type:file repo:x":             "type:file needs some text",
		"type:repo file:x":             "do not fit",
		`"open`:                        "never closed",
		`file:"open`:                   "never closed",
		"patternType:regexp a(":        "missing closing )",
		"patternType:structural x":     "patternType:literal",
		"repo:( x":                     "missing closing )",
		"-file:[ x":                    "missing closing ]",
		"lang: x":                      "want a language",
		"rev: x":                       "want a branch",
		"repo:a@b rev:c x":             "only one filter may name revisions",
		"rev:c repo:a@b x":             "only one filter may name revisions",
		"repo:a@b repo:c@d x":          "only one filter may name revisions",
		"-repo:a@b x":                  "at a revision only",
		"-case:yes x":                  "-case: does not exist",
		"case:maybe x":                 "case:yes or case:no",
		"count:0 x":                    "above 0",
		"count:99999999999999999999 x": "above 0",
		"type:commit x":                "type:path",
		"timeout:1h x":                 "timeout:10s",
		"context:mine x":               "context:global",
		"author:me x":                  "There is no filter author:",
		"flie:x y":                     "Did you mean file:?",
		"a AND b":                      "Quote AND",
		"content: x":                   "want text",
	} {
		t.Run(text, func(t *testing.T) {
			_, err := Parse(text, false)
			var bad *Error
			require.ErrorAs(t, err, &bad)
			require.Contains(t, err.Error(), want)
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"repo:a@b -file:\"x y\" /a/ 'b'", `content:"\"`, "-:", ":", "\xff:\xfe"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text, false)
		if err == nil && q.Type == TypeFile && q.Pattern == "" {
			t.Fatalf("%q: a search for nothing", text)
		}
	})
}
