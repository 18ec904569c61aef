package keys

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
)

// Address is host:port of a listener on this machine; an empty host means all interfaces.
type Address string

// Notation says how it is written.
func (*Address) Notation() (what, example, pattern string) {
	return "an address", "127.0.0.1:7080", `^(localhost|[0-9.]*|\[[0-9A-Fa-f:.%a-z]+\]):[0-9]{1,5}$`
}

// UnmarshalText reads it.
func (a *Address) UnmarshalText(content []byte) error {
	text := string(content)
	if _, _, err := SplitAddress(text); err != nil {
		return err
	}
	*a = Address(text)
	return nil
}

// SplitAddress reads host:port.
func SplitAddress(text string) (host string, port int, err error) {
	host, digits, err := net.SplitHostPort(text)
	if err != nil {
		return "", 0, fmt.Errorf("%q is no address; write host:port, such as 127.0.0.1:7080 or :7080", text)
	}
	number, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || number > 65535 {
		return "", 0, fmt.Errorf("port %q is outside 0..65535", digits)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		return "", 0, fmt.Errorf("%q is no IP address of this machine", host)
	}
	return host, int(number), nil
}

// Network is an IP address or a network of them.
type Network struct{ netip.Prefix }

// Notation says how it is written.
func (*Network) Notation() (what, example, pattern string) {
	return "an IP address or a network", "10.0.0.0/8", `^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$`
}

// UnmarshalText reads it.
func (n *Network) UnmarshalText(content []byte) error {
	text := string(content)
	prefix, err := netip.ParsePrefix(text)
	if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
		prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if err != nil {
		return fmt.Errorf("%q is neither an IP address nor a network such as 10.0.0.0/8", text)
	}
	n.Prefix = prefix.Masked()
	return nil
}

// File is the absolute path of a file that is there and may be read; in the configuration it may be relative to the file that names it.
type File string

// Notation says how it is written.
func (*File) Notation() (what, example, pattern string) {
	return "the path of a file", "tls/cert.pem", `.`
}

// UnmarshalText takes any path; whether it is there shows when its place is known.
func (f *File) UnmarshalText(content []byte) error {
	*f = File(content)
	return nil
}

// Place makes it absolute, and opens it once.
func (f *File) Place(dir string) error {
	path := string(*f)
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	open, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := open.Stat()
	open.Close()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", path)
	}
	*f = File(path)
	return err
}
