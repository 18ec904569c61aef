package frontend

import (
	"bytes"
	"net/url"
	"strings"
)

// repoURL is the page of a repository at a revision, empty for its default branch.
func repoURL(name, rev string) string {
	if rev != "" {
		rev = "@" + escape(rev)
	}
	return "/" + escape(name) + rev
}

// blobURL is the page of a file.
func blobURL(name, rev, path string) string { return repoURL(name, rev) + "/-/blob/" + escape(path) }

// treeURL is the page of a directory.
func treeURL(name, rev, path string) string { return repoURL(name, rev) + "/-/tree/" + escape(path) }

// escape keeps the slashes between segments, and nothing else that means something in a URL; an @ begins a revision, and /-/ ends it.
func escape(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if s == "-" {
			segments[i] = "%2D"
			continue
		}
		segments[i] = strings.ReplaceAll(url.PathEscape(s), "@", "%40")
	}
	return strings.Join(segments, "/")
}

// text makes bytes of git fit for JSON and HTML.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// isBinary is git's rule: a NUL among the first 8000 bytes.
func isBinary(content []byte) bool {
	return bytes.IndexByte(content[:min(len(content), 8000)], 0) >= 0
}
