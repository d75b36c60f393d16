package websocket

import (
	"encoding/binary"
	"syscall"
)

// On Linux a socket can tell, with what it delivers, how much more there is
// (TCP_INQ, since Linux 4.18): at least 1 if the peer has closed its half.
// That saves the read which would say that there is nothing. A short read does
// not say it: the end may have arrived with the last bytes, and would then
// never be noticed. A reset is not told: see conn_handle_unix.go.

const tcpINQ = 36 // TCP_INQ and TCP_CM_INQ

// tellEmpty asks a socket to tell, and reports whether it will.
func tellEmpty(fd int) bool {
	return syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, tcpINQ, 1) == nil
}

// receive reads, and reports whether the socket is empty now, as far as that is
// known.
func (s *handleStep) receive(p []byte) (n int, empty bool, err error) {
	if !s.reportsEmpty {
		n, err = readSocket(s.fd, p)
		return n, false, err
	}
	var more int
	for {
		n, more, _, _, err = syscall.Recvmsg(s.fd, p, s.ancillary[:], 0)
		if err != syscall.EINTR {
			break
		}
	}
	header := syscall.CmsgLen(0)
	empty = err == nil && more >= header+4 && binary.NativeEndian.Uint32(s.ancillary[header:]) == 0
	return n, empty, err
}
