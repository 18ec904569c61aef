package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

// lockedOut is a fake appliance before a real PostgreSQL with the demo's tables.
type lockedOut struct {
	*appliance
	t    *testing.T
	conn *pgx.Conn
}

func newLockedOut(t *testing.T) lockedOut {
	t.Helper()
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	require.NoError(t, err)
	if len(bins) == 0 {
		t.Skip("no PostgreSQL in /usr/lib/postgresql/*/bin")
	}
	dir, err := os.MkdirTemp("", "locked")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	server := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bins[len(bins)-1], name), args...)
		c.Dir, c.Env = "/", []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if os.Getuid() == 0 { // whom PostgreSQL refuses
			require.NoError(t, os.Chown(dir, 65534, 65534))
			c.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		}
		return c
	}
	out, err := server("initdb", "-D", dir+"/data", "--username=sg", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync").CombinedOutput()
	require.NoError(t, err, string(out))
	c := server("postgres", "-D", dir+"/data", "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGINT) // gone already is fine
		_ = c.Wait()
	})
	l := lockedOut{demo().begin(t), t, nil}
	require.Eventually(t, func() bool {
		l.conn, err = pgx.Connect(t.Context(), "host="+dir+" user=sg dbname=postgres sslmode=disable")
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
	t.Cleanup(func() { l.conn.Close(context.Background()) })
	migrations, err := filepath.Glob("../demo/internal/migrator/migrations/*.sql")
	require.NoError(t, err)
	for _, file := range migrations {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		_, err = l.conn.Exec(t.Context(), string(text))
		require.NoError(t, err, file)
	}
	l.env = []string{"PGHOST=" + dir, "PGUSER=sg", "PGDATABASE=postgres", "PGSSLMODE=disable"}
	return l
}

// text is the first column of the one row of a question.
func (l lockedOut) text(question string) (text string) {
	l.t.Helper()
	require.NoError(l.t, l.conn.QueryRow(l.t.Context(), question).Scan(&text))
	return text
}

// editor makes the commands' editor a script.
func (l lockedOut) editor(script string) {
	path := filepath.Join(l.dir, "editor.sh")
	require.NoError(l.t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	l.t.Setenv("VISUAL", "")
	l.t.Setenv("EDITOR", path)
}

// TestAdminVerbs: the first administrator goes through the product, all else through its database.
func TestAdminVerbs(t *testing.T) {
	l := newLockedOut(t)
	frontend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/-/site-init" {
			_, err := l.conn.Exec(t.Context(), `UPDATE global_state SET initialized = true; INSERT INTO users (username, passwd, site_admin) VALUES ('root', 'old', true)`)
			require.NoError(t, err)
		}
	}))
	defer frontend.Close()
	l.env = append(l.env, "SRC_HTTP_ADDR="+strings.TrimPrefix(frontend.URL, "http://"))

	require.Contains(t, l.run("admin", "create", "root", "--generate").progress, "needs an --email")
	got := l.run("admin", "create", "root", "--generate", "--email", "root@example.com")
	require.Equal(t, 0, got.code, got.progress)
	require.Equal(t, "root", l.text(`SELECT username FROM users`))
	require.Contains(t, l.asked[len(l.asked)-1], "frontend for sourcegraph")

	got = l.run("admin", "reset-password", "ROOT", "--generate", "--json")
	require.Equal(t, 0, got.code, got.progress)
	var did account
	require.NoError(t, json.Unmarshal([]byte(got.out), &did))
	require.Equal(t, "root", did.Username)
	require.NoError(t, bcrypt.CompareHashAndPassword([]byte(l.text(`SELECT passwd FROM users`)), []byte(did.Password)))

	got = l.run("admin", "create", "bob", "--generate", "--dry-run")
	require.Equal(t, 0, got.code, got.progress)
	require.Equal(t, "nothing was changed; else it would be so: bob made an administrator\n", got.out, "a password that opens nothing is not shown")
	require.Equal(t, 0, l.run("admin", "create", "bob", "--generate").code)
	_, err := l.conn.Exec(t.Context(), `UPDATE users SET site_admin = false WHERE username = 'bob'`)
	require.NoError(t, err)
	for _, want := range []string{"bob made an administrator\n", "bob was an administrator before\n"} {
		require.Equal(t, want, l.run("admin", "promote", "bob").out)
	}

	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"promote"}, 2, "exactly one USER"},
		{[]string{"promote", "nobody"}, 2, "administrators are: root, bob"},
		{[]string{"create", "root", "--generate"}, 6, "reset-password gives another password"},
		{[]string{"create", "x", "--generate", "--password-stdin"}, 2, "two passwords"},
		{[]string{"create", "x", "--generate", "--email", "x"}, 2, "want an address"},
	} {
		got := l.run(append([]string{"admin"}, tc.args...)...)
		require.Equal(t, tc.code, got.code, "%v: %s", tc.args, got.progress)
		require.Contains(t, got.progress, tc.want)
	}
	_, err = l.conn.Exec(t.Context(), `INSERT INTO critical_and_site_config (type, contents) VALUES ('site', '{"auth.minPasswordLength": 30, "auth.providers": [{"type": "saml"}]}')`)
	require.NoError(t, err)
	got = l.run("admin", "reset-password", "root", "--generate")
	require.Equal(t, 2, got.code)
	require.Contains(t, got.progress, "30 at least")
	_, err = l.conn.Exec(t.Context(), `INSERT INTO critical_and_site_config (type, contents) VALUES ('site', '{"auth.providers": [{"type": "saml"}]}')`)
	require.NoError(t, err)
	require.Contains(t, l.run("admin", "reset-password", "root", "--generate").progress, "nobody can sign in with a password")
}

// TestSiteConfigVerbs: a save is a version, and nothing is saved that cannot be read, was overtaken, or that a file governs.
func TestSiteConfigVerbs(t *testing.T) {
	l := newLockedOut(t)
	const inForce = `SELECT id || ' ' || contents FROM critical_and_site_config ORDER BY id DESC LIMIT 1`
	require.Contains(t, l.run("site-config", "show").out, `"auth.minPasswordLength": 8`)
	require.Contains(t, l.run("site-config", "validate").out, "version 1 of the site configuration can be read")

	l.editor(`echo '{"a": 1} // ours' > "$1"`)
	got := l.run("site-config", "edit")
	require.Equal(t, 0, got.code, got.progress)
	require.Equal(t, "2 {\"a\": 1} // ours\n", l.text(inForce))
	require.Equal(t, "nothing was changed\n", l.run("site-config", "edit").out)

	t.Setenv("TMPDIR", l.dir)
	l.editor(`echo '{"a": 1, "a": 2}' > "$1"`)
	got = l.run("site-config", "edit")
	require.Equal(t, 2, got.code)
	require.Contains(t, got.progress, "line 1, column 10: a was said before")
	kept, err := filepath.Glob(l.dir + "/site-config-*/site-config.jsonc")
	require.NoError(t, err)
	require.Len(t, kept, 1, "what was typed is not lost")
	require.Contains(t, got.progress, kept[0])
	l.editor("exit 3")
	require.Equal(t, 3, l.run("site-config", "edit").code)

	_, err = l.conn.Exec(t.Context(), `CREATE FUNCTION other() RETURNS void LANGUAGE sql AS $$ INSERT INTO critical_and_site_config (type, contents) VALUES ('site', '{"theirs": 1}') $$`)
	require.NoError(t, err)
	l.editor(`echo '{}' > "$1"; psql -qX -h ` + strings.TrimPrefix(l.env[0], "PGHOST=") + ` -U sg -d postgres -c 'SELECT other()' >/dev/null`)
	got = l.run("site-config", "edit")
	require.Equal(t, 6, got.code, got.progress)
	require.Contains(t, got.progress, "somebody saved version 3")
	require.Equal(t, `3 {"theirs": 1}`, l.text(inForce))

	require.Contains(t, l.run("site-config", "rollback", "--dry-run", "1").out, "would be in force again")
	require.Contains(t, l.run("site-config", "rollback").out, "version 2, saved at ")
	require.Equal(t, "4 {\"a\": 1} // ours\n", l.text(inForce))
	require.Equal(t, 0, l.run("site-config", "rollback", "3").code)
	require.Equal(t, `5 {"theirs": 1}`, l.text(inForce))
	require.Equal(t, "{\"a\": 1} // ours\n", l.run("site-config", "show", "2").out)
	require.Equal(t, 6, strings.Count(l.run("site-config", "show", "--versions").out, "\n"))

	for want, args := range map[string][]string{
		"there is no version 99": {"rollback", "99"},
		"takes one VERSION":      {"show", "x"},
		"give a VERSION or":      {"show", "1", "--versions"},
		"edit takes no argument": {"edit", "x"},
		"no such file":           {"validate", "/nowhere"},
		"one FILE at most":       {"validate", "a", "b"},
		"editor.sh is not right": {"validate", l.dir + "/editor.sh"},
	} {
		got := l.run(append([]string{"site-config"}, args...)...)
		require.Equal(t, 2, got.code, "%v: %s", args, got.out)
		require.Contains(t, got.progress, want)
	}
	l.env = append(l.env, "SITE_CONFIG_FILE=/run/copy")
	for _, verb := range []string{"edit", "rollback"} {
		got := l.run("site-config", verb)
		require.Equal(t, 6, got.code)
		require.Contains(t, got.progress, "/etc/sourcegraph/site.jsonc")
	}
	require.Equal(t, `5 {"theirs": 1}`, l.text(inForce))
}
