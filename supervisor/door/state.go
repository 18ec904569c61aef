package door

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Mode is what the door does with requests that are not its own.
type Mode string

// The modes of process-model.md section 3.
const (
	Progress    Mode = "progress"    // the product starts: a page that shows how far it is
	Proxy       Mode = "proxy"       // requests go to the backend
	Hold        Mode = "hold"        // requests wait for proxy mode
	Maintenance Mode = "maintenance" // the product is away: a page that says why
)

var modes = [...]Mode{Progress, Proxy, Hold, Maintenance}

// State is all that the door knows of the appliance. Stage 1 pushes a whole one at each change; the latest wins.
// What is in Services, Product, Version, Release and Remaining is public: anyone who reaches a listener can read it.
type State struct {
	Mode           Mode          `json:"mode"`
	Product        string        `json:"product"` // name on the pages: "Sourcegraph", "Demo search"; empty: "The appliance"
	Backend        string        `json:"backend"` // host:port of the frontend, the only place requests are sent to
	Services       []Service     `json:"services"`
	Ready          bool          `json:"ready"` // a search can be answered: /-/appliance/readyz
	Version        string        `json:"version"`
	Release        string        `json:"release"`
	Since          time.Time     `json:"since"`
	Remaining      time.Duration `json:"remaining"`    // estimate until the mode ends; 0: not known
	Message        string        `json:"message"`      // one sentence for the pages, such as what an upgrade is doing; may be empty
	ExternalURL    string        `json:"external_url"` // the product's one address, scheme://host[:port]; may be empty
	Redirect       bool          `json:"redirect"`     // GET and HEAD at any other scheme or host are sent to ExternalURL
	TrustedProxies []string      `json:"trusted_proxies"`
	SetupToken     string        `json:"setup_token"` // not empty: the first administrator can be made only with it
	TLS            TLS           `json:"tls"`
	ACME           ACME          `json:"acme"` // with a host, TLS is not used
	Mark           string        `json:"mark"` // shown by healthz in MarkHeader: tells this door from any other
	Limits         Limits        `json:"limits"`
	BeatTimeout    time.Duration `json:"beat_timeout"` // healthz is 503 when nothing came from stage 1 for so long; 0: 30 s
}

// MarkHeader is where healthz shows State.Mark.
const MarkHeader = "X-Appliance-Mark"

// Service is what the pages say about one service.
type Service struct {
	Name       string   `json:"name"`
	State      string   `json:"state"`
	Reason     string   `json:"reason,omitempty"`
	WaitingFor []string `json:"waiting_for,omitempty"`
	Loss       string   `json:"loss,omitempty"` // what users lose while it is down
}

// Limits bound what clients can make the door use; zero values mean the defaults given.
type Limits struct {
	HoldFor       time.Duration `json:"hold_for"`       // longest wait of a held request, and of all of them once the frontend is gone; 30 s
	HoldRequests  int           `json:"hold_requests"`  // held at once; 512
	HoldBytes     int64         `json:"hold_bytes"`     // memory of held requests; 32 MiB
	MaxBody       int64         `json:"max_body"`       // bytes of a request's body; 0: no limit
	MaxHead       int           `json:"max_head"`       // bytes of a request's head; 64 KiB
	Connections   int           `json:"connections"`    // open at once; 4096, or a quarter of the descriptors if that is less
	HeadTimeout   time.Duration `json:"head_timeout"`   // for a request's head to arrive; 10 s
	IdleTimeout   time.Duration `json:"idle_timeout"`   // between two requests of a connection, and without progress of a body; 2 min
	AnswerTimeout time.Duration `json:"answer_timeout"` // for the head of the frontend's answer; 10 min
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.HoldFor, 30*time.Second)
	orDefault(&l.HoldRequests, 512)
	orDefault(&l.HoldBytes, 32<<20)
	orDefault(&l.MaxHead, 64<<10)
	orDefault(&l.Connections, connectionsAllowed())
	orDefault(&l.HeadTimeout, 10*time.Second)
	orDefault(&l.IdleTimeout, 2*time.Minute)
	orDefault(&l.AnswerTimeout, 10*time.Minute)
	return l
}

func orDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Validate names every fault of a State that the door would refuse.
func (s State) Validate() error {
	var faults []error
	switch s.Mode {
	case Progress, Hold, Maintenance:
	case Proxy:
		if s.Backend == "" {
			faults = append(faults, errors.New("door state: mode proxy needs a backend"))
		}
	default:
		faults = append(faults, fmt.Errorf("door state: mode %q is none of %v", s.Mode, modes))
	}
	if s.Backend != "" {
		if _, _, err := net.SplitHostPort(s.Backend); err != nil {
			faults = append(faults, fmt.Errorf("door state: backend %q is not host:port: %w", s.Backend, err))
		}
	}
	if _, err := parsePrefixes(s.TrustedProxies); err != nil {
		faults = append(faults, err)
	}
	if u, err := url.Parse(s.ExternalURL); err != nil || s.Redirect && (u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "") {
		faults = append(faults, fmt.Errorf("door state: external URL %q cannot be redirected to (want https://host)", s.ExternalURL))
	}
	l := s.Limits
	if l.HoldFor < 0 || l.HoldRequests < 0 || l.HoldBytes < 0 || l.MaxBody < 0 || l.MaxHead < 0 || l.Connections < 0 || l.HeadTimeout < 0 || l.IdleTimeout < 0 || l.AnswerTimeout < 0 {
		faults = append(faults, fmt.Errorf("door state: a limit is negative: %+v", l))
	}
	return errors.Join(faults...)
}

// parsePrefixes reads CIDRs; a bare address means that address alone.
func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	var faults []error
	for _, t := range texts {
		p, err := netip.ParsePrefix(t)
		if err != nil && !strings.Contains(t, "/") {
			var a netip.Addr
			if a, err = netip.ParseAddr(t); err == nil {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("door state: trusted proxy %q is neither an address nor a CIDR: %w", t, err))
			continue
		}
		out = append(out, p.Masked())
	}
	return out, errors.Join(faults...)
}
