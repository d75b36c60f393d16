package main

// The ceiling: a TCP echo, in a goroutine for each connection. It answers the
// request without looking at it, so that it can be measured as the others are.

import (
	"bytes"
	"net"
	"sync"
)

// rawResponse agrees to the one key that the load generator sends.
var rawResponse = []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: " + loadAccept + "\r\n\r\n")

func serveRaw(ln net.Listener, j *job) error {
	frame := appendServerFrame(nil, finBinary, broadcastPayload)
	size := j.bufferSize(32 << 10)
	return accept(ln, func(nc net.Conn) {
		defer nc.Close()
		if !rawUpgrade(nc) {
			return
		}
		if j.hub != nil {
			j.hub.join(func() error { _, err := nc.Write(frame); return err })
		}
		rawLoop(nc, make([]byte, size))
	})
}

// rawLoop echoes. If a read fills the buffer, the buffer grows, so that a large message does not
// take more system calls here than anywhere else.
func rawLoop(nc net.Conn, buf []byte) {
	for {
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		if _, err := nc.Write(buf[:n]); err != nil {
			return
		}
		if n == len(buf) && n < rawLimit {
			buf = make([]byte, 2*n)
		}
	}
}

const rawLimit = 1 << 20

var rawRequests = sync.Pool{New: func() any { return new([1024]byte) }}

// rawUpgrade reads to the end of a request and answers it.
func rawUpgrade(nc net.Conn) bool {
	buf := rawRequests.Get().(*[1024]byte)
	defer rawRequests.Put(buf)
	for n := 0; n < len(buf); {
		k, err := nc.Read(buf[n:])
		if err != nil {
			return false
		}
		n += k
		if bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			_, err := nc.Write(rawResponse)
			return err == nil
		}
	}
	return false
}
