package fault

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain makes the test binary a service with faults, and its helpers.
func TestMain(m *testing.M) {
	if code, is := Helper(os.Args); is {
		os.Exit(code)
	}
	if os.Getenv("TEST_ROLE") == "service" {
		f, err := FromEnv("service")
		if err != nil || f.Start(context.Background()) != nil {
			os.Exit(3)
		}
		fmt.Println("started")
		io.Copy(io.Discard, os.Stdin) // until the test lets go
		return
	}
	os.Exit(m.Run())
}

func parsed(t *testing.T, kv ...string) *Fault {
	f, err := parse("svc", lookup(kv))
	require.NoError(t, err)
	return f
}

func lookup(kv []string) func(string) string {
	return func(name string) string {
		for _, pair := range kv {
			if k, v, _ := strings.Cut(pair, "="); k == name {
				return v
			}
		}
		return ""
	}
}

func TestBadValuesAreAllNamed(t *testing.T) {
	_, err := parse("svc", lookup([]string{"DEMO_SLOW_START=soon", "DEMO_LEAK_MB_PER_S=NaN", "DEMO_CRASH_AFTER=-1s", "DEMO_HANG_AFTER=5", "DEMO_WRONG=perhaps", "DEMO_FORK_ESCAPE=1000", "DEMO_LOG_LINES_PER_S=0"}))
	for _, want := range []string{`DEMO_SLOW_START="soon"`, `DEMO_LEAK_MB_PER_S="NaN"`, `DEMO_CRASH_AFTER="-1s"`, `DEMO_HANG_AFTER="5"`, `DEMO_WRONG="perhaps"`, `DEMO_FORK_ESCAPE="1000"`, `DEMO_LOG_LINES_PER_S="0"`} {
		require.ErrorContains(t, err, want)
	}
}

func TestNothingIsWrongUnasked(t *testing.T) {
	f := parsed(t)
	require.NoError(t, f.Start(t.Context()))
	require.NoError(t, f.BeforeListen(t.Context()))
	require.False(t, f.Wrong())
	w := httptest.NewRecorder()
	f.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("truth")) })).ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	require.Equal(t, "truth", w.Body.String())
}

func TestSlowStartEndsWithItsContext(t *testing.T) {
	require.NoError(t, parsed(t, "DEMO_SLOW_START=1ms").BeforeListen(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, parsed(t, "DEMO_SLOW_START=1h").BeforeListen(ctx), context.Canceled)
}

func TestWrongIsHealthy(t *testing.T) {
	h := parsed(t, "DEMO_WRONG=1").Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("truth")) }))
	for path, want := range map[string]string{"/healthz": "truth", "/ping": "truth", "/search": ""} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		require.Equal(t, 200, w.Code)
		require.Equal(t, want, w.Body.String(), path)
	}
}

func TestHangAnswersNothingAnyMore(t *testing.T) {
	f := parsed(t, "DEMO_HANG_AFTER=1ns")
	require.NoError(t, f.Start(t.Context()))
	<-f.hung
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		f.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("truth")) })).ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil).WithContext(ctx))
		done <- w
	}()
	cancel()
	require.Empty(t, (<-done).Body.String())
}

func TestLeakGrows(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, parsed(t, "DEMO_LEAK_MB_PER_S=100").Start(ctx))
	require.Eventually(t, func() bool {
		runtime.GC()
		runtime.ReadMemStats(&after)
		return after.HeapAlloc > before.HeapAlloc+15<<20
	}, 30*time.Second, 50*time.Millisecond)
}

func TestFloodWritesNumberedLinesOf120Bytes(t *testing.T) {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { parsed(t, "DEMO_LOG_LINES_PER_S=5000").flood(ctx, w); close(ended) }()
	lines := bufio.NewScanner(r)
	for n := range 200 {
		require.True(t, lines.Scan())
		require.Len(t, lines.Text(), 119)
		require.Contains(t, lines.Text(), fmt.Sprintf("service=svc n=%d ", n))
	}
	cancel()
	go io.Copy(io.Discard, r)
	<-ended
}

// service starts the test binary as a service; it ends when its stdin does.
func service(t *testing.T, env ...string) (*exec.Cmd, io.Closer, *bytes.Buffer) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), append(env, "TEST_ROLE=service")...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.WaitDelay = time.Second // what escapes holds stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started\n", line)
	return cmd, in, &errs
}

func TestCrashIsAPanic(t *testing.T) {
	cmd, _, errs := service(t, "DEMO_CRASH_AFTER=10ms")
	require.Error(t, cmd.Wait())
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Contains(t, errs.String(), "DEMO_CRASH_AFTER=10ms in service")
}

// TestE1ServiceHelpersEscape shows that the escape is a real one: own session, other parent, deaf to TERM.
func TestE1ServiceHelpersEscape(t *testing.T) {
	mark := fmt.Sprintf("TEST_MARK=%d-%d", os.Getpid(), time.Now().UnixNano())
	cmd, in, _ := service(t, "DEMO_FORK_ESCAPE=3", mark)
	t.Cleanup(func() {
		for _, pid := range marked(t, mark) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	helpers := marked(t, mark)
	require.Len(t, helpers, 3)
	for _, pid := range helpers {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		require.NoError(t, err)
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		require.NotEqual(t, strconv.Itoa(cmd.Process.Pid), fields[1], "its parent")
		require.Equal(t, strconv.Itoa(pid), fields[3], "its session")
		require.Eventually(t, func() bool { return ignoresTERM(t, pid) }, 30*time.Second, 10*time.Millisecond)
		require.NoError(t, syscall.Kill(pid, syscall.SIGTERM))
	}
	require.NoError(t, in.Close())
	cmd.Wait() // WaitDelay's error only says that somebody still holds stderr
	require.Len(t, marked(t, mark), 3, "they outlive TERM and their service")
}

func ignoresTERM(t *testing.T, pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(status), "SigIgn:\t")
	mask, err := strconv.ParseUint(rest[:16], 16, 64)
	require.NoError(t, err)
	return mask&(1<<(syscall.SIGTERM-1)) != 0
}

// marked finds helpers by their environment.
func marked(t *testing.T, mark string) []int {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	var pids []int
	for _, dir := range dirs {
		env, _ := os.ReadFile(dir + "/environ")
		args, _ := os.ReadFile(dir + "/cmdline") // errors: it is gone, or not ours
		if strings.Contains(string(env), mark) && strings.HasPrefix(string(args), roleEscape) {
			pid, err := strconv.Atoi(filepath.Base(dir))
			require.NoError(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}
