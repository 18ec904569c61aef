package supervisor_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mortal is how long a process that a test forgot lives.
const mortal = 5 * time.Minute

// TestMain is also every service that the tests run: the test binary again, in a role.
func TestMain(m *testing.M) {
	if role := os.Getenv("TEST_ROLE"); role != "" {
		time.AfterFunc(mortal, func() { os.Exit(99) })
		os.Exit(play(role))
	}
	code := m.Run()
	removeBuilt()
	os.Exit(code)
}

// play is what a service does. Without an end of its own it ends at TERM, with 0.
func play(role string) int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	fmt.Println(role, "begins")
	switch role {
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		term = nil
	case "exit":
		return number("TEST_CODE")
	case "escape":
		descend("middle")
	case "middle":
		descend("deaf")
		return 0
	case "daemon":
		descend("deaf")
		return 0
	case "mother": // leaves a helper behind when it is told to end
		descend("deaf")
	case "lines":
		return writeLines(term)
	case "odd":
		os.Stdout.WriteString(strings.Repeat("x", 10<<20) + "\nafter the long one\n\x00\xff\xfe\x1b[31mred\r\n2026-01-01T00:00:00Z forged\nno end")
	case "bomb":
		bomb()
	case "http":
		return serveHealth(term)
	case "confess":
		awaitFile("TEST_FILE")
		fmt.Println("dirty database: schema is dirty")
		awaitFile("TEST_END")
		return 1
	case "latehttp":
		awaitFile("TEST_FILE")
		return serveHealth(term)
	case "helperhttp":
		descend("http")
	case "notify":
		awaitFile("TEST_FILE")
		tellReady()
	case "frozen":
		return writeFrozen()
	case "slowstop":
		<-term
		fmt.Println("ending")
		<-time.After(time.Duration(number("TEST_MS")) * time.Millisecond)
		return 0
	}
	<-term
	return 0
}

func number(name string) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return n
}

// awaitFile waits until a test makes the file that a variable names.
func awaitFile(variable string) {
	for {
		if _, err := os.Stat(os.Getenv(variable)); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// descend starts this binary in a session of its own and leaves it alone.
func descend(role string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_ROLE="+role, "TEST_HELPER=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
	}
}

// writeLines writes numbered lines for as long as it lives.
func writeLines(term chan os.Signal) int {
	every := time.Duration(number("TEST_US")) * time.Microsecond
	for n := 0; ; n++ {
		if _, err := fmt.Printf("line %d\n", n); err != nil {
			return 8
		}
		select {
		case <-term:
			return 0
		case <-time.After(every):
		}
	}
}

// bomb forks until the kernel refuses.
func bomb() {
	for n := 0; n < 2000; n++ {
		cmd := exec.Command("/bin/sleep", "120")
		if err := cmd.Start(); err != nil {
			fmt.Println("fork refused:", err)
			return
		}
	}
	fmt.Println("nothing refused")
}

func serveHealth(term chan os.Signal) int {
	l, err := net.Listen("tcp", os.Getenv("TEST_ADDR"))
	if err != nil {
		fmt.Println(err)
		return 5
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(os.Getenv("TEST_SICK")); err == nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
		io.WriteString(w, "ok")
	}))
	<-term
	return 0
}

func tellReady() {
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "READY=1")
}

// writeFrozen writes to a file for ever; on a frozen file system it hangs in the kernel.
func writeFrozen() int {
	f, err := os.OpenFile(os.Getenv("TEST_FILE"), os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		fmt.Println(err)
		return 4
	}
	for {
		if _, err := f.WriteAt([]byte("x"), 0); err != nil {
			return 3
		}
		f.Sync()
		time.Sleep(time.Millisecond)
	}
}
