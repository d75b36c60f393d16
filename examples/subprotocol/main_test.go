package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// A program is the example while it runs.
type program struct {
	transcript         string // all that it printed before it was ready
	plainURL, tlsURL   string
	plainAddr, tlsAddr string
	stop               func() error // returns the result of run
}

// start runs the program on free ports, until its demonstration is done.
func start(t *testing.T) *program {
	t.Helper()
	listen := func() place {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return place{l, "127.0.0.1:0"}
	}
	plain, secure := listen(), listen()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, w, plain, secure)
		w.CloseWithError(err)
		ended <- err
	}()
	p := &program{stop: func() error { cancel(); return <-ended }}
	lines := bufio.NewScanner(r)
	for p.tlsURL == "" && lines.Scan() {
		p.transcript += lines.Text() + "\n"
		if url, ok := strings.CutPrefix(lines.Text(), "open "); ok {
			p.plainURL = url
		} else if url, ok := strings.CutPrefix(lines.Text(), "or "); ok {
			p.tlsURL, _, _ = strings.Cut(url, ",")
		}
	}
	if p.tlsURL == "" {
		t.Fatalf("the program ended early: %v\n%s", p.stop(), p.transcript)
	}
	p.plainAddr = strings.TrimPrefix(p.plainURL, "http://")
	p.tlsAddr = strings.TrimPrefix(p.tlsURL, "https://")
	return p
}

const wantTranscript = `A client that was not given the server's certificate:
  tls: failed to verify certificate: x509: certificate signed by unknown authority

A server that speaks chat.v2, chat, in this order:
  offered chat.v2, chat: agreed on chat.v2
  offered chat:          agreed on chat
  offered chat, chat.v2: agreed on chat.v2
  offered Chat, chat:    agreed on chat
  offered none:          agreed on none

No common subprotocol:
  offered chat.v3:       connected, agreed on none
  the client cannot speak without, and closes with 1008

No common subprotocol, and a server that insists on one:
  websocket: bad handshake: 400 Bad Request: this server speaks chat.v2, chat

Ada, who speaks chat.v2, talks to Ben, who speaks chat:
  ada receives  {"from":"ben","text":"(is here)","at":"TIME"}
  ben receives  ben: (is here)
  ada sends     {"text":"Hello, Ben"}
  ada receives  {"from":"ada","text":"Hello, Ben","at":"TIME"}
  ben receives  ada: Hello, Ben
  ben sends     Hello, Ada
  ada receives  {"from":"ben","text":"Hello, Ada","at":"TIME"}
  ben receives  ben: Hello, Ada

open http://127.0.0.1:PORT
or https://127.0.0.1:PORT, whose certificate a browser cannot know and warns of
`

func TestTranscript(t *testing.T) {
	p := start(t)
	got := regexp.MustCompile(`"at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`).ReplaceAllString(p.transcript, `"at":"TIME"`)
	got = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(got, "127.0.0.1:PORT")
	if got != wantTranscript {
		t.Errorf("the program printed\n%s\nwant\n%s", got, wantTranscript)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

// The same routes are behind both listeners.
func TestPage(t *testing.T) {
	p := start(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for _, base := range []string{p.plainURL, p.tlsURL} {
		for path, contentType := range map[string]string{
			"/": "text/html", "/style.css": "text/css", "/script.js": "text/javascript", "/icon.svg": "image/svg+xml",
		} {
			resp, err := client.Get(base + path)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), contentType) {
				t.Errorf("GET %s: %s, Content-Type %q", path, resp.Status, resp.Header.Get("Content-Type"))
			}
			if got := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'self'") {
				t.Errorf("GET %s: Content-Security-Policy %q", path, got)
			}
		}
	}
	client.CloseIdleConnections()
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

// The handshake is checked on the wire, without this library on the client's side.
func TestHandshakeOverTLS(t *testing.T) {
	p := start(t)
	tests := []struct {
		path, offer string
		status      int
		chosen      []string
	}{
		{"/chat", "chat.v2, chat", 101, []string{"chat.v2"}},
		{"/chat", "chat,chat.v2", 101, []string{"chat.v2"}},
		{"/chat", "chat", 101, []string{"chat"}},
		{"/chat", "mqtt, chat", 101, []string{"chat"}},
		{"/chat", "CHAT.V2", 101, nil}, // section 4.2.2: then there is no such field
		{"/chat", "chat.v3", 101, nil},
		{"/chat", "", 101, nil},
		{"/strict", "mqtt, chat", 101, []string{"chat"}},
		{"/strict", "chat.v3", 400, nil},
		{"/strict", "", 400, nil},
	}
	for _, tt := range tests {
		c, err := tls.Dial("tcp", p.tlsAddr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		req := "GET " + tt.path + "?name=raw HTTP/1.1\r\nHost: " + p.tlsAddr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		if tt.offer != "" {
			req += "Sec-WebSocket-Protocol: " + tt.offer + "\r\n"
		}
		io.WriteString(c, req+"\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s, offered %q: %v", tt.path, tt.offer, err)
		}
		chosen := resp.Header.Values("Sec-WebSocket-Protocol")
		if resp.StatusCode != tt.status || strings.Join(chosen, "|") != strings.Join(tt.chosen, "|") {
			t.Errorf("%s, offered %q: %s, chosen %q; want %d, %q", tt.path, tt.offer, resp.Status, chosen, tt.status, tt.chosen)
		}
		c.Close()
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func TestCloseCodes(t *testing.T) {
	p := start(t)
	dial := func(protocol string) *websocket.Conn {
		d := websocket.Dialer{Subprotocols: []string{protocol}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		c, _, err := d.Dial("wss://"+p.tlsAddr+"/chat?name=test", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	expect := func(what string, c *websocket.Conn, code int) {
		t.Helper()
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				if !websocket.IsCloseError(err, code) {
					t.Errorf("%s: %v, want code %d", what, err, code)
				}
				return
			}
		}
	}
	binary := dial("chat")
	binary.WriteMessage(websocket.BinaryMessage, []byte{1})
	expect("a binary message", binary, websocket.CloseUnsupportedData)
	noJSON := dial("chat.v2")
	noJSON.WriteMessage(websocket.TextMessage, []byte("Hello"))
	expect("chat in chat.v2", noJSON, websocket.CloseInvalidFramePayloadData)

	c := dial("chat")
	c.ReadMessage() // so the server's handler runs
	ended := make(chan error, 1)
	go func() { ended <- p.stop() }()
	expect("the server's end", c, websocket.CloseGoingAway)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestCertificate(t *testing.T) {
	cert, err := newCertificate("chat.example", "192.0.2.1", "")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	for host, good := range map[string]bool{"chat.example": true, "192.0.2.1": true, "other.example": false, "192.0.2.2": false} {
		_, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots})
		if good != (err == nil) {
			t.Errorf("%s: %v", host, err)
		}
	}
	other, err := newCertificate("chat.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Leaf.Verify(x509.VerifyOptions{DNSName: "chat.example", Roots: roots}); err == nil {
		t.Error("a certificate for the same host is trusted, although the client was not given it")
	}
}

// A member that does not read cannot stop a room for good.
func TestRoomLetsTheStuckGo(t *testing.T) {
	m := &room{patience: 10 * time.Millisecond}
	chat := &websocket.Server{Handler: m.serve}
	server := httptest.NewServer(chat)
	defer server.Close()
	dial := func(name string) *websocket.Conn {
		c, _, err := websocket.DefaultDialer.Dial(server.URL+"?name="+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.ReadMessage() // the message that the client is here
		return c
	}
	stuck, talker := dial("stuck"), dial("talker")
	defer stuck.Close()
	members := func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.members)
	}
	words := []byte(strings.Repeat("blah ", 10_000))
	// The loop ends when the buffers between the server and stuck are full.
	for heard := 0; members() == 2; heard++ {
		if heard > 2_000 {
			t.Fatal("100 MB were sent to a member that does not read, and it is a member still")
		}
		talker.WriteMessage(websocket.TextMessage, words)
		if _, _, err := talker.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	talker.Close()
	if err := chat.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
