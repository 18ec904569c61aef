package stage0

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func samples() []Message {
	return []Message{
		{Type: Hello, Run: 3, PID: 1, Gives: 4, Exits: 2, Stop: true, Deadline: 1 << 40, Text: "first start"},
		{Type: Know, Name: "gitserver/0", Run: 1 << 60, PID: 4194304, StartTime: 12345678901, Cgroup: "/sys/fs/cgroup/a\x00/sys/fs/cgroup/b"},
		{Type: Exit, Name: "postgres", Run: 9, Status: 0x8b},
		{Type: Refuse, Code: -1, Text: strings.Repeat("é", 2000)},
		{Type: Beat},
	}
}

func TestMessagesSurviveTheWire(t *testing.T) {
	for _, m := range samples() {
		b, err := encode(m)
		require.NoError(t, err)
		require.LessOrEqual(t, len(b), maxPacket)
		got, err := decode(b)
		require.NoError(t, err)
		m.Version = Version
		require.Equal(t, m, got)
	}
}

func TestALaterVersionIsUnderstood(t *testing.T) {
	b, err := encode(Message{Type: Drop, Name: "x"})
	require.NoError(t, err)
	longer := append(append(append([]byte{}, b[:headerLen]...), "new field"...), b[headerLen:]...)
	longer[0], longer[2] = Version+1, headerLen+9
	got, err := decode(longer)
	require.NoError(t, err)
	require.Equal(t, Message{Type: Drop, Name: "x", Version: Version + 1}, got)
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	_, err := encode(Message{Type: Drop, Name: strings.Repeat("x", maxName+1)})
	require.ErrorContains(t, err, "at most 255")
	b, err := encode(Message{Type: Status, Text: strings.Repeat("x", 2*maxText)})
	require.NoError(t, err)
	require.Len(t, b, headerLen+maxText)
}

// FuzzDecode holds that any bytes are refused or read, and that what is read is written the same.
func FuzzDecode(f *testing.F) {
	for _, m := range samples() {
		b, err := encode(m)
		require.NoError(f, err)
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Add([]byte{})
	f.Add([]byte(strings.Repeat("\xff", headerLen)))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		again, err := encode(m)
		require.NoError(t, err)
		got, err := decode(again)
		require.NoError(t, err)
		m.Version = Version
		require.Equal(t, m, got)
	})
}

// FuzzRights holds that no control data makes us panic.
func FuzzRights(f *testing.F) {
	f.Add([]byte{16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, oob []byte) {
		if files, err := rights(oob); err != nil {
			require.LessOrEqual(t, len(files), len(oob)/4)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add("42 (a) b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987 0")
	f.Add("1 (")
	f.Fuzz(func(t *testing.T, line string) {
		st, err := parseStat(line)
		if err != nil {
			require.ErrorIs(t, err, errStat)
			return
		}
		require.Contains(t, line, st.comm)
	})
}

func TestImportsOnlyTheStandardLibraryAndSys(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	for _, path := range strings.Fields(string(out)) {
		if !strings.HasSuffix(path, "/supervisor/stage0") {
			require.True(t, strings.HasPrefix(path, "golang.org/x/sys/"), path)
		}
	}
}
