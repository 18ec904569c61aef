package main

import "golang.org/x/sys/unix"

// answer says 200 to everything that connects to a port of loopback.
func answer(port int) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fail(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		fail(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		fail(err)
	}
	if err := unix.Listen(fd, 16); err != nil {
		fail(err)
	}
	buf := make([]byte, 4096)
	for {
		c, _, err := unix.Accept(fd)
		if err != nil {
			continue
		}
		if n, err := unix.Read(c, buf); err == nil && n > 0 {
			_, _ = unix.Write(c, []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
		}
		unix.Close(c)
	}
}
