package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// start runs the program on a free port until stop, which returns the result of run.
func start(t *testing.T) (addr string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, ln) }()
	t.Cleanup(cancel)
	return ln.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

func TestPage(t *testing.T) {
	addr, stop := start(t)
	get := func(path, contentType string) string {
		t.Helper()
		resp, err := http.Get("http://" + addr + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("GET /%s: %s, %v", path, resp.Status, err)
		}
		if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, contentType) {
			t.Errorf("GET /%s: Content-Type %q, want %s", path, got, contentType)
		}
		if got := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'self'") {
			t.Errorf("GET /%s: Content-Security-Policy %q", path, got)
		}
		return string(body)
	}

	html := get("", "text/html")
	types := map[string]string{"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
	files := regexp.MustCompile(`(?:src|href)="([^"]+\.(\w+))"`).FindAllStringSubmatch(html, -1)
	if len(files) != len(types) {
		t.Fatalf("the page refers to %q, want one file of each of %v", files, types)
	}
	for _, f := range files {
		get(f[1], types[f[2]])
	}
	http.DefaultClient.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// peer is a client without a library: its frames are written here byte by byte.
type peer struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

// dial does the opening handshake with the key of RFC 6455 section 1.3.
func dial(t *testing.T, addr string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: "+addr+"\r\nOrigin: http://"+addr+"\r\n"+
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	accept := resp.Header.Get("Sec-WebSocket-Accept")
	if resp.StatusCode != http.StatusSwitchingProtocols || accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("handshake: %s, Sec-WebSocket-Accept %q", resp.Status, accept)
	}
	return &peer{c, t, r}
}

// expect requires that the server's next bytes are those of frame.
func (p *peer) expect(frame string) {
	p.t.Helper()
	got := make([]byte, len(frame))
	if n, err := io.ReadFull(p.r, got); err != nil || string(got) != frame {
		p.t.Fatalf("the server sent % x, %v, want % x", got[:n], err, frame)
	}
}

func (p *peer) expectEOF() {
	p.t.Helper()
	if b, err := p.r.ReadByte(); err != io.EOF {
		p.t.Fatalf("after the close frame: %#x, %v, want the end", b, err)
	}
}

func TestEcho(t *testing.T) {
	addr, stop := start(t)
	p := dial(t, addr)

	// The frames of section 5.7: "Hello" as a masked text, and as the server sends it.
	io.WriteString(p, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
	p.expect("\x81\x05Hello")

	// 1000 bytes have a length of 16 bits. XOR with a key of zeros changes nothing.
	data := string(bytes.Repeat([]byte("\x00\xff"), 500))
	io.WriteString(p, "\x82\xfe\x03\xe8\x00\x00\x00\x00"+data)
	p.expect("\x82\x7e\x03\xe8" + data)

	// The close has code 4000 (0x0fa0). The server answers with it, and is the one to end TCP.
	io.WriteString(p, "\x88\x82\x00\x00\x00\x00\x0f\xa0")
	p.expect("\x88\x02\x0f\xa0")
	p.expectEOF()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestShutdownSays1001(t *testing.T) {
	addr, stop := start(t)
	p := dial(t, addr)
	io.WriteString(p, "\x81\x80\x00\x00\x00\x00")
	p.expect("\x81\x00") // so the handler runs
	ended := make(chan error, 1)
	go func() { ended <- stop() }()

	p.expect("\x88\x02\x03\xe9")
	select {
	case err := <-ended:
		t.Fatalf("run returned %v before the peer had answered", err)
	case <-time.After(50 * time.Millisecond):
	}
	io.WriteString(p, "\x88\x82\x00\x00\x00\x00\x03\xe9")
	p.expectEOF()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
