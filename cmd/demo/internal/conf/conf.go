package conf

import (
	"cmp"
	"os"
	"strings"
)

// Path is where the frontend serves the configuration, on its internal address.
const Path = "/.internal/configuration"

// Config is what the frontend tells the other services.
type Config struct {
	PostgresDSN  string   `json:"postgresDSN"` // a URL with the password in it; never log it, see [Redact]
	GitServers   []string `json:"gitServers"`  // host:port, in the order of SRC_GIT_SERVERS
	SearcherURLs []string `json:"searcherURLs"`
	Version      string   `json:"version"` // of the frontend
}

// Servers are the gitservers: those of our own SRC_GIT_SERVERS, else those that the frontend names.
func (c Config) Servers(getenv func(string) string) []string {
	if own := strings.Fields(getenv("SRC_GIT_SERVERS")); len(own) > 0 {
		return own
	}
	return c.GitServers
}

// FrontendInternal is the frontend's internal address, host:port, from SRC_FRONTEND_INTERNAL.
func FrontendInternal() string {
	return cmp.Or(os.Getenv("SRC_FRONTEND_INTERNAL"), "127.0.0.1:3090")
}
