package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// TestMain lets the test binary be a supervisor that is killed.
func TestMain(m *testing.M) {
	switch os.Getenv("TEST_ROLE") {
	case "":
		os.Exit(m.Run())
	case "writer":
		time.AfterFunc(time.Minute, func() { os.Exit(65) })
		s := New(os.Getenv("TEST_DIR"), Options{})
		s.Open()
		for i := range 10 {
			s.Append(event(i))
		}
		for written := uint64(0); written < 10; {
			s.mu.Lock()
			changed := s.changed
			written = s.written
			s.mu.Unlock()
			if written < 10 {
				<-changed
			}
		}
		fmt.Println("written")
		select {}
	case "idle":
		time.AfterFunc(time.Minute, func() { os.Exit(65) })
		idle()
	}
}

func event(i int) api.Event {
	return api.Event{At: api.Time{Time: time.Unix(int64(i), 0).UTC()}, Service: fmt.Sprintf("svc/%d", i%2), Kind: "state", Message: fmt.Sprintf("event %d", i)}
}

func opened(t *testing.T, dir string, o Options) *Store {
	s := New(dir, o)
	s.Open()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}

// young keeps events of 1970.
var young = Options{MaxAge: 100 * 365 * 24 * time.Hour}

func messages(t *testing.T, s *Store, q api.EventQuery) (out []string) {
	for e, err := range s.Events(t.Context(), q) {
		require.NoError(t, err)
		out = append(out, e.Message)
	}
	return out
}

func numbered(from, to, step int) (out []string) {
	for i := from; i < to; i += step {
		out = append(out, fmt.Sprintf("event %d", i))
	}
	return out
}

func TestEventsOutliveTheStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := New(dir, young)
	for i := range 5 {
		require.Zero(t, s.Append(event(i)), "an event before opening has no number yet")
	}
	require.Equal(t, numbered(0, 5, 1), messages(t, s, api.EventQuery{}), "memory answers meanwhile")
	s.Open()
	require.NoError(t, s.Flush(t.Context()))
	require.EqualValues(t, 6, s.Append(event(5)))
	require.NoError(t, s.Close(t.Context()))

	s = opened(t, dir, young)
	require.Equal(t, numbered(0, 6, 1), messages(t, s, api.EventQuery{}))
	require.EqualValues(t, 7, s.Append(event(6)))
	for name, tc := range map[string]struct {
		q    api.EventQuery
		want []string
	}{
		"all":      {api.EventQuery{}, numbered(0, 7, 1)},
		"newest":   {api.EventQuery{Limit: 2}, numbered(5, 7, 1)},
		"service":  {api.EventQuery{Services: []string{"svc"}}, numbered(0, 7, 1)},
		"instance": {api.EventQuery{Services: []string{"svc/1"}}, numbered(1, 7, 2)},
		"other":    {api.EventQuery{Services: []string{"sv"}}, nil},
		"time":     {api.EventQuery{Since: time.Unix(2, 0), Until: time.Unix(4, 0)}, numbered(2, 5, 1)},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, messages(t, s, tc.q)) })
	}
}

func TestCommandsAreFoundByWhatTheyAreFor(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "store"), young)
	s.Append(api.Event{At: api.Time{Time: time.Unix(1, 0)}, Kind: "command", Message: "stop both", Services: []string{"svc/0", "other"}})
	s.Append(api.Event{At: api.Time{Time: time.Unix(2, 0)}, Kind: "command", Message: "reload"})
	require.NoError(t, s.Flush(t.Context()))
	for service, want := range map[string][]string{"svc": {"stop both"}, "svc/0": {"stop both"}, "other/0": {"stop both"}, "svc/1": nil, "oth": nil} {
		require.Equal(t, want, messages(t, s, api.EventQuery{Services: []string{service}}), service)
	}
}

func TestE43ClockStepKeepsOrder(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "store"), young)
	for _, i := range []int{5, 6, 1, 2} {
		s.Append(event(i))
	}
	require.NoError(t, s.Flush(t.Context()))
	require.Equal(t, []string{"event 5", "event 6", "event 1", "event 2"}, messages(t, s, api.EventQuery{}))
	require.Equal(t, []string{"event 5", "event 6", "event 2"}, messages(t, s, api.EventQuery{Since: time.Unix(2, 0)}))
}

func TestWrittenEventsSurviveAKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_ROLE=writer", "TEST_DIR="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 8)
	_, err = out.Read(line)
	require.NoError(t, err)
	require.Equal(t, "written\n", string(line))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	s := opened(t, dir, young)
	require.Equal(t, numbered(0, 10, 1), messages(t, s, api.EventQuery{Until: time.Unix(1000, 0)}))
}

func TestFlushedEventsSurviveALossOfPower(t *testing.T) {
	for seed := range uint64(20) {
		mem := vfs.NewCrashableMem()
		o := young
		o.FS = mem
		s := opened(t, "store", o)
		for i := range 50 {
			s.Append(event(i))
		}
		require.NoError(t, s.Flush(t.Context()))
		for i := range 50 {
			s.Append(event(50 + i))
		}
		o.FS = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(seed, 1))})
		o.Report = func(err error) { t.Error(err) }
		got := messages(t, opened(t, "store", o), api.EventQuery{})
		require.GreaterOrEqual(t, len(got), 50)
		require.Equal(t, numbered(0, len(got), 1), got)
	}
}

func TestClosedStoreSurvivesALossOfPower(t *testing.T) {
	for seed := range uint64(20) {
		mem := vfs.NewCrashableMem()
		o := young
		o.FS = mem
		s := opened(t, "store", o)
		for i := range 50 {
			s.Append(event(i))
		}
		require.NoError(t, s.Close(t.Context()))
		o.FS = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(seed, 1))})
		o.Report = func(err error) { t.Error(err) }
		require.Equal(t, numbered(0, 50, 1), messages(t, opened(t, "store", o), api.EventQuery{}))
	}
}

func TestE46FullDiskDropsCountedAndResumes(t *testing.T) {
	full := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.ENOSPC
		}
		return nil
	})}
	o := young
	o.FS = errorfs.Wrap(vfs.NewMem(), &full)
	reports := make(chan error, 100)
	o.Report = func(err error) { reports <- err }
	s := opened(t, "store", o)
	s.Append(event(0))
	require.NoError(t, s.Flush(t.Context()))
	full.On()
	const n = 3000
	for i := 1; i <= n; i++ {
		s.Append(event(i)) // returns although nothing can be written
	}
	require.ErrorIs(t, <-reports, syscall.ENOSPC)
	full.Off()
	require.NoError(t, s.Flush(t.Context()))
	st := s.Stats()
	require.NoError(t, st.LastError)
	require.NotZero(t, st.Dropped)
	got := messages(t, s, api.EventQuery{})
	require.GreaterOrEqual(t, len(got), int(n+1-st.Dropped), "what was dropped and what is there is everything")
	require.Equal(t, "event 3000", got[len(got)-1])
	require.EqualValues(t, n+1, st.Appended)
	require.EqualValues(t, n+1, st.Written+st.Dropped)
}

func TestE67UnreadableStoreIsSetAside(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"corrupt": func(t *testing.T, dir string) {
			manifests, err := filepath.Glob(dir + "/MANIFEST-*")
			require.NoError(t, err)
			for _, m := range manifests {
				require.NoError(t, os.WriteFile(m, []byte(strings.Repeat("spoiled", 100)), 0o600))
			}
		},
		"newer": func(t *testing.T, dir string) {
			markers, err := filepath.Glob(dir + "/marker.format-version.*")
			require.NoError(t, err)
			require.NotEmpty(t, markers)
			for _, m := range markers {
				require.NoError(t, os.Rename(m, dir+"/marker.format-version.999999.999"))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			s := New(dir, young)
			s.Open()
			s.Append(event(1))
			require.NoError(t, s.Flush(t.Context()))
			require.NoError(t, s.Close(t.Context()))
			spoil(t, dir)

			o := young
			reports := make(chan error, 10)
			o.Report = func(err error) { reports <- err }
			s = opened(t, dir, o)
			s.Append(event(2))
			require.NoError(t, s.Flush(t.Context()))
			require.Equal(t, []string{"event 2"}, messages(t, s, api.EventQuery{}))
			require.ErrorContains(t, <-reports, "was not readable")
			aside, err := filepath.Glob(dir + ".unreadable-*")
			require.NoError(t, err)
			require.Len(t, aside, 1)
		})
	}
}

func TestStoreThatCannotOpenYetOpensLater(t *testing.T) {
	refuse := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error { return syscall.EMFILE })}
	refuse.On()
	o := young
	o.FS = errorfs.Wrap(vfs.NewMem(), &refuse)
	reports := make(chan error, 10)
	o.Report = func(err error) { reports <- err }
	s := opened(t, "store", o)
	s.Append(event(1))
	require.ErrorIs(t, <-reports, syscall.EMFILE)
	require.Equal(t, []string{"event 1"}, messages(t, s, api.EventQuery{}))
	refuse.Off()
	require.NoError(t, s.Flush(t.Context()))
	require.Equal(t, []string{"event 1"}, messages(t, s, api.EventQuery{}))
}

func TestOldEventsGo(t *testing.T) {
	o := young
	o.MaxEvents = 1000
	s := opened(t, filepath.Join(t.TempDir(), "store"), o)
	for i := range 3000 {
		s.Append(event(i))
		if i%500 == 0 {
			require.NoError(t, s.Flush(t.Context()))
		}
	}
	require.NoError(t, s.Flush(t.Context()))
	got := messages(t, s, api.EventQuery{})
	require.Less(t, len(got), 1000+2*pruneEvery)
	require.Equal(t, numbered(3000-len(got), 3000, 1), got)

	o.MaxAge = time.Hour
	o.Clock = func() time.Time { return time.Unix(2999+3600, 0) }
	require.NoError(t, s.Close(t.Context()))
	s = opened(t, s.dir, o)
	for i := range pruneEvery {
		s.Append(event(3000 + i))
	}
	require.NoError(t, s.Flush(t.Context()))
	require.Eventually(t, func() bool {
		got := messages(t, s, api.EventQuery{Limit: 1000})
		return got[0] == "event 2999"
	}, 30*time.Second, 10*time.Millisecond)
}

func TestE50SlowFollowerIsToldWhatItMissed(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "store"), young)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.Append(event(0))
	n, missed := 0, 0
	for e, err := range s.Events(ctx, api.EventQuery{Follow: true}) {
		require.NoError(t, err)
		if n++; n == 1 {
			for i := range 5000 { // more than memory holds, while this follower looks away
				s.Append(event(i + 1))
			}
		}
		if strings.Contains(e.Message, "missing here") {
			_, err := fmt.Sscanf(e.Message, "%d", &missed)
			require.NoError(t, err)
			n--
		}
		if e.Message == "event 5000" {
			cancel()
		}
	}
	require.NotZero(t, missed)
	require.Equal(t, 5001, n+missed)
}

func TestPebbleGivingUpDoesNotEndTheProcess(t *testing.T) {
	fail := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log") {
			return syscall.EIO
		}
		return nil
	})}
	o := young
	o.FS = errorfs.Wrap(vfs.NewMem(), &fail)
	reports := make(chan error, 10)
	o.Report = func(err error) { reports <- err }
	s := opened(t, "store", o)
	s.Append(event(0))
	require.NoError(t, s.Flush(t.Context()))
	fail.On()
	s.Append(event(1))
	require.ErrorContains(t, <-reports, "out of use")
	require.Equal(t, numbered(0, 2, 1), messages(t, s, api.EventQuery{}), "memory goes on answering")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.True(t, errors.Is(s.Close(ctx), context.Canceled))
}

func TestOptionsAreOfMachine(t *testing.T) {
	require.True(t, ofMachine(fmt.Errorf("x: %w", syscall.EROFS)))
	require.False(t, ofMachine(pebble.ErrCorruption))
}
