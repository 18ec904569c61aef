package keys

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestURLsThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"code.example.com":            "neither https:// nor http://",
		"ftp://code.example.com":      "neither https:// nor http://",
		"https://":                    "names no host",
		"https://code.example.com/sg": "cannot be below a path",
		"https://me@code.example.com": "cannot be below a path",
		"https://code.example.com?x":  "cannot be below a path",
		"https://code.example.com:0":  "outside 1..65535",
		"https://côde.example.com":    "xn--",
		"https://code example.com":    "no URL",
	} {
		_, err := ParseURL(text)
		require.ErrorContains(t, err, want, text)
	}
	u, err := ParseURL("https://Code.Example.com/")
	require.NoError(t, err)
	require.Equal(t, "https://code.example.com", u.String())
}
