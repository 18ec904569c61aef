package logs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func mustCompile(s string) *regexp.Regexp { return regexp.MustCompile(s) }

// smallDisk mounts a file system of 1 MB.
func smallDisk(t *testing.T) string {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs a file system of its own: mount: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

func TestE27LogThatCannotBeOpenedIsKeptInMemory(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "svc", currentName)
	require.NoError(t, os.MkdirAll(path, 0o700)) // a directory where the log should be
	f := start(t, Options{Dir: dir})
	f.print(t, "one\n")
	require.ErrorContains(t, f.Stats().LastError, "no regular file")
	require.Equal(t, []string{"one"}, f.Tail(1))
	require.NoError(t, os.Remove(path))
	require.Eventually(t, func() bool { return f.Stats().LastError == nil }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, []string{"3 one"}, current(t, f.dir))
}

func TestE45StalledDiskHoldsNobodyUp(t *testing.T) {
	k, err := newPumps(50*time.Millisecond, 10*time.Millisecond)
	require.NoError(t, err)
	t.Cleanup(func() { _ = k.Close() })
	r, w, err := NewPipe(os.Geteuid(), os.Getegid())
	require.NoError(t, err)
	dir := t.TempDir()
	fifo := filepath.Join(dir, "svc")
	p, err := k.Start("svc", r, 3, Options{Dir: dir})
	require.NoError(t, err)
	stuck, thaw, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() { // a call that hangs, as a disk does
		<-k.turnForTest()
		ended <- k.disk(p, 0, []byte("2026-01-02T03:04:05.678Z 3 lost\n"), func() error { close(stuck); <-thaw; return errors.New("gone") })
	}()
	<-stuck
	_, err = w.WriteString(strings.Repeat("line\n", 200_000)) // more than pipe and memory hold
	require.NoError(t, err)
	require.NoError(t, p.Drain(t.Context()))
	require.ErrorIs(t, p.Stats().LastError, errStalled)
	require.NoFileExists(t, filepath.Join(fifo, currentName))
	close(thaw)
	require.ErrorIs(t, <-ended, errTurnLost)
	require.Eventually(t, func() bool { return p.Stats().LastError == nil && p.Stats().Waiting == 0 }, 30*time.Second, 10*time.Millisecond)
	s := p.Stats()
	got := current(t, fifo)
	require.Contains(t, got[0], fmt.Sprintf("3! %d lines, %d bytes dropped: ", s.DroppedLines, s.DroppedBytes))
	require.EqualValues(t, 200_000+1, int(s.DroppedLines)+len(got)-1)
}

func (k *Pumps) turnForTest() <-chan *turn { return k.turns }

func TestE47HugeLineIsCut(t *testing.T) {
	f := start(t, Options{MaxSize: 64 << 20})
	huge := strings.Repeat("ä", 5<<20) // 10 MB
	_, err := f.w.WriteString(huge + "\nnext\n")
	require.NoError(t, err)
	require.NoError(t, f.Drain(t.Context()))
	lines := current(t, f.dir)
	var whole strings.Builder
	for i, l := range lines[:len(lines)-1] {
		text, cut := strings.CutPrefix(l, "3+ ")
		if !cut {
			require.Equal(t, len(lines)-2, i, "only the last part is not marked")
			text = strings.TrimPrefix(l, "3 ")
		}
		require.LessOrEqual(t, len(text), maxLine)
		require.True(t, strings.HasPrefix(text, "ä"), "cut between characters")
		whole.WriteString(text)
	}
	require.True(t, whole.String() == huge)
	require.Equal(t, "3 next", lines[len(lines)-1])
}

func TestE48BinaryOutputIsKeptAndEscapedWhenShown(t *testing.T) {
	f := start(t, Options{})
	raw := "a\x00b\xff\xfe\x1b[2J\rc\u202ed\té"
	f.print(t, raw+"\n")
	require.Equal(t, []string{"3 " + raw}, current(t, f.dir))
	require.Equal(t, `a\x00b\xff\xfe\x1b[2J\rc\u202ed`+"\té", Escape(raw))
}

func TestE48OutputCannotForgeALine(t *testing.T) {
	f := start(t, Options{})
	f.print(t, "2026-01-02T03:04:05.678Z 9! forged\n")
	lines := current(t, f.dir)
	require.Equal(t, "3 2026-01-02T03:04:05.678Z 9! forged", lines[0])
}

func TestE51HalfPackedFileIsPackedAgain(t *testing.T) {
	dir := t.TempDir()
	base := filepath.Join(dir, "svc", "@2026-01-02T03-04-05.678Z")
	writeLog(t, base+plainExt, "1 one")
	require.NoError(t, os.WriteFile(base+unreadyExt, []byte("half"), 0o600))
	p := newPacker(func(dir string, err error) { t.Error(dir, err) })
	p.add(filepath.Join(dir, "svc"))
	p.done.Wait()
	require.NoFileExists(t, base+unreadyExt)
	require.NoFileExists(t, base+plainExt)
	in, err := openRotated(base)
	require.NoError(t, err)
	defer in.close()
	line, err := in.line()
	require.NoError(t, err)
	require.Equal(t, "1970-01-01T00:00:01.000Z 1 one", string(line))
}

func TestRotationKeepsTheNewest(t *testing.T) {
	f := start(t, Options{MaxSize: 1000, Keep: 3})
	for i := range 100 {
		f.print(t, fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", 100)))
	}
	require.NoError(t, f.Close())
	require.Len(t, rotatedNames(f.dir), 3)
	lines := current(t, f.dir)
	require.Contains(t, lines[len(lines)-1], "line 99 ")
}

func TestRotationByAge(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := &file{dir: t.TempDir(), maxSize: 1 << 20, keep: 8, maxAge: 4 * time.Hour, packer: newPacker(func(string, error) {})}
	for range 12 {
		require.NoError(t, f.append([]byte("line\n"), now))
		now = now.Add(61 * time.Minute)
	}
	f.packer.done.Wait()
	require.Len(t, rotatedNames(f.dir), 4, "of the last four hours")
	f.close()
}

func TestSecretsAreRedacted(t *testing.T) {
	r := NewRedactor("s3cr3t-value/+")
	for in, want := range map[string]string{
		"connect postgres://sg:hunter2@127.0.0.1:5432/sg?x=1": "connect postgres://sg:[redacted]@127.0.0.1:5432/sg?x=1",
		"redis://:hunter2@h:1, postgres://u:p@ss@h":           "redis://:[redacted]@h:1, postgres://u:[redacted]@h",
		"a=redis://:one@h,b=redis://:two@h":                   "a=redis://:[redacted]@h,b=redis://:[redacted]@h",
		"clone https://0123456789abcdef0123@github.com/a":     "clone https://[redacted]@github.com/a",
		"GET http://127.0.0.1:3080/users/a@b":                 "GET http://127.0.0.1:3080/users/a@b",
		"PGPASSWORD=hunter2 host=x":                           "PGPASSWORD=[redacted] host=x",
		`{"password":"hunt\"er2","a":1}`:                      `{"password":"[redacted]","a":1}`,
		`msg="{\"Password\": \"hunter2\"}"`:                   `msg="{\"Password\": \"[redacted]\"}"`,
		"password authentication failed for user sg":          "password authentication failed for user sg",
		"Authorization: token 0123456789abcdef":               "Authorization: [redacted]",
		"with bearer eyJhbGciOiJIUzI1NiJ9.e30.x and more":     "with bearer [redacted] and more",
		"unexpected token: }":                                 "unexpected token: }",
		`{"access_token": "abcdefgh12345"}`:                   `{"access_token": "[redacted]"}`,
		"value s3cr3t-value/+ and s3cr3t-value%2F%2B":         "value [redacted] and [redacted]",
		"nothing to see":                                      "nothing to see",
	} {
		for pad := range 8 { // wherever it begins
			p := strings.Repeat(" ", pad)
			require.Equal(t, p+want, r.String(p+in))
		}
	}
}

func TestKnownSecretsMayChange(t *testing.T) {
	r := NewRedactor()
	f := start(t, Options{Redactor: r})
	f.print(t, "the value-of-old here\n")
	r.Set([]string{"value-of-old"})
	f.print(t, "the value-of-old here\nsecond value-of-old\n")
	require.Equal(t, []string{"3 the value-of-old here", "3 the [redacted] here", "3 second [redacted]"}, current(t, f.dir))
}

// FuzzRedact looks for panics, and for a known secret that comes through.
func FuzzRedact(f *testing.F) {
	f.Add([]byte("postgres://a:b@c password='x' token: \"abcdefgh\" authorization: x"))
	f.Add([]byte("@@@://:@ known-secret"))
	r := NewRedactor("known-secret")
	f.Fuzz(func(t *testing.T, data []byte) {
		out := appendRedacted(nil, data, r.find(data, nil), 0)
		require.False(t, bytes.Contains(out, []byte("known-secret")) && !bytes.Contains(out, []byte(redacted)))
	})
}

func TestLevels(t *testing.T) {
	for in, want := range map[string]string{
		"t=2026 lvl=eror msg=x":                      LevelError,
		"level=warning msg=x":                        LevelWarn,
		`{"SeverityText":"INFO","Body":"x"}`:         LevelInfo,
		"2026-01-02 03:04:05 UTC [7] ERROR:  syntax": LevelError,
		"2026-01-02 03:04:05 UTC [7] LOG:  ready":    LevelInfo,
		"7:M 02 Jan 2026 03:04:05.678 # WARNING":     LevelWarn,
		"7:M 02 Jan 2026 03:04:05.678 * Ready":       LevelInfo,
		"panic: runtime error":                       LevelError,
		"plain words":                                "",
	} {
		require.Equal(t, want, Level([]byte(in)), in)
	}
}

type slowWriter struct {
	gate chan struct{}
	bytes.Buffer
}

func (s *slowWriter) Write(b []byte) (int, error) { <-s.gate; return s.Buffer.Write(b) }

func TestSlowStandardOutputHoldsNobodyUp(t *testing.T) {
	w := &slowWriter{gate: make(chan struct{})}
	out := NewStdout(w, false)
	f := start(t, Options{Stdout: out})
	_, err := f.w.WriteString("first\x1b\n")
	require.NoError(t, err)
	require.NoError(t, f.Drain(t.Context()))
	for range 20 {
		f.print(t, strings.Repeat("line\n", 2000))
	}
	require.EqualValues(t, 40_001, f.Stats().Lines)
	dropped := out.Dropped()
	require.NotZero(t, dropped)
	close(w.gate)
	out.Close()
	out.done.Wait() // also on a slow machine
	got := w.String()
	require.True(t, strings.HasPrefix(got, "svc | first\\x1b\n"))
	require.Contains(t, got, fmt.Sprintf("appliance | %d lines not shown here", dropped))
	require.EqualValues(t, 40_001-dropped, strings.Count(got, "svc | "))
}

func TestReopenGivesTheNextRunItsEnd(t *testing.T) {
	f := start(t, Options{})
	require.NoError(t, f.w.Close())
	w, err := Reopen(f.r)
	require.NoError(t, err)
	defer w.Close()
	f.w = w
	f.print(t, "second run\n")
	require.Equal(t, []string{"3 second run"}, current(t, f.dir))
}
