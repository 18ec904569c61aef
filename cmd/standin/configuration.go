package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// configuration is what the frontend gives to everybody on its internal port.
type configuration struct {
	DSN        map[string]string // by prefix of the variables
	GitServers []string
	Indexers   []string // entries of INDEXED_SEARCH_SERVERS
}

const configurationPath = "/.internal/configuration"

// follow asks the frontend until it answers, tells, and goes on asking: a service whose database has another address ends (observed: within 13 s).
func (p *program) follow(first chan<- configuration, dsn bool) {
	url := "http://" + strings.TrimPrefix(os.Getenv("SRC_FRONTEND_INTERNAL"), "http://") + configurationPath
	var had *configuration
	for {
		if c, err := ask(url); err == nil {
			switch {
			case had == nil:
				first <- c
				had = &c
			case dsn && had.DSN[""] != c.DSN[""]:
				fmt.Fprintf(os.Stderr, "Detected settings change: the DSN is %s now, restarting to take effect\n", c.DSN[""])
				os.Exit(1)
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func ask(url string) (c configuration, err error) {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return c, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return c, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return c, json.NewDecoder(resp.Body).Decode(&c)
}
