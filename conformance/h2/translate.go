package h2

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
)

// Translate is a proxy for one connection. It reads the opening handshake of HTTP/1.1 from nc, makes
// an extended CONNECT on a stream of c's of it, translates the response, and passes bytes on until
// either side ends. So a client that knows HTTP/1.1 only tests a server over HTTP/2.
func (c *Client) Translate(nc net.Conn) error {
	defer nc.Close()
	in := bufio.NewReader(nc)
	r, err := http.ReadRequest(in)
	if err != nil {
		return err
	}
	fields := Connect(r.Host, r.RequestURI, pairs(r.Header)...)
	s, err := c.Open(fields, false)
	if err != nil {
		return err
	}
	defer s.Close()
	status, _, err := s.Response()
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		text, _ := io.ReadAll(s)
		fmt.Fprintf(nc, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", status, http.StatusText(status), len(text))
		writeFields(nc, s.fields)
		fmt.Fprintf(nc, "\r\n%s", text)
		return nil
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	writeFields(nc, s.fields)
	io.WriteString(nc, "\r\n")

	done := make(chan struct{})
	go func() {
		defer close(done)
		// The client's end is the stream's, as END_STREAM, or as a reset if it was none.
		if _, err := io.Copy(s, in); err == nil {
			s.CloseWrite()
		} else {
			s.Abort()
		}
		io.Copy(io.Discard, in) // what is left unread would become a reset, which may overtake a close frame
	}()
	_, err = io.Copy(nc, s)
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
		nc.SetReadDeadline(time.Now().Add(time.Second))
	} else {
		nc.Close()
	}
	<-done
	return err
}

// pairs returns the fields that HTTP/2 has too.
func pairs(h http.Header) (pairs []string) {
	for name, values := range h {
		switch name {
		case "Upgrade", "Connection", "Sec-Websocket-Key":
			continue
		}
		for _, v := range values {
			pairs = append(pairs, strings.ToLower(name), v)
		}
	}
	return pairs
}

func writeFields(w io.Writer, fields []hpack.HeaderField) {
	for _, f := range fields {
		switch f.Name {
		case ":status", "content-length", "date":
		default:
			fmt.Fprintf(w, "%s: %s\r\n", f.Name, f.Value)
		}
	}
}

// DialStream is a websocket.Dialer's NetDialContext, whose connections are streams of c.
func (c *Client) DialStream(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	go c.Translate(far)
	return near, nil
}
