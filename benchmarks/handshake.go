package main

// This file is the load generator's part of the opening handshake and of the first message. The
// content of the first message is compared. That finds a server that is fast because it answers
// wrong.

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// A link is a connection that has not been handed to the load yet.
type link = io.ReadWriteCloser

func closeLinks(links []link) {
	for _, l := range links {
		l.Close()
	}
}

// The key is RFC 6455 section 1.3's, and so is the answer to it.
const (
	loadKeyHeader = "dGhlIHNhbXBsZSBub25jZQ=="
	loadAccept    = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// deflateOffer is the offer of browsers.
const deflateOffer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

// request returns the opening handshake, with the other fields that a browser sends.
func request(addr string, deflate bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", addr)
	b.WriteString("User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
		"Pragma: no-cache\r\nCache-Control: no-cache\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + loadKeyHeader + "\r\n")
	if deflate {
		b.WriteString(deflateOffer)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// upgrade does the opening handshake on all links. First every request goes out, then every
// response is read. It returns the first response's header.
func upgrade(links []link, request []byte) (header http.Header, err error) {
	for _, l := range links {
		if _, err := l.Write(request); err != nil {
			return nil, err
		}
	}
	buf := make([]byte, 4096)
	for _, l := range links {
		response, err := readResponse(l, buf)
		if err != nil {
			return nil, fmt.Errorf("opening handshake: %w", err)
		}
		if header == nil {
			if header, err = responseHeader(response); err != nil {
				return nil, err
			}
		}
	}
	return header, nil
}

// readResponse reads the header of a response, and looks for the words that
// make it the right one.
func readResponse(r io.Reader, buf []byte) ([]byte, error) {
	for n := 0; n < len(buf); {
		k, err := r.Read(buf[n:])
		if err != nil {
			return nil, err
		}
		n += k
		end := bytes.Index(buf[:n], []byte("\r\n\r\n"))
		if end < 0 {
			continue
		}
		if end+4 != n {
			return nil, fmt.Errorf("%q came behind the response, unasked", buf[end+4:n])
		}
		if !bytes.HasPrefix(buf, []byte("HTTP/1.1 101 ")) || !bytes.Contains(buf[:n], []byte(loadAccept)) {
			return nil, fmt.Errorf("the answer is %q", buf[:n])
		}
		return buf[:n], nil
	}
	return nil, fmt.Errorf("the answer has no end")
}

func responseHeader(b []byte) (http.Header, error) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil {
		return nil, err
	}
	return resp.Header, nil
}

// readMessage reads the frames of one message.
func readMessage(r io.Reader) (message []byte, err error) {
	var c counter
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if err != nil {
			return nil, fmt.Errorf("reading the first message: %w", err)
		}
		message = append(message, buf[:n]...)
		k := c.take(buf[:n])
		if c.closed || k > 1 {
			return nil, fmt.Errorf("instead of one message came % x", message[:min(len(message), 32)])
		}
		if k == 1 {
			return message, nil
		}
	}
}

// An answerCheck checks the answer to a script's first message.
type answerCheck func(message []byte) error

// sameBytes wants exactly these bytes: a frame, or for a raw TCP server the request's own bytes.
func sameBytes(want []byte) answerCheck {
	return func(message []byte) error {
		if !bytes.Equal(message, want) {
			return fmt.Errorf("the answer is wrong: %d bytes, % x…; not %d, % x…",
				len(message), message[:min(len(message), 16)], len(want), want[:min(len(want), 16)])
		}
		return nil
	}
}

// sameContent wants a compressed message with this content.
func sameContent(want []byte) answerCheck {
	return func(message []byte) error {
		payload, compressed := joinFrames(message)
		if !compressed {
			return fmt.Errorf("the answer is not compressed")
		}
		got, err := inflate(payload)
		if err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("the answer is wrong when inflated: %v %.40q", err, got)
		}
		return nil
	}
}

// greet sends the first message on each link and checks the answers. It reads
// while it writes: a large message and its echo may be more than the sockets hold.
func greet(links []link, s *script, check answerCheck) error {
	written := make(chan error, 1)
	go func() {
		for _, l := range links {
			if _, err := l.Write(s.frames(0, 1)); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	if err := expect(links, check); err != nil {
		return err
	}
	return <-written
}

// expect checks one message of each link.
func expect(links []link, check answerCheck) error {
	for _, l := range links {
		message, err := readMessage(l)
		if err != nil {
			return err
		}
		if err := check(message); err != nil {
			return err
		}
	}
	return nil
}
