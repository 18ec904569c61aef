package frontend

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOddNamesSurviveTheWayThroughAURL goes from a name to the page's URL and back.
func TestOddNamesSurviveTheWayThroughAURL(t *testing.T) {
	for _, name := range []string{"a", "a b", "100%", "a#b?c", "x@y", "ü/世界", "a\xffb", "quote\"'<>&", "-", "a+b", "dir/with@sign/f", "new\nline"} {
		for _, rev := range []string{"", "v1", "feature/x@{1}", "c0ffee"} {
			link := blobURL("host.example/"+name, rev, "d/"+name)
			u, err := url.Parse(link)
			require.NoError(t, err, link)
			require.Empty(t, u.RawQuery+u.Fragment, link)
			l, err := parseLocation(u.EscapedPath())
			require.NoError(t, err)
			require.Equal(t, location{"host.example/" + name, rev, "blob", "d/" + name}, l)
		}
	}
}

func TestParseLocation(t *testing.T) {
	for path, want := range map[string]location{
		"/a/b":                   {repo: "a/b", kind: "tree"},
		"/a/b/":                  {repo: "a/b", kind: "tree"},
		"/a@v1":                  {repo: "a", rev: "v1", kind: "tree"},
		"/a/-/tree/":             {repo: "a", kind: "tree"},
		"/a/-/blob/x/-/blob/y":   {repo: "a", kind: "blob", path: "x/-/blob/y"},
		"/a@feature/x/-/raw/f.x": {repo: "a", rev: "feature/x", kind: "raw", path: "f.x"},
	} {
		got, err := parseLocation(path)
		require.NoError(t, err, path)
		require.Equal(t, want, got, path)
	}
	_, err := parseLocation("/a%zz")
	require.Error(t, err)
}

func TestReturnToStaysHere(t *testing.T) {
	for target, want := range map[string]string{
		"/search?q=x": "/search?q=x", "": "/search", "//evil.example": "/search", "https://evil.example": "/search", `/\evil.example`: "/search", "javascript:x": "/search", "/a%0d%0ab": "/a%0d%0ab",
	} {
		require.Equal(t, want, returnTo(target), target)
	}
}

func TestPage(t *testing.T) {
	two, far, bad := int32(2), "3", "x"
	from, to, info, err := page(5, &two, nil)
	require.NoError(t, err)
	require.Equal(t, []int{0, 2}, []int{from, to})
	require.True(t, info.HasNextPage())
	from, to, info, err = page(5, &two, &far)
	require.NoError(t, err)
	require.Equal(t, []int{3, 5}, []int{from, to})
	require.Nil(t, info.EndCursor())
	_, _, _, err = page(5, &two, &bad)
	require.ErrorContains(t, err, `"x" is no cursor`)
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 30: "5.0 GiB"} {
		require.Equal(t, want, size(n))
	}
}

func TestRedisOptionsKeepThePassword(t *testing.T) {
	env := map[string]string{"REDIS_ENDPOINT": "shared:1", "REDIS_STORE_ENDPOINT": "redis://:p%40ss@store:2"}
	getenv := func(k string) string { return env[k] }
	cache, err := redisOptions(getenv, "REDIS_CACHE_ENDPOINT", "redis-cache:6379")
	require.NoError(t, err)
	require.Equal(t, "shared:1", cache.Addr)
	store, err := redisOptions(getenv, "REDIS_STORE_ENDPOINT", "redis-store:6379")
	require.NoError(t, err)
	require.Equal(t, "store:2 p@ss", store.Addr+" "+store.Password)
}
