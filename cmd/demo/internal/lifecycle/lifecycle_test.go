package lifecycle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestSignals(t *testing.T) {
	waits := func(ctx context.Context, _ *slog.Logger) error { <-ctx.Done(); return ctx.Err() }
	deaf := func(context.Context, *slog.Logger) error { select {} }
	for name, tc := range map[string]struct {
		run     func(context.Context, *slog.Logger) error
		signals int
		job     int
		want    int
	}{
		"stopped":                 {run: waits, signals: 1, want: 0},
		"a job that did not end":  {run: waits, signals: 1, job: 1, want: 1},
		"second signal":           {run: deaf, signals: 2, want: 0},
		"second signal for a job": {run: deaf, signals: 2, job: 1, want: 1},
		"done":                    {run: func(context.Context, *slog.Logger) error { return nil }, job: 1, want: 0},
		"broken":                  {run: func(context.Context, *slog.Logger) error { return io.EOF }, want: 1},
		"used wrongly":            {run: func(context.Context, *slog.Logger) error { return Usage{io.EOF} }, want: 2},
		"cancelled by nobody":     {run: func(context.Context, *slog.Logger) error { return context.Canceled }, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			signals := make(chan os.Signal, 2)
			for range tc.signals {
				signals <- syscall.SIGTERM
			}
			require.Equal(t, tc.want, supervise(quiet(), signals, tc.job, tc.run))
		})
	}
}

func TestServeLetsRequestsFinish(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	begun, finish := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		w.Write([]byte("whole"))
	})
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, time.Hour, Listener{ln, h}) }()
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + ln.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body) // a short body fails the comparison
		answer <- string(b)
	}()
	<-begun
	cancel()
	require.Eventually(t, func() bool { // the door is closed for others
		c, err := net.Dial("tcp", ln.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	}, 30*time.Second, 5*time.Millisecond)
	close(finish)
	require.Equal(t, "whole", <-answer)
	require.NoError(t, <-served)
}

func TestServeCutsWhatOutlastsTheGrace(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	got := make(chan error, 1)
	go func() { _, err := http.Get("http://" + ln.Addr().String()); got <- err }()
	require.NoError(t, Serve(ctx, time.Millisecond, Listener{ln, h}))
	require.Error(t, <-got)
}

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	env := map[string]string{"SRC_LOG_FORMAT": "json", "SRC_LOG_LEVEL": "info"}
	log, err := NewLogger("svc", &b, func(k string) string { return env[k] })
	require.NoError(t, err)
	log.Debug("hidden")
	log.Info("hello", "k", "v")
	var line map[string]any
	require.NoError(t, json.Unmarshal(b.Bytes(), &line))
	require.Equal(t, "hello", line["Body"])
	require.Equal(t, "INFO", line["SeverityText"])
	require.Equal(t, "svc", line["InstrumentationScope"])
	require.Equal(t, map[string]any{"k": "v"}, line["Attributes"])

	b.Reset()
	log, err = NewLogger("svc", &b, func(string) string { return "" })
	require.NoError(t, err)
	log.Info("hidden")
	log.Warn("hello", "k", "two words")
	require.Contains(t, b.String(), `level=warn msg=hello service=svc k="two words"`)
	require.NotContains(t, b.String(), "hidden")

	for _, bad := range []string{"SRC_LOG_LEVEL", "SRC_LOG_FORMAT"} {
		_, err = NewLogger("svc", &b, func(k string) string { return map[string]string{bad: "loud"}[k] })
		require.ErrorContains(t, err, bad)
	}
}

func TestGraceRefusesNonsense(t *testing.T) {
	t.Setenv("SRC_GRACEFUL_SHUTDOWN_TIMEOUT", "-1s")
	_, err := Grace()
	require.True(t, errors.As(err, new(Usage)))
	require.ErrorContains(t, err, `"-1s"`)
}
