package services

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

// Scope is what the templates of a definition may refer to.
//
//	{{ .Address.http }}                    127.0.0.1:3178, of the instance's own port
//	{{ .Port.http }}                       3178
//	{{ .Data.repos }}                      absolute path of the instance's data directory of that name
//	{{ .Home }} {{ .Run }}                 HOME, and the private directory below the run directory
//	{{ .Secret.postgres }}                 a secret by reference; refused in a command line
//	{{ .Peer "gitserver" "http" }}         addresses of all instances of a service, separated by spaces
//	{{ .PeerPort "postgres" "postgres" }}  the port number of the first instance
//	{{ .PeerURL "searcher" "http" }}       the same, each with http:// before it
//	{{ .PeerOr "zoekt-webserver" "http" "127.0.0.1:6070" }}   the catalog's address while no such service is defined
//	{{ .Running "jaeger" "http" "http://" }}   the same with that before it, and nothing while the service is off
//	{{ range .Scrapes }}                   what Prometheus scrapes
//	{{ .AlertRules }}                      the rules of [Alerts]
//	{{ .PeerHere "zoekt-webserver" "http" }}   the address of the instance of the same number
//	{{ .DebugServices }}                   JSON of all debug ports, as SRC_PROF_SERVICES takes it
//	{{ .SocketDir "/x.sock" }}             {{ .Run }} when a socket of that name fits in it
//	{{ .Bin "initdb" }}                    a program beside the service's own
//	{{ .Service }} {{ .Number }} {{ .Replicas }} {{ .Product }} {{ .Version }} {{ .Generation }}
//	{{ .New }}                             in Prepare: the directory that becomes Creates
type Scope struct {
	Service            string
	Number, Replicas   int
	Product, Version   string
	Generation         int
	Address, Port      map[string]string
	Data               map[string]string
	Home, Run, New     string
	Secret             map[string]string
	bin                string                              // where the programs lie that come with the service's own
	peers              func(service, port string) []string // nil slice: no such service
	running            func(service string) bool
	scrapes            func() []Scrape
	servicePortUnknown func(service, port string) error
	debugServices      func() string
}

// Scrapes lists what runs and has metrics.
func (s Scope) Scrapes() []Scrape { return s.scrapes() }

// AlertRules is the rule file about what the appliance knows.
func (s Scope) AlertRules() string { return AlertRules() }

// Running returns the addresses of a service that is on, each with prefix before it, or nothing.
func (s Scope) Running(service, port, prefix string) string {
	if !s.running(service) {
		return ""
	}
	list := s.peers(service, port)
	for i := range list {
		list[i] = prefix + list[i]
	}
	return strings.Join(list, " ")
}

// Peer returns the addresses of all instances of a service.
func (s Scope) Peer(service, port string) (string, error) {
	list, err := s.peerList(service, port)
	return strings.Join(list, " "), err
}

// PeerPort returns the port number of a service that runs once.
func (s Scope) PeerPort(service, port string) (string, error) {
	list, err := s.peerList(service, port)
	if err != nil {
		return "", err
	}
	_, number, err := net.SplitHostPort(list[0])
	return number, err
}

// PeerURL returns the addresses of all instances of a service as http URLs.
func (s Scope) PeerURL(service, port string) (string, error) {
	list, err := s.peerList(service, port)
	for i := range list {
		list[i] = "http://" + list[i]
	}
	return strings.Join(list, " "), err
}

// PeerOr returns the addresses of all instances of a service, or otherwise when the plan has no such service.
func (s Scope) PeerOr(service, port, otherwise string) string {
	if list := s.peers(service, port); len(list) > 0 {
		return strings.Join(list, " ")
	}
	return otherwise
}

// PeerHere returns the address of the instance of another service that has the same number.
func (s Scope) PeerHere(service, port string) (string, error) {
	list, err := s.peerList(service, port)
	if err != nil {
		return "", err
	}
	if s.Number >= len(list) {
		return "", fmt.Errorf("there is no %s/%d", service, s.Number)
	}
	return list[s.Number], nil
}

// DebugServices lists the debug ports of what runs, for the page of the site's administrators that leads to them.
// src: sourcegraph: cmd/server/shared/globals.go @3.38
func (s Scope) DebugServices() string { return s.debugServices() }

// Bin returns the path of a program beside the service's own.
func (s Scope) Bin(name string) string { return filepath.Join(s.bin, name) }

// SocketDir returns the private directory when a unix socket of that file name fits in it (107 bytes), and nothing when not: then there is none.
func (s Scope) SocketDir(name string) string {
	if len(s.Run)+len(name) > 107 {
		return ""
	}
	return s.Run
}

func (s Scope) peerList(service, port string) ([]string, error) {
	list := s.peers(service, port)
	if len(list) == 0 {
		return nil, s.servicePortUnknown(service, port)
	}
	return list, nil
}

// render executes one template; what names the field for the error.
func (s Scope) render(what, text string) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	if out, ok := s.expand(text); ok {
		return out, nil
	}
	return s.execute(what, text)
}

func (s Scope) execute(what, text string) (string, error) {
	t, err := template.New(what).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("%s: %s: %q: %s", s.Service, what, text, templateFault(err))
	}
	var out strings.Builder
	if err := t.Execute(&out, s); err != nil {
		return "", fmt.Errorf("%s: %s: %q: %s", s.Service, what, text, templateFault(err))
	}
	return out.String(), nil
}

func (s Scope) renderAll(what string, texts []string) ([]string, error) {
	var out []string
	for _, text := range texts {
		rendered, err := s.render(what, text)
		if err != nil {
			return nil, err
		}
		out = append(out, rendered)
	}
	return out, nil
}

// templateFault drops the position and the chain of calls of text/template, which mean nothing in a short string.
func templateFault(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "error calling "); i >= 0 {
		return text[i+len("error calling "):]
	}
	if i := strings.LastIndex(text, "map has no entry for key "); i >= 0 {
		return "nothing is called " + text[i+len("map has no entry for key "):]
	}
	return regexp.MustCompile(`^template: .*?:\d+(:\d+)?: `).ReplaceAllString(text, "")
}
