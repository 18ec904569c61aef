package door

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"
)

// TLS is the certificate chain with its key, PEM. Stage 1 reads the files: the door's user may not.
type TLS struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// Certificate is what is known of the certificate in use.
type Certificate struct {
	Names     []string  `json:"names"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
}

// certs keeps the certificate in use: the one that stage 1 gave, or the one that the door gets by itself.
type certs struct {
	log *log.Logger

	mu       sync.Mutex
	given    TLS
	pair     *tls.Certificate
	fault    string    // why what was given is not in use
	issuance *issuance // nil without ACME
}

// use takes what stage 1 gives. A pair that cannot be used leaves the old one in use.
func (c *certs) use(given TLS) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if given == c.given {
		return
	}
	c.given = given
	if given == (TLS{}) {
		c.pair, c.fault = nil, ""
		return
	}
	pair, err := tls.X509KeyPair([]byte(given.Cert), []byte(given.Key))
	if err != nil {
		c.fault = fmt.Sprintf("use the given certificate: %v", err)
		c.log.Print(c.fault)
		return
	}
	c.pair, c.fault = &pair, ""
	c.log.Printf("a certificate for %q is in use, valid until %s", namesOf(pair.Leaf), pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
}

// config serves HTTP/2 and HTTP/1.1 with whatever certificate is in use at the handshake, and answers the authority's question under TLS.
func (c *certs) config() *tls.Config {
	base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: c.current}
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if c.issuing() == nil || !slices.Equal(hello.SupportedProtos, []string{challengeProtocol}) {
			return nil, nil // base
		}
		challenge := base.Clone()
		challenge.GetConfigForClient, challenge.NextProtos = nil, hello.SupportedProtos
		return challenge, nil
	}
	return base
}

func (c *certs) issuing() *issuance {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.issuance
}

var errNoCertificate = errors.New("serve TLS: there is no usable certificate")

func (c *certs) current(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	issuance, pair := c.issuance, c.pair
	c.mu.Unlock()
	switch {
	case issuance != nil:
		return issuance.config.GetCertificate(hello)
	case pair != nil:
		return pair, nil
	}
	return nil, errNoCertificate
}

// inUse is the certificate of an ordinary handshake; nil for none.
func (c *certs) inUse() *x509.Certificate {
	c.mu.Lock()
	issuance, pair := c.issuance, c.pair
	c.mu.Unlock()
	switch {
	case issuance != nil:
		return issuance.certificate()
	case pair != nil:
		return pair.Leaf
	}
	return nil
}

func (c *certs) usable() bool { return c.inUse() != nil }

// problem says why there is no certificate, or not the one that there should be.
func (c *certs) problem() string {
	if i := c.issuing(); i != nil {
		return i.problem()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

func (c *certs) describe() *Certificate {
	leaf := c.inUse()
	if leaf == nil {
		return nil
	}
	return &Certificate{Names: namesOf(leaf), Issuer: leaf.Issuer.String(), NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC()}
}

// namesOf are the host names and addresses that a certificate is for.
func namesOf(leaf *x509.Certificate) []string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
