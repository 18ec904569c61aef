package elsewhere

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sourcegraph/appliance/services"
)

func checkDatabase(ctx context.Context, d services.Database, secrets map[string]string) error {
	where := fmt.Sprintf("PostgreSQL at %s, database %s", d.Address(), d.Name)
	conf, err := config(d, secrets[d.PasswordSecret])
	if err != nil {
		return &Fault{where, err.Error(), "correct it under postgres in appliance.yaml"}
	}
	conn, err := pgconn.ConnectConfig(ctx, conf)
	if err != nil {
		return signInFault(ctx, where, d, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	facts, err := ask(ctx, conn, d.Extensions)
	if err != nil {
		return &Fault{where, "it does not answer questions: " + reason(ctx, err), "see its own log"}
	}
	if f := facts.fault(d); f != nil {
		f.Where = where
		return f
	}
	return nil
}

// config takes nothing from our own environment and home directory, which libpq's rules would.
func config(d services.Database, password string) (*pgconn.Config, error) {
	mode := d.SSLMode
	if mode == "" {
		mode = "require"
	}
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	host, port, err := net.SplitHostPort(d.Address())
	if err != nil {
		return nil, err
	}
	words := []string{
		"host=" + quote(host), "port=" + port, "user=" + quote(d.User), "password=" + quote(password), "dbname=" + quote(d.Name), "sslmode=" + mode,
		"passfile=/dev/null", "servicefile=/dev/null", "application_name=sourcegraph-appliance", "timezone=UTC",
	}
	if d.RootCert != "" {
		words = append(words, "sslrootcert="+quote(d.RootCert))
	}
	conf, err := pgconn.ParseConfig(strings.Join(words, " "))
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), password, "…"))
	}
	return conf, nil
}

// signInFault tells the ways in which a connection is not made. SQLSTATEs: PostgreSQL, "Error Codes".
func signInFault(ctx context.Context, where string, d services.Database, err error) error {
	var refused *pgconn.PgError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var check *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refused):
		return refusedFault(where, d, refused)
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &check):
		return &Fault{where, "its certificate is not trusted: " + errors.Unwrap(err).Error(), "name the certificates that signed it: root_cert"}
	case strings.Contains(err.Error(), "refused TLS"):
		return &Fault{where, "it offers no TLS", "turn TLS on there, or say sslmode: disable here if the network between is yours"}
	}
	return &Fault{where, reason(ctx, err), "see that it runs, listens on that address, and that this machine may reach it"}
}

func refusedFault(where string, d services.Database, e *pgconn.PgError) error {
	switch e.Code {
	case "28P01":
		return &Fault{where, fmt.Sprintf("the password of user %s is wrong", d.User), "write the right one into the secret " + d.PasswordSecret + ", then reload"}
	case "28000":
		return &Fault{where, fmt.Sprintf("user %s may not sign in from here: %s", d.User, e.Message), "allow it in pg_hba.conf there, and see that the user exists"}
	case "3D000":
		return &Fault{where, "there is no such database", fmt.Sprintf("make it: CREATE DATABASE %s OWNER %s", d.Name, d.User)}
	case "53300":
		return &Fault{where, "all its connections are taken", "raise max_connections there: each service of Sourcegraph opens up to 30 for each database"}
	case "57P03":
		return &Fault{where, "it is starting up, or recovering", "wait for it"}
	}
	return &Fault{where, e.Message + " (" + e.Code + ")", "see its own log"}
}

// facts are what a database says of itself.
type facts struct {
	version                 int // 160004
	recovering, readOnly    bool
	encoding, collate       string
	collation, collationNow string // versions; empty where PostgreSQL keeps none
	mayCreate               bool
	missing                 []string // extensions that it does not offer
	forbidden               []string // extensions that are not there yet and that this user may not create
}

// ask gathers them in two questions, since what a later one asks depends on the version.
func ask(ctx context.Context, conn *pgconn.PgConn, extensions []string) (f facts, err error) {
	row, err := one(ctx, conn, `SELECT current_setting('server_version_num'), pg_is_in_recovery(), current_setting('transaction_read_only')::bool,
		pg_encoding_to_char(encoding), datcollate, has_database_privilege(current_database(), 'CREATE')
		FROM pg_database WHERE datname = current_database()`)
	if err != nil {
		return f, err
	}
	f.version, _ = strconv.Atoi(row[0])
	f.recovering, f.readOnly, f.encoding, f.collate, f.mayCreate = row[1] == "t", row[2] == "t", row[3], row[4], row[5] == "t"
	if f.version >= 150000 { // before, no version of a database's collation was kept
		if row, err = one(ctx, conn, `SELECT coalesce(datcollversion, ''), coalesce(pg_database_collation_actual_version(oid), '')
			FROM pg_database WHERE datname = current_database()`); err != nil {
			return f, err
		}
		f.collation, f.collationNow = row[0], row[1]
	}
	return f, f.askExtensions(ctx, conn, extensions)
}

func (f *facts) askExtensions(ctx context.Context, conn *pgconn.PgConn, wanted []string) error {
	trusted := "false" // before 13 only a superuser could create any
	if f.version >= 130000 {
		trusted = "v.trusted"
	}
	for _, name := range wanted {
		row, err := one(ctx, conn, `SELECT count(*) > 0, coalesce(bool_or(v.installed OR `+trusted+` OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)), false)
			FROM pg_available_extension_versions v WHERE v.name = $1`, name)
		if err != nil {
			return err
		}
		switch {
		case row[0] != "t":
			f.missing = append(f.missing, name)
		case row[1] != "t":
			f.forbidden = append(f.forbidden, name)
		}
	}
	return nil
}

// one returns the texts of the only row of an answer.
func one(ctx context.Context, conn *pgconn.PgConn, question string, args ...string) ([]string, error) {
	values := make([][]byte, len(args))
	for i, a := range args {
		values[i] = []byte(a)
	}
	result := conn.ExecParams(ctx, question, values, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	if len(result.Rows) != 1 {
		return nil, fmt.Errorf("%d rows instead of one", len(result.Rows))
	}
	var out []string
	for _, column := range result.Rows[0] {
		out = append(out, string(column))
	}
	return out, nil
}

// fault is the first thing that Sourcegraph cannot live with; nil when all is well.
func (f facts) fault(d services.Database) *Fault {
	major := f.version / 10000
	switch {
	case major < d.MinMajor:
		return &Fault{What: fmt.Sprintf("it is PostgreSQL %d, this release needs %d or later", major, d.MinMajor), Remedy: fmt.Sprintf("upgrade the server to PostgreSQL %d first", d.MinMajor)}
	case f.recovering:
		return &Fault{What: "it is a standby, which takes no writes", Remedy: "name the primary's address"}
	case f.readOnly:
		return &Fault{What: "it takes no writes (default_transaction_read_only)", Remedy: "turn that off for the database or the user"}
	case f.encoding != "UTF8":
		return &Fault{What: "its encoding is " + f.encoding + ", not UTF8", Remedy: fmt.Sprintf("make the database again: CREATE DATABASE %s OWNER %s ENCODING 'UTF8' LOCALE 'en_US.utf8' TEMPLATE template0", d.Name, d.User)}
	case !goodCollation(f.collate):
		return &Fault{What: "its collation is " + f.collate + ", which does not order UTF-8", Remedy: fmt.Sprintf("make the database again with LOCALE 'en_US.utf8' (or C.UTF-8): CREATE DATABASE %s … TEMPLATE template0", d.Name)}
	case f.collation != f.collationNow && f.collation != "" && f.collationNow != "":
		return &Fault{
			What:   fmt.Sprintf("collation version mismatch: its indexes were made with %s, its C library now has %s", f.collation, f.collationNow),
			Remedy: fmt.Sprintf("with everything stopped: REINDEX DATABASE %s; ALTER DATABASE %s REFRESH COLLATION VERSION", d.Name, d.Name),
		}
	case len(f.missing) > 0:
		return &Fault{What: "it lacks the extensions " + strings.Join(f.missing, ", "), Remedy: "install them on its machine: postgresql-contrib, and for vector postgresql-" + strconv.Itoa(major) + "-pgvector"}
	case len(f.forbidden) > 0:
		return &Fault{What: fmt.Sprintf("user %s may not create the extensions %s", d.User, strings.Join(f.forbidden, ", ")), Remedy: "as a superuser, in this database: CREATE EXTENSION " + strings.Join(f.forbidden, "; CREATE EXTENSION ")}
	case !f.mayCreate:
		return &Fault{What: fmt.Sprintf("user %s may not create anything in it", d.User), Remedy: fmt.Sprintf("ALTER DATABASE %s OWNER TO %s", d.Name, d.User)}
	}
	return nil
}

// goodCollation takes what PostgreSQL and the C library can order UTF-8 by; C orders by bytes, which is an order too.
// src: sourcegraph/docs: self-hosted/postgres (en_US.utf8)
func goodCollation(name string) bool {
	lower := strings.ToLower(name)
	return name == "C" || name == "POSIX" || strings.HasSuffix(lower, ".utf8") || strings.HasSuffix(lower, ".utf-8")
}
