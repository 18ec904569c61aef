package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
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
	path, err := exec.LookPath("chromium")
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
	got := ""
	require.Eventually(b.t, func() bool { got = b.eval(expression); return got == want }, 30*time.Second, 50*time.Millisecond, "%s is %q, want %q", expression, &got, want)
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

// TestPageByKeyboard walks from nothing to a line of code without a mouse.
func TestPageByKeyboard(t *testing.T) {
	b := newBrowser(t)
	s := newStack(t)
	s.up()
	src := t.TempDir()
	repository(t, src+"/one", "main.go", "package main\n\nfunc main() {\n\tprintln(\"needle 🙂 needle\")\n}\n", "z.txt", "needle\n")

	b.open(s.url("/"))
	b.until("document.title", "Welcome – demo")
	b.until("document.activeElement.name", "email")
	b.write("root@example.com")
	b.press("Tab")
	b.write("root")
	b.press("Tab")
	b.write("correct horse")
	b.press("Enter")
	b.until("document.title", "Repositories – demo")
	b.until("document.activeElement.name", "url")
	b.write("file://" + src + "/one")
	b.press("Enter")
	b.until("document.querySelector('.badge')?.textContent", "cloned")

	b.open(s.url("/search"))
	b.until("document.activeElement.id", "q")
	b.write("needle")
	b.press("Enter")
	b.until("document.querySelectorAll('mark').length", "3")
	b.until("document.querySelector('.file b').textContent", "main.go")
	require.Equal(t, "needle", b.eval("document.querySelectorAll('mark')[1].textContent"), "offsets count characters")
	require.Equal(t, "/search?q=needle", b.eval("location.pathname + location.search"))
	b.until("document.querySelector('#status').textContent.startsWith('3 matches in 1 repository')", "true")
	b.press("j", "j")
	b.until("document.activeElement.hash", "#L1")
	b.press("k")
	b.until("document.activeElement.hash", "#L4")
	b.press("/")
	b.until("document.activeElement.id", "q")
	b.press("ArrowDown", "Enter")
	b.until("document.title", "main.go · "+strings.TrimPrefix(src, "/")+"/one – demo")
	b.until("document.querySelector('.line:target')?.textContent.includes('needle')", "true")

	b.open(s.url("/search?q=patternType:regexp+%5B"))
	b.until("document.querySelector('#alert strong')?.textContent", "Invalid regular expression")
	b.open(s.url("/search?q=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E"))
	b.until("document.querySelector('#status').textContent.startsWith('0 matches')", "true")
	require.Equal(t, "null", b.eval("document.querySelector('main img')"))
}
