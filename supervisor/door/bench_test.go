package door

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchRole makes the test binary one of the processes of BenchmarkFrontDoor.
func benchRole(role, backend string) {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		panic(err)
	}
	if role == "bare" {
		p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: backend})
		p.Transport = &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
		panic(http.Serve(l, p))
	}
	body := make([]byte, 1<<20)
	panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 1 << 10
		if r.URL.Path == "/1MB" {
			n = 1 << 20
		}
		w.Header().Set("Content-Length", strconv.Itoa(n))
		_, _ = w.Write(body[:n])
	})))
}

// peerProcess starts the test binary in a role, with a listener.
func peerProcess(b *testing.B, role, backend string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	require.NoError(b, err)
	defer f.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_ROLE="+role, "TEST_BACKEND="+backend)
	cmd.ExtraFiles = []*os.File{f}
	require.NoError(b, cmd.Start())
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return l.Addr().String()
}

// haproxy starts the distribution's; it answers "" where that is not installed.
func haproxy(b *testing.B, backend string) string {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		return ""
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	addr := l.Addr().String()
	l.Close()
	config := filepath.Join(b.TempDir(), "haproxy.cfg")
	require.NoError(b, os.WriteFile(config, []byte(fmt.Sprintf(`global
  nbthread 2
defaults
  mode http
  option splice-auto
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind %s
  default_backend b
backend b
  http-reuse always
  server s %s
`, addr, backend)), 0o600))
	cmd := exec.Command(program, "-q", "-f", config)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	require.Eventually(b, func() bool { c, err := net.Dial("tcp", addr); return err == nil && c.Close() == nil }, patience, time.Millisecond)
	return addr
}

// BenchmarkFrontDoor compares the door with its peers: wrk, 32 connections, each in turn, five rounds, medians. It needs wrk; -benchtime 1x is enough.
//
//	go test -run '^$' -bench FrontDoor -benchtime 1x ./supervisor/door
func BenchmarkFrontDoor(b *testing.B) {
	if _, err := exec.LookPath("wrk"); err != nil {
		b.Skip("wrk is not installed")
	}
	backend := peerProcess(b, "backend", "")
	cmd, control, addr := doorProcess(b, proxyTo(backend))
	type peerAt struct{ name, addr string }
	peers := []peerAt{{"direct", backend}, {"ReverseProxy", peerProcess(b, "bare", backend)}, {"door", addr}, {"haproxy", haproxy(b, backend)}}
	peers = slices.DeleteFunc(peers, func(p peerAt) bool { return p.addr == "" })
	fmt.Printf("front door idle: %.1f MiB anonymous\n| answer | peer | requests/s | MB/s | p99 ms |\n|---|---|---|---|---|\n", float64(anonymous(b, cmd.Process.Pid))/(1<<20))
	for b.Loop() {
		for _, path := range []string{"/1KB", "/1MB"} {
			runs := map[string][]wrkResult{}
			for range 5 {
				for _, p := range peers {
					runs[p.name] = append(runs[p.name], wrk(b, "http://"+p.addr+path))
				}
			}
			for _, p := range peers {
				m := median(runs[p.name])
				size := 1 << 10
				if path == "/1MB" {
					size = 1 << 20
				}
				fmt.Printf("| %s | %s | %.0f | %.0f | %.1f |\n", path[1:], p.name, m.rate, m.rate*float64(size)/1e6, m.p99)
			}
		}
	}
	require.Eventually(b, func() bool { s, err := control.Stats(b.Context()); return err == nil && s.Connections == 0 }, patience, time.Millisecond)
	_, err := control.Stats(b.Context()) // each message to a door without connections makes it give memory back
	require.NoError(b, err)
	fmt.Printf("front door after load: %.1f MiB anonymous\n", float64(anonymous(b, cmd.Process.Pid))/(1<<20))
}

type wrkResult struct{ rate, p99 float64 } // requests a second, milliseconds

func wrk(b *testing.B, url string) wrkResult {
	out, err := exec.Command("wrk", "-t1", "-c32", "-d3s", "--latency", url).CombinedOutput()
	require.NoError(b, err, "%s", out)
	require.NotContains(b, string(out), "Non-2xx")
	number := func(pattern string) (float64, string) {
		m := regexp.MustCompile(pattern).FindStringSubmatch(string(out))
		require.NotNil(b, m, "%s", out)
		n, err := strconv.ParseFloat(m[1], 64)
		require.NoError(b, err)
		return n, strings.Join(m[2:], "")
	}
	rate, _ := number(`Requests/sec:\s+([\d.]+)`)
	p99, unit := number(`99%\s+([\d.]+)(us|ms|s)`)
	return wrkResult{rate, p99 * map[string]float64{"us": .001, "ms": 1, "s": 1000}[unit]}
}

func median(rs []wrkResult) wrkResult {
	slices.SortFunc(rs, func(x, y wrkResult) int { return int(x.rate - y.rate) })
	return rs[len(rs)/2]
}
