package websocket

import (
	"encoding/binary"
	"syscall"
)

// On Linux a socket can tell, with what it delivers, how much more there is
// (TCP_INQ, since Linux 4.18): at least 1 if the peer has closed its half.
// That saves the read which would say that there is nothing. A short read does
// not say it: the end may have arrived with the last bytes, and would then
// never be noticed. A reset is not told: see conn_drive_unix.go.

const tcpINQ = 36 // TCP_INQ and TCP_CM_INQ

// tellDrained asks a socket to tell, and reports whether it will.
func tellDrained(fd int) bool {
	return syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, tcpINQ, 1) == nil
}

// receive reads, and reports whether there is nothing more for now, as far as
// that is known.
func receive(fd int, p []byte, in *readHalf) (n int, drained bool, err error) {
	if !in.tellsDrained {
		n, err = readSocket(fd, p)
		return n, false, err
	}
	var more int
	for {
		n, more, _, _, err = syscall.Recvmsg(fd, p, in.ancillary[:], 0)
		if err != syscall.EINTR {
			break
		}
	}
	header := syscall.CmsgLen(0)
	drained = err == nil && more >= header+4 && binary.NativeEndian.Uint32(in.ancillary[header:]) == 0
	return n, drained, err
}
