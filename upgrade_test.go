package websocket

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// exchange sends a request to an http.Server with the handler, and returns the
// response and its body.
func exchange(t *testing.T, handler http.HandlerFunc, request string) (*http.Response, string) {
	t.Helper()
	hs := httptest.NewServer(handler)
	defer hs.Close()
	nc, err := net.Dial("tcp", hs.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	io.WriteString(nc, request)
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetReadDeadline(time.Now().Add(time.Second))
	body, _ := io.ReadAll(resp.Body)
	return resp, string(body)
}

// with returns goodRequest with further header lines.
func with(lines ...string) string {
	return strings.TrimSuffix(goodRequest, "\r\n") + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func TestUpgradeResponses(t *testing.T) {
	for _, tt := range []struct {
		name     string
		u        Upgrader
		extra    http.Header
		request  string
		status   int
		body     string            // a part of it
		header   map[string]string // some of it
		errorHas string
	}{
		{name: "agrees", request: goodRequest, status: 101,
			header: map[string]string{"Sec-Websocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Upgrade": "websocket"}},
		{name: "no upgrade", request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", status: 426, body: "WebSocket endpoint",
			header: map[string]string{"Upgrade": "websocket", "Sec-Websocket-Version": "13"}, errorHas: "WebSocket endpoint"},
		{name: "version", request: strings.Replace(goodRequest, "Version: 13", "Version: 8", 1), status: 426, body: "version 13",
			header: map[string]string{"Upgrade": "websocket", "Sec-Websocket-Version": "13"}, errorHas: `"8"`},
		{name: "method", request: strings.Replace(goodRequest, "GET", "PUT", 1), status: 405, body: "PUT",
			header: map[string]string{"Allow": "GET"}, errorHas: "PUT"},
		{name: "key", request: strings.Replace(goodRequest, "dGhl", "dGhlAAAA", 1), status: 400, body: "Sec-WebSocket-Key", errorHas: "16 bytes"},
		{name: "cross origin", request: with("Origin: https://evil.example"), status: 403, body: "AllowedOrigins", errorHas: "evil.example"},
		{name: "allowed origin", u: Upgrader{AllowedOrigins: []string{"https://app.example"}},
			request: with("Origin: https://app.example"), status: 101},
		{name: "allowed origin before CheckOrigin",
			u:       Upgrader{AllowedOrigins: []string{"https://app.example"}, CheckOrigin: func(*http.Request) bool { return false }},
			request: with("Origin: https://app.example"), status: 101},
		{name: "CheckOrigin refuses", u: Upgrader{CheckOrigin: func(*http.Request) bool { return false }},
			request: with("Origin: http://server.example.com"), status: 403, body: "CheckOrigin", errorHas: "CheckOrigin"},
		{name: "CheckOrigin allows", u: Upgrader{CheckOrigin: func(*http.Request) bool { return true }},
			request: with("Origin: https://evil.example"), status: 101},
		{name: "subprotocol", u: Upgrader{Subprotocols: []string{"v2", "v1"}},
			request: with("Sec-WebSocket-Protocol: v1, v2"), status: 101, header: map[string]string{"Sec-Websocket-Protocol": "v2"}},
		{name: "no common subprotocol", u: Upgrader{Subprotocols: []string{"v3"}},
			request: with("Sec-WebSocket-Protocol: v1, v2"), status: 101, header: map[string]string{"Sec-Websocket-Protocol": ""}},
		{name: "handler's subprotocol", extra: http.Header{"Sec-Websocket-Protocol": {"v1"}},
			request: with("Sec-WebSocket-Protocol: v1"), status: 101, header: map[string]string{"Sec-Websocket-Protocol": "v1"}},
		{name: "handler's subprotocol, not offered", extra: http.Header{"Sec-Websocket-Protocol": {"v1"}},
			request: goodRequest, status: 101, header: map[string]string{"Sec-Websocket-Protocol": ""}},
		{name: "cookie", extra: http.Header{"Set-Cookie": {"a=1", "b=2"}}, request: goodRequest, status: 101,
			header: map[string]string{"Set-Cookie": "a=1"}},
		{name: "line break in a header", extra: http.Header{"X": {"a\r\nSet-Cookie: b"}}, request: goodRequest, status: 500,
			body: "Internal Server Error", errorHas: "control character"},
		{name: "extension by hand", extra: http.Header{"Sec-Websocket-Extensions": {"x"}}, request: goodRequest, status: 500, errorHas: "leave it out"},
		{name: "Error", u: Upgrader{Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			w.WriteHeader(status + 1)
			io.WriteString(w, "own words: "+reason.Error())
		}}, request: with("Origin: https://evil.example"), status: 404, body: "own words: websocket: a page with", errorHas: "evil"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			errs := make(chan error, 1)
			resp, body := exchange(t, func(w http.ResponseWriter, r *http.Request) {
				c, err := tt.u.Upgrade(w, r, tt.extra)
				errs <- err
				if err == nil {
					c.Close()
				}
			}, tt.request)
			if resp.StatusCode != tt.status || !strings.Contains(body, tt.body) {
				t.Errorf("%d %q, want %d with %q", resp.StatusCode, body, tt.status, tt.body)
			}
			for name, want := range tt.header {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("header field %s: %q, want %q", name, got, want)
				}
			}
			err := <-errs
			if e, ok := errors.AsType[HandshakeError](err); (err == nil) != (tt.status == 101) || err != nil && (!ok || !strings.Contains(e.Error(), tt.errorHas)) {
				t.Errorf("Upgrade: %v, want a HandshakeError with %q", err, tt.errorHas)
			}
		})
	}
}

type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type opaque struct{ http.ResponseWriter }

// Middleware wraps ResponseWriters. The error names the wrapper that stands in the way.
func TestUpgradeThroughMiddleware(t *testing.T) {
	var u Upgrader
	resp, _ := exchange(t, func(w http.ResponseWriter, r *http.Request) {
		if c, err := u.Upgrade(wrapped{wrapped{w}}, r, nil); err == nil {
			c.Close()
		}
	}, goodRequest)
	if resp.StatusCode != 101 {
		t.Errorf("through wrappers with Unwrap: %d", resp.StatusCode)
	}
	errs := make(chan error, 1)
	resp, _ = exchange(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := u.Upgrade(wrapped{opaque{w}}, r, nil)
		errs <- err
	}, goodRequest)
	if err := <-errs; resp.StatusCode != 500 || err == nil || !strings.Contains(err.Error(), "websocket.opaque") {
		t.Errorf("through an opaque wrapper: %d, %v", resp.StatusCode, err)
	}
}

// Bytes glued to the request are not lost, even if net/http's background reader has one of them
// already.
func TestUpgradeKeepsGluedBytes(t *testing.T) {
	got := make(chan string, 2)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(20 * time.Millisecond)
		c, err := new(Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for range 2 {
			_, p, _ := c.ReadMessage()
			got <- string(p)
		}
	}))
	defer hs.Close()
	for _, pause := range []time.Duration{0, 10 * time.Millisecond} {
		nc, err := net.Dial("tcp", hs.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		frames := append(frame(opText, true, "first", testKey), frame(opText, true, "second", testKey)...)
		if pause == 0 {
			nc.Write(append([]byte(goodRequest), frames...))
		} else {
			io.WriteString(nc, goodRequest)
			time.Sleep(pause)
			nc.Write(frames)
		}
		if a, b := <-got, <-got; a != "first" || b != "second" {
			t.Errorf("sent %v after the request: got %q, %q", pause, a, b)
		}
	}
}

func TestUpgradeSettings(t *testing.T) {
	settings := make(chan *Conn, 1)
	u := Upgrader{ReadLimit: 7, MaxFragments: 8, CloseTimeout: 9, PingInterval: time.Hour}
	exchange(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		c.Close()
		settings <- c
	}, goodRequest)
	c := <-settings
	if c.settings.Load().limit != 7 || c.acquire().rules.maxFragments != 8 || c.settings.Load().closeTimeout != 9 || c.settings.Load().timer == nil {
		t.Errorf("settings are not the Upgrader's: %d, %d, %v", c.settings.Load().limit, c.acquire().rules.maxFragments, c.settings.Load().closeTimeout)
	}
	c = newConn(&memoryConn{}, false)
	if c.settings.Load().limit != 32<<20 || c.acquire().rules.maxFragments != 64<<10 || c.settings.Load().closeTimeout != 5*time.Second {
		t.Error("the defaults differ from the docs")
	}
}
