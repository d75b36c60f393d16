package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// pair connects a client to a server, both the library's.
func (p *probe) pair() (server, client *websocket.Conn) {
	return p.pairOf(&websocket.Upgrader{}, &websocket.Dialer{})
}

func (p *probe) pairOf(u *websocket.Upgrader, d *websocket.Dialer) (server, client *websocket.Conn) {
	conns, errs := make(chan *websocket.Conn, 1), make(chan error, 1)
	url := p.serve(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		conns <- c
		errs <- err
	})
	client, _, err := d.Dial(url, nil)
	p.must(err)
	server = <-conns
	p.must(<-errs)
	p.cleanup(func() {
		client.Close()
		server.Close()
	})
	return server, client
}

// serve runs an HTTP server and returns its ws URL.
func (p *probe) serve(h http.HandlerFunc) (url string) {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = silent
	s.Start()
	p.cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// rawServer accepts one connection after the other and has each answered in
// full by f, which is given the request as it came. It returns a ws URL.
func (p *probe) rawServer(f func(nc net.Conn, request string)) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	p.must(err)
	p.cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			p.cleanup(func() { nc.Close() })
			f(nc, readHead(nc))
		}
	}()
	return "ws://" + l.Addr().String()
}

// readHead reads the head of a request or response, and nothing behind it.
func readHead(nc net.Conn) string {
	var head []byte
	for b := make([]byte, 1); !strings.HasSuffix(string(head), "\r\n\r\n"); {
		if _, err := nc.Read(b); err != nil {
			return string(head)
		}
		head = append(head, b...)
	}
	return string(head)
}

// upgradeRequest returns a client's request. Lines of edits replace header lines by name. Those
// that end with a colon remove them.
func upgradeRequest(host string, edits ...string) string {
	lines := []string{"GET / HTTP/1.1", "Host: " + host, "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	for _, edit := range edits {
		name, value, _ := strings.Cut(edit, ":")
		if !strings.Contains(edit, ":") {
			lines[0] = edit
			continue
		}
		kept := lines[:0]
		for _, line := range lines {
			if !strings.HasPrefix(line, name+":") {
				kept = append(kept, line)
			}
		}
		lines = kept
		if value != "" {
			lines = append(lines, edit)
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// rawClient connects to a ws URL and sends a request.
func (p *probe) rawClient(url, request string) (net.Conn, *http.Response) {
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
	p.must(err)
	p.cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(5 * time.Second))
	_, err = io.WriteString(nc, request)
	p.must(err)
	head := readHead(nc)
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(head), nc)), nil)
	p.must(err)
	return nc, resp
}

// rawPeer connects the library's server to a client of which the program writes and reads every
// byte.
func (p *probe) rawPeer(u *websocket.Upgrader) (server *websocket.Conn, client net.Conn) {
	conns := make(chan *websocket.Conn, 1)
	url := p.serve(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		p.must(err)
		conns <- c
	})
	client, _ = p.rawClient(url, upgradeRequest("localhost"))
	server = <-conns
	p.cleanup(func() { server.Close() })
	return server, client
}

// frame returns a client's frame, with a mask of zeros, and its length in the shortest form.
func frame(first byte, payload string) []byte {
	b := []byte{first, 0x80}
	switch n := len(payload); {
	case n <= 125:
		b[1] |= byte(n)
	case n <= 0xffff:
		b = append(b, byte(n>>8), byte(n))
		b[1] |= 126
	default:
		b = append(b, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		b[1] |= 127
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// readFrame reads one frame and describes it.
func readFrame(nc net.Conn) string {
	nc.SetReadDeadline(time.Now().Add(patience))
	head := make([]byte, 2)
	if _, err := io.ReadFull(nc, head); err != nil {
		return "nothing: " + ports.ReplaceAllString(err.Error(), "ADDR")
	}
	length := make([]byte, map[byte]int{126: 2, 127: 8}[head[1]&0x7f])
	io.ReadFull(nc, length)
	n := int(head[1] & 0x7f)
	if len(length) > 0 {
		n = 0
		for _, b := range length {
			n = n<<8 | int(b)
		}
	}
	key := make([]byte, 4)
	if head[1]&0x80 != 0 {
		io.ReadFull(nc, key)
	}
	payload := make([]byte, n)
	io.ReadFull(nc, payload)
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return fmt.Sprintf("%#x %s", head[0], brief(payload))
}
