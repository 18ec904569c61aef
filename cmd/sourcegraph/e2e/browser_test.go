package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image/png"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// browser is a headless Chromium, spoken to through a pair of pipes in its DevTools protocol.
type browser struct {
	t       *testing.T
	in      *os.File
	out     *bufio.Reader
	session string
	n       int
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("no chromium in PATH, and CI must see the page: apt-get install chromium")
	}
	if err != nil {
		t.Skip("no chromium in PATH")
	}
	theirIn, in, err := os.Pipe()
	require.NoError(t, err)
	out, theirOut, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "--window-size=1200,800", "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	require.NoError(t, cmd.Start())
	theirIn.Close()
	theirOut.Close()
	b := &browser{t: t, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		in.Close() // Chromium ends with its pipe
		done := make(chan struct{})
		go func() { cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			cmd.Process.Kill()
			<-done
		}
		out.Close()
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	return b
}

// call sends one command and waits for its answer; events on the way are dropped.
func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.n++
	text, err := json.Marshal(map[string]any{"id": b.n, "method": method, "params": params, "sessionId": b.session})
	require.NoError(b.t, err)
	_, err = b.in.Write(append(text, 0))
	require.NoError(b.t, err)
	for {
		answer, err := b.out.ReadBytes(0)
		require.NoError(b.t, err)
		var m struct {
			ID     int
			Error  *struct{ Message string }
			Result json.RawMessage
		}
		require.NoError(b.t, json.Unmarshal(answer[:len(answer)-1], &m))
		if m.ID != b.n {
			continue
		}
		require.Nil(b.t, m.Error, "%s: %v", method, m.Error)
		if result != nil {
			require.NoError(b.t, json.Unmarshal(m.Result, result))
		}
		return
	}
}

// eval gives the value of an expression as text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	var r struct{ Result struct{ Value any } }
	b.call("Runtime.evaluate", map[string]any{"expression": "String(" + expression + ")", "returnByValue": true}, &r)
	s, _ := r.Result.Value.(string)
	return s
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": url}, nil)
}

// until waits for an expression to have a value.
func (b *browser) until(expression, want string) {
	b.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	got := b.eval(expression)
	for deadline := time.Now().Add(enough); got != want && time.Now().Before(deadline); got = b.eval(expression) {
		<-tick.C
	}
	require.Equal(b.t, want, got, expression)
}

// press types keys; each is a character or a name such as Enter.
func (b *browser) press(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		p := map[string]any{"type": "keyDown", "key": k}
		switch k {
		case "Enter":
			p["text"], p["windowsVirtualKeyCode"] = "\r", 13
		case "Tab":
			p["windowsVirtualKeyCode"] = 9
		case "ArrowDown":
			p["windowsVirtualKeyCode"] = 40
		case "Escape":
			p["windowsVirtualKeyCode"] = 27
		default:
			p["text"] = k
		}
		b.call("Input.dispatchKeyEvent", p, nil)
		b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": k}, nil)
	}
}

func (b *browser) write(text string) { b.press(strings.Split(text, "")...) }

// screenshot keeps what is seen as NAME.png in E2E_ARTIFACTS, and checks that it is a picture.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	text, err := base64.StdEncoding.DecodeString(shot.Data)
	require.NoError(b.t, err)
	picture, err := png.Decode(bytes.NewReader(text))
	require.NoError(b.t, err)
	require.Greater(b.t, picture.Bounds().Dx(), 400)
	dir := os.Getenv("E2E_ARTIFACTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	file := filepath.Join(dir, name+".png")
	require.NoError(b.t, os.WriteFile(file, text, 0o644))
	b.t.Logf("screenshot: %s", file)
}

// TestPage opens the page before the product is ready and touches no mouse: the progress page becomes the product by itself, the administrator is
// made, a repository added, the first search typed, its results seen and walked to a line of code.
func TestPage(t *testing.T) {
	b := newBrowser(t)
	a := install(t)
	a.configure("frontend", "env: {DEMO_SLOW_START: 3s}")
	url := a.repository("one", "main.go", "package main\n\nfunc main() {\n\tprintln(\"needle 🙂 needle\")\n}\n", "z.txt", "needle\n")
	a.start()
	require.True(t, a.eventually(func() bool {
		resp, err := http.Get(a.url("/-/appliance/healthz"))
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}))
	b.open(a.url("/"))
	b.until("document.body.innerText.includes('frontend')", "true")
	require.NotEqual(t, "Welcome – demo", b.eval("document.title"), "the product is not ready yet")
	require.NotContains(t, b.eval("document.body.innerText"), "Sourcegraph is", "the demo is not presented as Sourcegraph")
	b.screenshot("progress")
	b.until("document.title", "Welcome – demo")

	b.until("document.activeElement.name", "email")
	b.write("root@example.com")
	b.press("Tab")
	b.write("root")
	b.press("Tab")
	b.write(password)
	b.press("Enter")
	b.until("document.title", "Repositories – demo")
	b.until("document.activeElement.name", "url")
	b.write(url)
	b.press("Enter")
	b.until("document.querySelector('.badge')?.textContent", "cloned")

	b.open(a.url("/search"))
	b.until("document.activeElement.id", "q")
	b.write("needle")
	b.press("Enter")
	b.until("document.querySelectorAll('mark').length", "3")
	b.until("document.querySelector('#status').textContent.startsWith('3 matches in 1 repository')", "true")
	b.screenshot("search")
	b.until("document.querySelector('.file b').textContent", "main.go")
	require.Equal(t, "needle", b.eval("document.querySelectorAll('mark')[1].textContent"), "offsets count characters")
	require.Equal(t, "/search?q=needle", b.eval("location.pathname + location.search"))

	b.press("j", "j")
	b.until("document.activeElement.hash", "#L1")
	b.press("k")
	b.until("document.activeElement.hash", "#L4")
	b.press("/")
	b.until("document.activeElement.id", "q")
	b.press("ArrowDown", "Enter")
	b.until("document.title", "main.go · "+strings.TrimPrefix(a.src(), "/")+"/one – demo")
	b.until("document.querySelector('.line:target')?.textContent.includes('needle')", "true")

	b.open(a.url("/search?q=patternType:regexp+%5B"))
	b.until("document.querySelector('#alert strong')?.textContent", "Invalid regular expression")
	b.open(a.url("/search?q=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E"))
	b.until("document.querySelector('#status').textContent.startsWith('0 matches')", "true")
	require.Equal(t, "null", b.eval("document.querySelector('main img')"))

	// The page outlives a restart of the frontend behind it, and a kill of the supervisor.
	st, services := a.status()
	a.kill(st.PID)
	a.kill(services["frontend"].PID)
	b.open(a.url("/search?q=needle+file:z"))
	b.until("document.querySelectorAll('mark').length", "1")
	a.ready()
	require.Equal(t, 0, a.stop(), a.out)
}
