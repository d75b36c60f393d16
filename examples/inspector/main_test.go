package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// start runs the program on a free port until stop, which returns the result of run.
func start(t *testing.T, target string) (addr string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, ln, target) }()
	t.Cleanup(cancel)
	return ln.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

// dial connects as a browser's page would.
func dial(t *testing.T, d websocket.Dialer, url string) *websocket.Conn {
	t.Helper()
	c, _, err := d.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	return c
}

// A watcher is an observer's end of its connection.
type watcher struct {
	*websocket.Conn
	t *testing.T
}

// watch observes, from after the hello.
func watch(t *testing.T, addr string) watcher {
	t.Helper()
	w := watcher{dial(t, websocket.Dialer{}, "ws://"+addr+"/observe"), t}
	if e := w.next(); e.Kind != "hello" {
		t.Fatalf("the first event is %q, not hello", e.Kind)
	}
	return w
}

func (w watcher) next() (e event) {
	w.t.Helper()
	if err := w.ReadJSON(&e); err != nil {
		w.t.Fatal(err)
	}
	return e
}

// until skips events to one of a kind, on a side.
func (w watcher) until(kind, side string) event {
	w.t.Helper()
	for {
		e := w.next()
		if e.Kind == kind && e.Side == side {
			return e
		}
		if e.Kind == "error" {
			w.t.Fatalf("waiting for a %s: %s", kind, e.Text)
		}
	}
}

// frame skips events to a frame with an opcode.
func (w watcher) frame(opcode int, sent bool, side string) *frame {
	w.t.Helper()
	for {
		if e := w.until("frame", side); e.Frame.Opcode == opcode && e.Frame.Sent == sent {
			return e.Frame
		}
	}
}

func (w watcher) ask(c command) {
	w.t.Helper()
	if err := w.WriteJSON(c); err != nil {
		w.t.Fatal(err)
	}
}

func read(t *testing.T, c *websocket.Conn, want string) {
	t.Helper()
	if _, p, err := c.ReadMessage(); err != nil || string(p) != want {
		t.Fatalf("received %.60q, %v, want %.60q", p, err, want)
	}
}

func TestPage(t *testing.T) {
	addr, stop := start(t, "")
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

	files := regexp.MustCompile(`(?:src=|href=|from )"([^"]+\.(\w+))"`)
	types := map[string]string{"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
	fetched := map[string]bool{}
	for next := files.FindAllStringSubmatch(get("", "text/html"), -1); len(next) > 0; next = next[1:] {
		if path := next[0][1]; !fetched[path] {
			fetched[path] = true
			next = append(next, files.FindAllStringSubmatch(get(path, types[next[0][2]]), -1)...)
		}
	}
	entries, err := page.ReadDir(".")
	if err != nil || len(entries) != len(fetched)+1 {
		t.Errorf("the page uses %v, which is not all of the %d files that are served", fetched, len(entries)-1)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Pages of other origins can neither observe nor be observed.
func TestOtherOrigins(t *testing.T) {
	dialed := make(chan struct{}, 1)
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() {
		for {
			c, err := target.Accept()
			if err != nil {
				return
			}
			dialed <- struct{}{}
			c.Close()
		}
	}()
	addr, _ := start(t, "ws://"+target.Addr().String())
	w := watch(t, addr)
	for _, path := range []string{"/observe", "/ws"} {
		_, resp, err := websocket.DefaultDialer.Dial("ws://"+addr+path, http.Header{"Origin": {"http://elsewhere.example"}})
		if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s for a page from elsewhere: %v, want 403", path, err)
		}
	}
	select {
	case <-dialed:
		t.Error("a page from elsewhere made the inspector dial")
	default:
	}
	if h := w.until("handshake", clientSide).Handshake; !strings.Contains(h.Error, "elsewhere.example") || h.Response != "" {
		t.Errorf("the refusal is shown as %q, response %q", h.Error, h.Response)
	}
}

func TestShutdownIsObserved(t *testing.T) {
	addr, stop := start(t, "")
	w := watch(t, addr)
	c := dial(t, websocket.Dialer{}, "ws://"+addr+"/ws")
	w.until("handshake", clientSide)
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the connection ended with %v, want 1001", err)
	}
	if f := w.frame(websocket.CloseMessage, true, clientSide); string(f.Payload[:2]) != "\x03\xe9" {
		t.Errorf("close frame % x, want 1001", f.Payload)
	}
	w.until("end", clientSide)
	if _, _, err := w.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the observer's connection ended with %v, want 1001", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// An observer is told of each of its requests that cannot be met.
func TestCommandErrors(t *testing.T) {
	addr, _ := start(t, "")
	w := watch(t, addr)
	dial(t, websocket.Dialer{}, "ws://"+addr+"/ws?tab=mine")
	w.until("handshake", clientSide)
	for sent, want := range map[string]string{
		`{"do":"ping","tab":"other"}`:                                          "not connected",
		`{"do":"dance","tab":"mine"}`:                                          `"dance"`,
		`{"do":"ping","tab":"mine","text":"` + strings.Repeat("x", 126) + `"}`: "125 bytes",
		`{"do":"close","tab":"mine","code":1004}`:                              "1004",
		`no JSON`: "not a command",
	} {
		w.WriteMessage(websocket.TextMessage, []byte(sent))
		if e := w.until("error", ""); !strings.Contains(e.Text, want) {
			t.Errorf("%.60s: %q, want %q in it", sent, e.Text, want)
		}
	}
}
