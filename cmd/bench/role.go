package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
)

// roleFlag makes this program one of the processes that the front door is measured with: -role origin|bare ADDRESS [BACKEND].
const roleFlag = "-role"

func role(args []string) int {
	l, err := net.Listen("tcp", args[1])
	if err == nil {
		switch args[0] {
		case "origin":
			err = http.Serve(l, origin())
		case "bare":
			p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: args[2]})
			p.Transport = &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
			err = http.Serve(l, p)
		}
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}

// origin answers /1KB and /1MB.
func origin() http.Handler {
	body := make([]byte, 1<<20)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 1 << 10
		if r.URL.Path == "/1MB" {
			n = 1 << 20
		}
		w.Header().Set("Content-Length", strconv.Itoa(n))
		_, _ = w.Write(body[:n]) // a client that is gone
	})
}
