package extsvc

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for config, want := range map[string][]Repo{
		`{"url": "https://git.example.com/", "repos": ["team/a", "/team/b.git", "team/a"]}`: {
			{"git.example.com/team/a", "https://git.example.com/team/a"}, {"git.example.com/team/b", "https://git.example.com/team/b.git"}},
		"{// comment\n\"url\": \"file:///srv/git\", \"repos\": [\"x/.git\",],}": {{"srv/git/x", "file:///srv/git/x/.git"}},
		`{"repos": ["git@host.example:team/a.git"]}`:                            {{"host.example/team/a", "ssh://git@host.example/team/a.git"}},
		`{"repos": ["git://h/a", "ssh://u@h:22/b"]}`:                            {{"h/a", "git://h/a"}, {"h/b", "ssh://u@h:22/b"}},
		`{"url": "https://h/only", "repos": [""]}`:                              {{"h/only", "https://h/only"}},
		`{"url": "https://u:secret@h", "repos": ["ä b"]}`:                       {{"h/ä b", "https://u:secret@h/%C3%A4%20b"}},
	} {
		t.Run(config, func(t *testing.T) {
			got, err := Parse(config)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for config, want := range map[string]string{
		``:                                      "not JSON",
		`[]`:                                    "cannot unmarshal",
		`{"repos": []}`:                         "repos is empty",
		`{"repos": ["x"]}`:                      `"x" is no URL`,
		`{"url": "https://h", "repos": [""]}`:   "names a host and no repository",
		`{"url": "https://", "repos": ["a"]}`:   "names no host",
		`{"url": "ftp://h", "repos": ["a"]}`:    `scheme "ftp"`,
		`{"url": "ext::sh -c", "repos": ["a"]}`: "no URL",
		`{"url": "ssh://-oProxyCommand=x/", "repos": ["a"]}`: "can begin with -",
		`{"url": "https://u:secret@h:port", "repos": ["a"]}`: "cannot be read",
		`{"token": "x", "repos": ["a"]}`:                     `unknown field "token"`,
	} {
		t.Run(config, func(t *testing.T) {
			_, err := Parse(config)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestWithout(t *testing.T) {
	config := `{"url": "https://h", "repos": ["a", "b"]}`
	left, err := Without(config, "https://h/a")
	require.NoError(t, err)
	require.JSONEq(t, `{"url": "https://h", "repos": ["b"]}`, left)
	left, err = Without(left, "https://h/b")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestRedact(t *testing.T) {
	require.Equal(t, "https://u:xxxxx@h/a", Redact("https://u:secret@h/a"))
	require.Equal(t, "(redacted)", Redact("https://u:secret@h:port/a"))
}
