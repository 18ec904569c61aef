package logs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// writeLog writes lines "seconds text" as a log's file.
func writeLog(t *testing.T, path string, lines ...string) {
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
	var b strings.Builder
	for _, l := range lines {
		var sec int
		_, err := fmt.Sscanf(l, "%d", &sec)
		require.NoError(t, err)
		_, text, _ := strings.Cut(l, " ")
		fmt.Fprintf(&b, "%s1 %s\n", time.Unix(int64(sec), 0).UTC().Format(stampLayout+" "), text)
	}
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o640))
}

func texts(t *testing.T, dir string, q api.LogQuery) (out []string) {
	for l, err := range Query(t.Context(), dir, q) {
		require.NoError(t, err)
		out = append(out, l.Service+": "+l.Text)
	}
	return out
}

func TestQueryMergesServicesByTimeOverRotatedAndPackedFiles(t *testing.T) {
	dir := t.TempDir()
	writeLog(t, dir+"/a/@1970-01-01T00-00-03.000Z.log", "1 one", "3 level=error three")
	writeLog(t, dir+"/a/current", "5 five", "7 DEBUG: seven")
	writeLog(t, dir+"/b@0/current", "2 two", "6 six")
	writeLog(t, dir+"/b@1/current", "4 four")
	p := newPacker(func(dir string, err error) { t.Error(dir, err) })
	p.add(dir + "/a")
	p.done.Wait()
	require.FileExists(t, dir+"/a/@1970-01-01T00-00-03.000Z.log.zst")
	require.NoFileExists(t, dir+"/a/@1970-01-01T00-00-03.000Z.log")

	all := []string{"a: one", "b/0: two", "a: level=error three", "b/1: four", "a: five", "b/0: six", "a: DEBUG: seven"}
	for name, tc := range map[string]struct {
		q    api.LogQuery
		want []string
	}{
		"all":      {api.LogQuery{}, all},
		"newest":   {api.LogQuery{Limit: 3}, all[4:]},
		"more":     {api.LogQuery{Limit: 6}, all[1:]},
		"service":  {api.LogQuery{Services: []string{"b"}}, []string{"b/0: two", "b/1: four", "b/0: six"}},
		"instance": {api.LogQuery{Services: []string{"b/1"}}, []string{"b/1: four"}},
		"time":     {api.LogQuery{Since: time.Unix(4, 0), Until: time.Unix(6, 0)}, all[3:6]},
		"level":    {api.LogQuery{Level: LevelInfo}, all[:6]},
		"error":    {api.LogQuery{Level: LevelError}, all[2:3]},
		"grep":     {api.LogQuery{Grep: "^f"}, []string{"b/1: four", "a: five"}},
		"both":     {api.LogQuery{Grep: "e", Limit: 2}, []string{"a: five", "a: DEBUG: seven"}},
		"nobody":   {api.LogQuery{Services: []string{"c"}}, nil},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, texts(t, dir, tc.q)) })
	}
}

func TestQueryRefusesNonsense(t *testing.T) {
	for name, q := range map[string]api.LogQuery{"grep": {Grep: "("}, "level": {Level: "loud"}} {
		t.Run(name, func(t *testing.T) {
			for _, err := range Query(t.Context(), t.TempDir(), q) {
				require.ErrorContains(t, err, name)
				return
			}
			t.Fatal("no error")
		})
	}
}

// follow reads on in the background.
func follow(t *testing.T, dir string, q api.LogQuery) <-chan api.LogLine {
	q.Follow = true
	ctx, cancel := context.WithCancel(t.Context())
	lines, done := make(chan api.LogLine), make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for l, err := range Query(ctx, dir, q) {
			if err != nil {
				return
			}
			select {
			case lines <- l:
			case <-ctx.Done():
			}
		}
	}()
	return lines
}

func receive(t *testing.T, lines <-chan api.LogLine) string {
	select {
	case l := <-lines:
		return l.Text
	case <-time.After(30 * time.Second):
		t.Fatal("no line in 30 s")
		return ""
	}
}

func TestE49FollowerGoesOnOverRotationAndRemoval(t *testing.T) {
	f := start(t, Options{MaxSize: 2000, Keep: 1000})
	lines := follow(t, filepath.Dir(f.dir), api.LogQuery{})
	f.print(t, "line 0 \n")
	require.Contains(t, receive(t, lines), "line 0 ")
	for i := 1; i < 100; i++ {
		f.print(t, fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", 200)))
	}
	for i := 1; i < 100; i++ {
		require.Contains(t, receive(t, lines), fmt.Sprintf("line %d ", i))
	}

	require.NoError(t, os.Remove(filepath.Join(f.dir, currentName)))
	require.Eventually(t, func() bool {
		f.print(t, "again\n")
		_, err := os.Stat(filepath.Join(f.dir, currentName))
		return err == nil
	}, 30*time.Second, 100*time.Millisecond)
	for receive(t, lines) != "again" {
	}
}

func TestE50SlowFollowerIsToldWhatItMissed(t *testing.T) {
	f := start(t, Options{MaxSize: 2000, Keep: 2})
	lines := follow(t, filepath.Dir(f.dir), api.LogQuery{})
	f.print(t, "first\n")
	require.Equal(t, "first", receive(t, lines))
	for i := range 200 {
		f.print(t, fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", 200)))
	}
	got, missing, last := 1, 0, ""
	for !strings.HasPrefix(last, "line 199 ") {
		last = receive(t, lines)
		if n, told := 0, strings.Contains(last, "missing here"); told {
			_, err := fmt.Sscanf(last, "%d lines are missing here", &n)
			require.NoError(t, err, last)
			missing += n
		} else {
			got++
		}
	}
	require.Positive(t, missing)
	require.Equal(t, 201, got+missing)
	require.EqualValues(t, 201, f.Stats().Lines) // and nobody waited for it
}

// TestFollowerOfTheLastLinesKnowsTheirNumber: one that began in the middle of a file, which an earlier supervisor wrote.
func TestFollowerOfTheLastLinesKnowsTheirNumber(t *testing.T) {
	dir := t.TempDir()
	before := start(t, Options{Dir: dir, MaxSize: 1 << 20})
	for i := range 3 {
		before.print(t, fmt.Sprintf("before %d %s\n", i, strings.Repeat("x", 60<<10)))
	}
	for i := range 10 {
		before.print(t, fmt.Sprintf("before %d %s\n", 3+i, strings.Repeat("x", 40<<10)))
	}
	require.NoError(t, before.k.Close())
	f := start(t, Options{Dir: dir, MaxSize: 1 << 20, Keep: -1})
	lines := follow(t, dir, api.LogQuery{Limit: 2})
	require.Contains(t, receive(t, lines), "before 11")
	require.Contains(t, receive(t, lines), "before 12")
	for i := range 100 {
		f.print(t, fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", 40<<10)))
	}
	got, missing, last := 0, 0, ""
	for !strings.HasPrefix(last, "line 99 ") {
		last = receive(t, lines)
		if n, _ := fmt.Sscanf(last, "%d lines are missing here", &missing); n == 0 {
			got++
		}
	}
	require.Positive(t, missing)
	require.Equal(t, 100, got+missing)
}
