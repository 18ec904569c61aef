package door

import (
	"crypto/tls"
	"fmt"
	"log"
	"os"
	"sync"
	"time"
)

// certs keeps the certificate in use, and looks at most once a second whether the files on disk are others.
// It looks at each handshake and at each message of stage 1, so that it needs no timer.
type certs struct {
	log *log.Logger

	mu     sync.Mutex
	files  TLS
	stamp  [2]fileStamp
	looked time.Time
	pair   *tls.Certificate
	fault  string // why what is on disk is not in use
}

// fileStamp tells one version of a file from another.
type fileStamp struct {
	at   time.Time
	size int64
	name string
}

func stampOf(name string) fileStamp {
	i, err := os.Stat(name)
	if err != nil {
		return fileStamp{name: name}
	}
	return fileStamp{i.ModTime(), i.Size(), name}
}

// use names the files. A pair that cannot be used leaves the old one in use.
func (c *certs) use(files TLS) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if files != c.files {
		c.files, c.looked = files, time.Time{}
	}
	c.lookLocked()
}

func (c *certs) lookLocked() {
	if c.files == (TLS{}) || time.Since(c.looked) < time.Second {
		return
	}
	c.looked = time.Now()
	stamp := [2]fileStamp{stampOf(c.files.CertFile), stampOf(c.files.KeyFile)}
	if stamp == c.stamp {
		return
	}
	c.stamp = stamp
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		kept := "no certificate is in use"
		if c.pair != nil {
			kept = "the previous one stays in use"
		}
		c.fault = fmt.Sprintf("load certificate %s with key %s: %v; %s", c.files.CertFile, c.files.KeyFile, err, kept)
		c.log.Print(c.fault)
		return
	}
	c.pair, c.fault = &pair, ""
	c.log.Printf("certificate %s is in use, valid until %s", c.files.CertFile, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
}

// config serves HTTP/2 and HTTP/1.1 with whatever pair is in use at the handshake.
func (c *certs) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current() },
	}
}

func (c *certs) current() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookLocked()
	if c.pair == nil {
		return nil, fmt.Errorf("serve TLS: no usable certificate: %s", c.fault)
	}
	return c.pair, nil
}

func (c *certs) problem() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}
