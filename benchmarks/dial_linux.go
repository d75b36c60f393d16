package main

// Opening connections: by the system's own calls, in batches, so that the load
// generator's part takes little time.

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// the number of connections that are opened at a time
	batch = 64
	// the longest silence of the server
	answerTimeout = 10 * time.Second
)

// A socket is a file descriptor, which blocks until the load runs.
type socket int

// sources is the number of addresses that connections come from, in turn: 127.0.0.1 and those
// behind it. One has no more than some 28,000 ports.
const sources = 8

// dialSocket connects to an address "127.0.0.1:port" as the i-th client.
func dialSocket(addr string, i int) (socket, error) {
	to, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	s := socket(fd)
	wait := unix.NsecToTimeval(int64(answerTimeout))
	from := [4]byte{127, 0, 0, byte(1 + i%sources)}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		// The port is chosen with the connection, because others may share it then.
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: from}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		// Closing resets the connection. Otherwise thousands of ports would be in TIME_WAIT.
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.Connect(fd, &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}))
	if err != nil {
		s.Close()
		return -1, fmt.Errorf("connecting: %w", err)
	}
	return s, nil
}

func (s socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(s), p)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN: // SO_RCVTIMEO
			return 0, fmt.Errorf("no answer for %v", answerTimeout)
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (s socket) Write(p []byte) (written int, err error) {
	for written < len(p) {
		n, err := unix.Write(int(s), p[written:])
		if err != nil && err != unix.EINTR {
			return written, err
		}
		written += max(n, 0)
	}
	return written, nil
}

func (s socket) Close() error { return unix.Close(int(s)) }

// dialLinks opens n connections, over TLS if asked to.
func dialLinks(addr string, n int, overTLS bool) (links []link, err error) {
	for i := range n {
		var l link
		if overTLS {
			l, err = tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		} else {
			l, err = dialSocket(addr, i)
		}
		if err != nil {
			closeLinks(links)
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}
