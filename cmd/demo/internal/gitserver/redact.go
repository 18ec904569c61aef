package gitserver

import (
	"cmp"
	"net/url"
	"regexp"
	"strings"
)

var (
	// userinfo is what stands before the @ of any URL in a text. Greedy, so that an @ inside of a password hides nothing.
	userinfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s'"]*@`)
	// parameter is a query parameter that looks like a secret.
	parameter = regexp.MustCompile(`(?i)([?&][a-z_-]*(?:token|password|secret|key|auth)[a-z_-]*=)[^&\s'"]+`)
)

// redactURLs replaces the credentials of every URL in a text.
func redactURLs(text string) string {
	return parameter.ReplaceAllString(userinfo.ReplaceAllString(text, "${1}***@"), "${1}***")
}

// redact does so, and replaces the remote's own secret wherever else it stands, plain or escaped.
func (r remote) redact(text string) string {
	text = redactURLs(text)
	secret := cmp.Or(r.password, r.username) // a user without a password is a token
	if secret == "" {
		return text
	}
	return strings.NewReplacer(secret, "***", url.QueryEscape(secret), "***", url.PathEscape(secret), "***").Replace(text)
}
