package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

func newRequest(t *testing.T, key string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://server.example/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-WebSocket-Key", key)
	return r
}

// behind starts a target that speaks chat.v2, and reports the ends of its connections.
func behind(t *testing.T) (url string, ends <-chan error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	srv := &websocket.Server{
		Upgrader: websocket.Upgrader{Subprotocols: []string{"chat.v2"}, Compression: &websocket.Compression{}},
		Handler: func(c *websocket.Conn, _ *http.Request) {
			for {
				messageType, p, err := c.ReadMessage()
				switch {
				case err != nil:
					ended <- err
					return
				case string(p) == "close":
					c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4321, "as you say"), time.Time{})
				case string(p) == "break":
					c.NetConn().Close()
				default:
					c.WriteMessage(messageType, append([]byte("target: "), p...))
				}
			}
		},
	}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return "ws://" + ln.Addr().String() + "/chat", ended
}

// Both sides of a proxied connection are shown, each with its own handshake and masks.
func TestTarget(t *testing.T) {
	target, ends := behind(t)
	addr, _ := start(t, target)
	w := watch(t, addr)
	c := dial(t, websocket.Dialer{Subprotocols: []string{"chat", "chat.v2"}}, "ws://"+addr+"/ws")
	if c.Subprotocol() != "chat.v2" {
		t.Errorf("subprotocol %q, want the target's", c.Subprotocol())
	}
	asked, answered := w.until("handshake", targetSide), w.until("handshake", clientSide)
	if asked.Conn != answered.Conn || asked.Handshake.Key == answered.Handshake.Key {
		t.Errorf("two handshakes of one connection: %d and %d, keys %q and %q",
			asked.Conn, answered.Conn, asked.Handshake.Key, answered.Handshake.Key)
	}
	for _, h := range []*handshake{asked.Handshake, answered.Handshake} {
		if !strings.Contains(h.Response, "Sec-WebSocket-Accept: "+h.Accept) {
			t.Errorf("no %s in the response\n%s", h.Accept, h.Response)
		}
	}

	c.WriteMessage(websocket.TextMessage, []byte("hi"))
	read(t, c, "target: hi")
	in, on := w.frame(websocket.TextMessage, false, clientSide), w.frame(websocket.TextMessage, true, targetSide)
	if string(in.Payload) != "hi" || string(on.Payload) != "hi" || !in.Masked || !on.Masked {
		t.Errorf("%q, masked %v, became %q, masked %v", in.Payload, in.Masked, on.Payload, on.Masked)
	}
	back, out := w.frame(websocket.TextMessage, false, targetSide), w.frame(websocket.TextMessage, true, clientSide)
	if string(back.Payload) != "target: hi" || string(out.Payload) != "target: hi" || back.Masked || out.Masked {
		t.Errorf("%q, masked %v, became %q, masked %v", back.Payload, back.Masked, out.Payload, out.Masked)
	}

	c.Shutdown(context.Background(), 4001, "from the client")
	if err := <-ends; err.Error() != (&websocket.CloseError{Code: 4001, Text: "from the client"}).Error() {
		t.Errorf("the target's end: %v", err)
	}
	if f := w.frame(websocket.CloseMessage, true, targetSide); string(f.Payload) != "\x0f\xa1from the client" {
		t.Errorf("the target is sent the close frame %q", f.Payload)
	}
}

func TestCompressionToTarget(t *testing.T) {
	target, _ := behind(t)
	addr, _ := start(t, target)
	w := watch(t, addr)
	d := websocket.Dialer{Compression: &websocket.Compression{}}
	for path, want := range map[string]bool{"/ws": false, "/ws?compress=1": true} {
		dial(t, d, "ws://"+addr+path)
		for _, side := range []string{targetSide, clientSide} {
			if got := strings.Contains(w.until("handshake", side).Handshake.Response, "permessage-deflate"); got != want {
				t.Errorf("%s, %s side: compression %v, want %v", path, side, got, want)
			}
		}
	}
}

// The client sees the close code and reason of the target.
func TestTargetCloses(t *testing.T) {
	target, _ := behind(t)
	addr, _ := start(t, target)
	for say, want := range map[string]websocket.CloseError{
		"close": {Code: 4321, Text: "as you say"},
		"break": {Code: websocket.CloseBadGateway, Text: "the target: websocket: close 1006 (abnormal closure): unexpected EOF"},
	} {
		c := dial(t, websocket.Dialer{}, "ws://"+addr+"/ws")
		c.WriteMessage(websocket.TextMessage, []byte(say))
		_, _, err := c.ReadMessage()
		if got, ok := err.(*websocket.CloseError); !ok || *got != want {
			t.Errorf("%s: %v, want %v", say, err, &want)
		}
	}
}

// A client that vanishes sends no close code, so the target is told 1001.
func TestClientVanishes(t *testing.T) {
	target, ends := behind(t)
	addr, _ := start(t, target)
	c := dial(t, websocket.Dialer{}, "ws://"+addr+"/ws")
	c.Close()
	if err := <-ends; !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the target's end: %v, want 1001", err)
	}
	c = dial(t, websocket.Dialer{}, "ws://"+addr+"/ws")
	c.Shutdown(context.Background(), websocket.CloseNoStatusReceived, "")
	if err := <-ends; !websocket.IsCloseError(err, websocket.CloseNoStatusReceived) {
		t.Errorf("the target's end: %v, want a close frame without a code", err)
	}
}

// An unreachable target gives 1014, bad gateway, with the reason. A page could not see a status.
func TestUnreachableTarget(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	ln.Close()
	page, _ := start(t, "") // serves HTTP, but at / no WebSocket
	for target, want := range map[string]string{nobody: "refused", page: "the target answered 200 OK"} {
		addr, _ := start(t, "ws://"+target)
		w := watch(t, addr)
		c := dial(t, websocket.Dialer{Subprotocols: []string{"chat"}}, "ws://"+addr+"/ws")
		_, _, err = c.ReadMessage()
		if !websocket.IsCloseError(err, websocket.CloseBadGateway) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want 1014 with %q", err, want)
		}
		if h := w.until("handshake", targetSide).Handshake; h.Error == "" {
			t.Errorf("the failure is not shown: %+v", h)
		}
	}
}

func TestCheckTarget(t *testing.T) {
	for target, ok := range map[string]bool{
		"": true, "ws://h": true, "wss://h:1/p?q": true,
		"http://h": false, "h:80": false, "ws:///p": false, "%": false,
	} {
		if err := checkTarget(target); (err == nil) != ok {
			t.Errorf("%q: %v", target, err)
		}
	}
}

func TestCutReason(t *testing.T) {
	for s, want := range map[string]string{
		"short":                        "short",
		strings.Repeat("x", 123):       strings.Repeat("x", 123),
		strings.Repeat("x", 124):       strings.Repeat("x", 120) + "…",
		strings.Repeat("ü", 100):       strings.Repeat("ü", 60) + "…",
		"x" + strings.Repeat("ü", 100): "x" + strings.Repeat("ü", 59) + "…",
	} {
		if got := cutReason(s); got != want || len(got) > 123 {
			t.Errorf("%q became %q, %d bytes", s, got, len(got))
		}
	}
}
