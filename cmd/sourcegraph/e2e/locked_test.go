package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// saying runs a client with something on its stdin and more environment, and gives its exit code, stdout and stderr.
func (a *appliance) saying(stdin string, env []string, args ...string) (code int, out, warnings string) {
	a.t.Helper()
	cmd := a.command(args...)
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal to ask on
	if err := cmd.Run(); err != nil {
		require.IsType(a.t, &exec.ExitError{}, err)
		return err.(*exec.ExitError).ExitCode(), stdout.String(), stderr.String()
	}
	return 0, stdout.String(), stderr.String()
}

// signIn is the answer's status, and the session's cookie if there is one.
func (a *appliance) signIn(user, word string) (status int, cookie string) {
	a.t.Helper()
	resp, _ := a.post("/-/sign-in", map[string]string{"username": user, "password": word})
	cookie, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	return resp.StatusCode, cookie
}

// session is what the product answers to who has a cookie: 200, or 401.
func (a *appliance) session(cookie string) int {
	a.t.Helper()
	resp, _ := a.post("/.api/graphql", map[string]any{"query": "{currentUser{username siteAdmin}}"}, "Authorization", "", "Cookie", cookie)
	return resp.StatusCode
}

// TestLockedOut lets in who cannot use the product's pages: accounts, and the site configuration.
func TestLockedOut(t *testing.T) {
	a := install(t)
	a.up()
	const second, third = "second password", "third password"

	a.step(t, "the first administrator is made through the product, the next ones without", func(t *testing.T) {
		code, out, text := a.saying(password+"\n", nil, "admin", "create", "root", "--password-stdin")
		require.Equal(t, 2, code, out+text)
		require.Contains(t, text, "needs an --email")
		code, out, text = a.saying(password+"\n", nil, "admin", "create", "root", "--email", "root@example.com", "--password-stdin")
		require.Equal(t, 0, code, out+text)
		require.NotContains(t, out+text, password)
		status, _ := a.signIn("root", password)
		require.Equal(t, http.StatusOK, status)

		code, out, text = a.saying("", nil, "admin", "create", "--generate", "bob")
		require.Equal(t, 0, code, text)
		_, made, _ := strings.Cut(out, "password: ")
		status, _ = a.signIn("bob", strings.TrimSpace(made))
		require.Equal(t, http.StatusOK, status)
	})

	a.step(t, "another password ends the sessions and the old password, after too many guesses, too", func(t *testing.T) {
		_, before := a.signIn("root", password)
		require.Equal(t, http.StatusOK, a.session(before))
		for range 10 {
			a.signIn("root", "guess")
		}
		status, _ := a.signIn("root", password)
		require.Equal(t, http.StatusTooManyRequests, status)
		code, out, text := a.saying(second, nil, "admin", "reset-password", "ROOT", "--password-stdin")
		require.Equal(t, 0, code, text)
		require.Contains(t, out, "root has another password")
		require.Equal(t, http.StatusUnauthorized, a.session(before))
		status, _ = a.signIn("root", password)
		require.Equal(t, http.StatusUnauthorized, status)
		status, now := a.signIn("root", second)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, http.StatusOK, a.session(now))
	})

	a.step(t, "who is no administrator becomes one", func(t *testing.T) {
		code, text := a.say("psql", "--", "-Atc", "UPDATE users SET site_admin = false WHERE username = 'bob'")
		require.Equal(t, 0, code, text)
		code, out, text := a.saying("", nil, "admin", "promote", "--dry-run", "bob")
		require.Equal(t, 0, code, text)
		require.Contains(t, out, "nothing was changed")
		for _, want := range []string{"bob made an administrator\n", "bob was an administrator before\n"} {
			code, out, text = a.saying("", nil, "admin", "promote", "bob")
			require.Equal(t, 0, code, text)
			require.Equal(t, want, out)
		}
	})

	a.step(t, "what cannot be done is said, with the remedy", func(t *testing.T) {
		for _, tc := range []struct {
			stdin string
			args  []string
			code  int
			want  []string
		}{
			{"", []string{"admin", "promote"}, 2, []string{"exactly one USER"}},
			{"", []string{"admin", "promote", "nobody"}, 2, []string{`no user "nobody"`, "administrators are: root, bob"}},
			{"", []string{"admin", "reset-password", "root"}, 2, []string{"no terminal", "--password-stdin or --generate"}},
			{"", []string{"admin", "reset-password", "root", "--password-stdin"}, 2, []string{"no password on stdin"}},
			{"short\n", []string{"admin", "reset-password", "root", "--password-stdin"}, 2, []string{"5 characters", "8 at least"}},
			{"", []string{"admin", "create", "root", "--generate"}, 6, []string{`"root" is taken`, "reset-password"}},
			{"", []string{"admin", "create", "x", "--generate", "--email", "root@example.com"}, 6, []string{"another user's"}},
			{"", []string{"admin", "create", "x", "--generate", "--password-stdin"}, 2, []string{"two passwords"}},
			{"", []string{"site-config", "show", "999"}, 2, []string{"no version 999", "show --versions"}},
			{"", []string{"site-config", "rollback", "x"}, 2, []string{"a number"}},
		} {
			code, out, text := a.saying(tc.stdin, nil, tc.args...)
			require.Equal(t, tc.code, code, "%v: %s%s", tc.args, out, text)
			for _, want := range tc.want {
				require.Contains(t, text, want, tc.args)
			}
		}
		status, _ := a.signIn("root", second)
		require.Equal(t, http.StatusOK, status)
	})

	a.step(t, "a password is typed twice on the terminal, which does not show it", func(t *testing.T) {
		tty := openTerminal(t)
		cmd := a.command("admin", "reset-password", "root")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty.slave, tty.slave, tty.slave
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		require.NoError(t, cmd.Start())
		shown := ""
		for _, question := range []string{"new password for root: ", "the same again: "} {
			shown += tty.upTo(t, question)
			require.True(t, a.eventually(func() bool { return tty.mode(t).Lflag&unix.ECHO == 0 }))
			tty.press(t, third+"\n")
		}
		shown += tty.upTo(t, "their sessions have ended")
		require.NoError(t, cmd.Wait())
		require.NotContains(t, shown, third)
		status, _ := a.signIn("root", third)
		require.Equal(t, http.StatusOK, status)
	})

	editor := filepath.Join(a.dir, "editor.sh")
	edit := func(script string) []string {
		require.NoError(t, os.WriteFile(editor, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
		return []string{"VISUAL=", "EDITOR=" + editor}
	}
	versions := func() string {
		code, out, text := a.saying("", nil, "site-config", "show", "--versions")
		require.Equal(a.t, 0, code, text)
		return out
	}

	a.step(t, "an edit is a version, and counts", func(t *testing.T) {
		code, out, text := a.saying("", nil, "site-config", "show")
		require.Equal(t, 0, code, text)
		require.Contains(t, out, `"auth.minPasswordLength": 8`)
		code, out, text = a.saying("", edit(`sed -i 's/Length": 8/Length": 30/' "$1"`), "site-config", "edit")
		require.Equal(t, 0, code, text)
		require.Contains(t, out, "saved as version 2")
		code, _, text = a.saying(third, nil, "admin", "reset-password", "root", "--password-stdin")
		require.Equal(t, 2, code)
		require.Contains(t, text, "30 at least")
		code, out, text = a.saying("", edit("exit 0"), "site-config", "edit")
		require.Equal(t, 0, code, text)
		require.Equal(t, "nothing was changed\n", out)
	})

	a.step(t, "what cannot be read is not saved, and neither is what somebody else overtook", func(t *testing.T) {
		before := versions()
		code, _, text := a.saying("", edit(`echo '{"a": 1, "a": 2,' > "$1"`), "site-config", "edit")
		require.Equal(t, 2, code, text)
		require.Contains(t, text, "not JSON: hujson: line 2")
		require.Contains(t, text, "your text is in /")
		require.Equal(t, before, versions())
		code, _, text = a.saying("", edit("exit 3"), "site-config", "edit")
		require.Equal(t, 3, code, text)
		require.Contains(t, text, "the editor")

		other := strings.Join(a.command("site-config", "rollback").Args, " ")
		code, _, text = a.saying("", edit(`echo '{}' > "$1"; `+other), "site-config", "edit")
		require.Equal(t, 6, code, text)
		require.Contains(t, text, "somebody saved version 3")
		code, out, text := a.saying("", nil, "site-config", "show")
		require.Equal(t, 0, code, text)
		require.Contains(t, out, `"auth.minPasswordLength": 8`, "the other one's rollback stands")
	})

	a.step(t, "a rollback saves an earlier version again", func(t *testing.T) {
		code, out, text := a.saying("", nil, "site-config", "rollback", "--dry-run", "2")
		require.Equal(t, 0, code, text)
		require.Contains(t, out, "version 2")
		require.Contains(t, out, "would be")
		code, out, text = a.saying("", nil, "site-config", "rollback", "2")
		require.Equal(t, 0, code, text)
		require.Contains(t, out, "as version 4")
		code, out, text = a.saying("", nil, "site-config", "rollback")
		require.Equal(t, 0, code, text)
		require.Contains(t, out, "version 3")
	})

	a.step(t, "a text is checked before it is used", func(t *testing.T) {
		code, out, text := a.saying("", nil, "site-config", "validate")
		require.Equal(t, 0, code, text)
		require.Contains(t, out, "can be read")
		code, _, text = a.saying(`{"a": 1, "a": 2, "externalURL": "x"}`, nil, "site-config", "validate", "-")
		require.Equal(t, 2, code)
		require.Contains(t, text, "line 1, column 10: a was said before")
		require.Contains(t, text, "externalURL")
		code, out, _ = a.saying("[]", nil, "site-config", "validate", "--json", "-")
		require.Equal(t, 2, code)
		require.Contains(t, out, `"valid": false`)
	})

	a.step(t, "a file of the site's own governs, with mail and licence behind it, and edits belong there", func(t *testing.T) {
		write := func(name, text string) {
			require.NoError(t, os.WriteFile(filepath.Join(a.conf(), name), []byte(text), 0o600))
		}
		require.NoError(t, os.MkdirAll(filepath.Join(a.conf(), "secrets"), 0o700))
		write("site.jsonc", "{\n  // ours\n  \"auth.minPasswordLength\": 9,\n}\n")
		write("secrets/smtp", `pass"word`)
		write("license", "k3y\n")
		site, err := os.ReadFile(filepath.Join(a.conf(), "appliance.yaml"))
		require.NoError(t, err)
		keys := "site_config: site.jsonc\nlicense_file: license\nemail: {host: smtp.example.com, from: sg@example.com, user: sg, password_secret: smtp}\n"
		write("appliance.yaml", keys+string(site))
		code, text := a.say("reload")
		require.Equal(t, 0, code, text)
		code, out, text := a.saying("", nil, "site-config", "show")
		require.Equal(t, 0, code, text)
		for _, want := range []string{`"auth.minPasswordLength": 9`, `"host": "smtp.example.com"`, `"password": "pass\"word"`, `"licenseKey": "k3y"`} {
			require.Contains(t, out, want)
		}
		for _, args := range [][]string{{"site-config", "edit"}, {"site-config", "rollback"}} {
			code, _, text = a.saying("", edit("exit 0"), args...)
			require.Equal(t, 6, code, text)
			require.Contains(t, text, filepath.Join(a.conf(), "site.jsonc"))
			require.Contains(t, text, "sourcegraph reload")
		}

		run := a.service("frontend").Run
		write("license", "another-key\n")
		code, text = a.say("reload")
		require.Equal(t, 0, code, text)
		require.Greater(t, a.service("frontend").Run, run, "a changed file counts after a reload")
		code, out, text = a.saying("", nil, "site-config", "show")
		require.Equal(t, 0, code, text)
		require.Contains(t, out, "another-key")
	})

	a.step(t, "who asked is on record, no password is", func(t *testing.T) {
		code, text := a.say("events", "frontend")
		require.Equal(t, 0, code)
		require.Contains(t, text, "admin reset-password ROOT --password-stdin")
		for _, word := range []string{password, second, third} {
			require.NotContains(t, text, word)
		}
	})
	require.Equal(t, 0, a.stop(), a.out)
}
