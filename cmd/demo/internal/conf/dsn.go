package conf

import (
	"fmt"
	"net/url"
)

// SettingsChanged ends a service whose database moved. The addresses are redacted.
type SettingsChanged struct{ Was, Now string }

func (e *SettingsChanged) Error() string {
	return fmt.Sprintf("Detected settings change: the database was %s and is %s now; exiting so that a restart takes it up", e.Was, e.Now)
}

// Redact gives a DSN that may be logged: no password, and nothing at all of what is no URL.
func Redact(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return "(redacted)"
	}
	q := u.Query()
	for key := range q {
		if key != "sslmode" {
			q.Del(key) // password= may be among them
		}
	}
	u.RawQuery = q.Encode()
	return u.Redacted()
}
