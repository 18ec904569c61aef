package database

import (
	"cmp"
	"net"
	"net/url"
	"strings"
)

// DSN makes a database URL from the PG environment as Sourcegraph's services read it: PGDATASOURCE wins, then PGHOST (a directory means a unix socket),
// PGPORT, PGUSER, PGPASSWORD, PGDATABASE and PGSSLMODE, by default 127.0.0.1, 5432, sg, none, sg and require. The result holds the password.
func DSN(getenv func(string) string) string {
	if whole := getenv("PGDATASOURCE"); whole != "" {
		return whole
	}
	host, port := cmp.Or(getenv("PGHOST"), "127.0.0.1"), cmp.Or(getenv("PGPORT"), "5432")
	q := url.Values{"sslmode": {cmp.Or(getenv("PGSSLMODE"), "require")}}
	u := url.URL{Scheme: "postgres", Path: "/" + cmp.Or(getenv("PGDATABASE"), "sg")}
	if strings.HasPrefix(host, "/") {
		q.Set("host", host)
		q.Set("port", port)
	} else {
		u.Host = net.JoinHostPort(host, port)
	}
	u.User = url.User(cmp.Or(getenv("PGUSER"), "sg"))
	if password := getenv("PGPASSWORD"); password != "" {
		u.User = url.UserPassword(u.User.Username(), password)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
