package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// A client is a raw connection with frames written by hand.
type client struct {
	net.Conn
	br *bufio.Reader
}

// dial opens a connection to a handler's path, and sends glued behind the request.
func dial(addr, path string, glued []byte, headers ...string) (*client, int, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, 0, err
	}
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{nc, bufio.NewReaderSize(nc, 512)}
	if !strings.Contains(strings.Join(headers, "\n"), "Connection:") {
		headers = append(headers, "Connection: Upgrade")
	}
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: " + addr, "Upgrade: websocket",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"}, headers...)
	nc.Write(append([]byte(strings.Join(lines, "\r\n")+"\r\n\r\n"), glued...))
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		nc.Close()
		return nil, 0, err
	}
	return c, resp.StatusCode, nil
}

// read reads a frame.
func (c *client) read() (op byte, payload []byte, err error) {
	var h [10]byte
	if _, err := io.ReadFull(c.br, h[:2]); err != nil {
		return 0, nil, err
	}
	op = h[0]
	n := uint64(h[1])
	switch h[1] {
	case 126:
		_, err = io.ReadFull(c.br, h[:2])
		n = uint64(binary.BigEndian.Uint16(h[:]))
	case 127:
		_, err = io.ReadFull(c.br, h[:8])
		n = binary.BigEndian.Uint64(h[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.br, payload)
	return op, payload, err
}

// outcome describes the server's next action in a word or two.
func (c *client) outcome() string {
	op, payload, err := c.read()
	switch {
	case err != nil:
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			return "nothing"
		}
		return "cut off"
	case op&0xf == 8 && len(payload) >= 2:
		return fmt.Sprint("close ", binary.BigEndian.Uint16(payload))
	case op&0xf == 8:
		return "close"
	}
	return "accepted"
}
