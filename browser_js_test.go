package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"syscall/js"
	"testing"
	"time"
)

// A WebSocket that does as the test says. Its events come from the event loop, as real ones do. It
// throws as the WebSockets Standard says.
const fakeWebSocket = `(class FakeWebSocket {
	constructor(url, protocols) {
		if (url.includes("forbidden")) throw new DOMException("insecure", "SecurityError");
		Object.assign(this, {url, protocols, readyState: 0, bufferedAmount: 0, protocol: "", sent: [], closes: []});
		FakeWebSocket.last = this;
	}
	send(data) {
		if (this.readyState === 0) throw new DOMException("connecting", "InvalidStateError");
		this.sent.push(typeof data === "string" ? data : Array.from(data).join());
	}
	close(code, reason) {
		if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) throw new DOMException("code", "InvalidAccessError");
		if (this.readyState >= 2) return;
		this.readyState = 2;
		this.closes.push(code + " " + reason);
	}
	fire(name, event) { setTimeout(() => { const f = this["on" + name]; if (f) f(event); }); }
	open(protocol) { this.readyState = 1; this.protocol = protocol; this.fire("open", {}); }
	end(code, reason, wasClean) { this.readyState = 3; this.fire("close", {code, reason, wasClean}); }
	give(data) { this.fire("message", {data}); }
	bytes(n) { this.give(new Uint8Array(n).buffer); }
})`

// fakeBrowser puts the fake into the place of the real one, until the test ends.
func fakeBrowser(t *testing.T) (class js.Value) {
	before := js.Global().Get("WebSocket")
	t.Cleanup(func() { js.Global().Set("WebSocket", before) })
	class = js.Global().Call("eval", fakeWebSocket)
	js.Global().Set("WebSocket", class)
	return class
}

// fakeDial opens a connection over a fake.
func fakeDial(t *testing.T, d Dialer) (*Conn, js.Value) {
	t.Helper()
	class := fakeBrowser(t)
	opening := time.AfterFunc(time.Millisecond, func() { class.Get("last").Call("open", "") })
	defer opening.Stop()
	c, resp, err := d.Dial("ws://server.example/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Body == nil || len(resp.Header) > 0 {
		t.Errorf("the response is %v", resp)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	return c, class.Get("last")
}

// fakeSettle waits until the events that were fired have come.
func fakeSettle() {
	done := make(chan struct{})
	f := js.FuncOf(func(js.Value, []js.Value) any { close(done); return nil })
	defer f.Release()
	js.Global().Call("setTimeout", f, 20)
	<-done
}

// fakeWants requires that the fake was given these messages.
func fakeWants(t *testing.T, ws js.Value, want ...string) {
	t.Helper()
	sent := ws.Get("sent")
	if got := sent.Call("join", "|").String(); got != strings.Join(want, "|") {
		t.Errorf("the browser was given %q, want %q", got, want)
	}
}

// What a browser cannot do is refused, with the setting's name, before anything is opened. Connect
// does not try again.
func TestBrowserRefusesSettings(t *testing.T) {
	class := fakeBrowser(t)
	jar, _ := cookiejar.New(nil)
	for _, tt := range []struct {
		name   string
		d      Dialer
		url    string
		header http.Header
	}{
		{name: "TLSClientConfig", d: Dialer{TLSClientConfig: new(tls.Config)}},
		{name: "Jar", d: Dialer{Jar: jar}},
		{name: "Compression", d: Dialer{Compression: &Compression{}}},
		{name: "PingInterval", d: Dialer{PingInterval: time.Second}},
		{name: "Proxy", d: Dialer{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example"})}},
		{name: "Host", header: http.Header{"Host": {"other.example"}}},
		{name: "Origin", header: http.Header{"Origin": {"http://server.example"}}},
		{name: "User-Agent", header: http.Header{"user-agent": {"me"}}},
		{name: "Authorization, X-A", header: http.Header{"X-A": {"1"}, "Authorization": {"Bearer x"}}},
		{name: "Authorization", url: "ws://user:password@server.example/"},
	} {
		if tt.url == "" {
			tt.url = "ws://server.example/"
		}
		c, resp, err := tt.d.Dial(tt.url, tt.header)
		if c != nil || resp != nil || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), tt.name) {
			t.Errorf("%s: %v, %v, want an error that names it", tt.name, c, err)
		}
		for c, err := range tt.d.Connect(t.Context(), tt.url, tt.header) {
			if c != nil || !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: Connect: %v, %v", tt.name, c, err)
			}
		}
	}
	if !class.Get("last").IsUndefined() {
		t.Error("a WebSocket was opened")
	}
}

// The browser gets the URL with its scheme, encoded path and query, and the subprotocols, from
// either place.
func TestBrowserGetsURLAndSubprotocols(t *testing.T) {
	class := fakeBrowser(t)
	for _, tt := range []struct {
		d      Dialer
		url    string
		header http.Header
		want   string
	}{
		{Dialer{}, "ws://server.example/a b?q='1'", nil, "ws://server.example/a%20b?q=%271%27 []"},
		{Dialer{EnableCompression: true}, "https://server.example:444", http.Header{}, `wss://server.example:444 []`},
		{Dialer{Subprotocols: []string{"chat.v2", "chat"}}, "wss://server.example/", nil, `wss://server.example/ ["chat.v2","chat"]`},
		{Dialer{}, "ws://[::1]:80/", http.Header{"Sec-WebSocket-Protocol": {"a, b"}}, `ws://[::1]:80/ ["a","b"]`},
	} {
		opening := time.AfterFunc(time.Millisecond, func() { class.Get("last").Call("open", "chat") })
		c, resp, err := tt.d.Dial(tt.url, tt.header)
		opening.Stop()
		if err != nil {
			t.Error(err)
			continue
		}
		ws := class.Get("last")
		got := ws.Get("url").String() + " " + js.Global().Get("JSON").Call("stringify", ws.Get("protocols")).String()
		if got != tt.want || c.Subprotocol() != "chat" || resp.Header.Get("Sec-WebSocket-Protocol") != "chat" {
			t.Errorf("%s: %s, %q, %v; want %s", tt.url, got, c.Subprotocol(), resp.Header, tt.want)
		}
		c.Close()
	}
}

// A connection that cannot be opened is an error in words, and leaves nothing behind.
func TestBrowserOpenFails(t *testing.T) {
	class := fakeBrowser(t)
	_, _, err := new(Dialer).Dial("ws://forbidden.example/", nil)
	if err == nil || !strings.Contains(err.Error(), "insecure") {
		t.Errorf("the constructor throws: %v", err)
	}

	failing := time.AfterFunc(time.Millisecond, func() {
		class.Get("last").Call("fire", "error", map[string]any{})
		class.Get("last").Call("end", 1006, "", false)
	})
	defer failing.Stop()
	_, resp, err := new(Dialer).Dial("ws://server.example/path", nil)
	if resp != nil || err == nil || !strings.Contains(err.Error(), "ws://server.example/path, and does not tell a script why") {
		t.Errorf("events error and close: %v, %v", resp, err)
	}
	if ws := class.Get("last"); !ws.Get("onclose").IsNull() {
		t.Error("the handlers are still there")
	}

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	_, _, err = new(Dialer).DialContext(ctx, "ws://server.example/", nil)
	if ws := class.Get("last"); !errors.Is(err, context.Canceled) || ws.Get("closes").Length() != 1 || !ws.Get("onopen").IsNull() {
		t.Errorf("the context ended: %v, closes %v", err, ws.Get("closes"))
	}

	d := Dialer{HandshakeTimeout: time.Millisecond}
	if _, _, err = d.Dial("ws://server.example/", nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("HandshakeTimeout: %v", err)
	}

	js.Global().Set("WebSocket", js.Undefined())
	if _, _, err = new(Dialer).Dial("ws://server.example/", nil); err == nil || !strings.Contains(err.Error(), "NetDialContext") {
		t.Errorf("no WebSocket: %v", err)
	}
}

// The server may send and close before Dial's goroutine runs again.
func TestBrowserEndsAtOnce(t *testing.T) {
	class := fakeBrowser(t)
	time.AfterFunc(time.Millisecond, func() {
		ws := class.Get("last")
		ws.Call("open", "")
		ws.Call("give", "first")
		ws.Call("end", 4000, "bye", true)
	})
	c, _, err := new(Dialer).Dial("ws://server.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if messageType, p, err := c.ReadMessage(); messageType != TextMessage || string(p) != "first" || err != nil {
		t.Errorf("%d, %q, %v", messageType, p, err)
	}
	_, _, err = c.ReadMessage()
	if e, ok := errors.AsType[*CloseError](err); !ok || e.Code != 4000 || e.Text != "bye" {
		t.Errorf("the end is %v", err)
	}
	if err := c.WriteMessage(TextMessage, nil); err != ErrCloseSent {
		t.Errorf("a write after the end: %v", err)
	}
}

// Whole messages reach the browser, however they were written.
func TestBrowserSends(t *testing.T) {
	c, ws := fakeDial(t, Dialer{})
	c.WriteMessage(TextMessage, []byte("Grüße"))
	c.WriteMessage(BinaryMessage, []byte{0, 255})
	c.WriteMessage(BinaryMessage, nil)
	w, _ := c.NextWriter(TextMessage)
	for range 3 {
		io.WriteString(w, strings.Repeat("x", 20<<10))
	}
	fakeWants(t, ws, "Grüße", "0,255", "")
	w.Close()
	pm, _ := NewPreparedMessage(TextMessage, []byte("prepared"))
	c.WritePreparedMessage(pm)
	c.Enqueue(TextMessage, []byte("queued"))
	large := strings.Repeat("y", 1<<20)
	c.WriteMessage(TextMessage, []byte(large))
	fakeWants(t, ws, "Grüße", "0,255", "", strings.Repeat("x", 60<<10), "prepared", "queued", large)
	if addr := c.RemoteAddr().String(); addr != "server.example:80" {
		t.Errorf("the server's address is %s", addr)
	}
}

// JavaScript would replace wrong bytes without a word.
func TestBrowserSendsNoInvalidText(t *testing.T) {
	c, ws := fakeDial(t, Dialer{})
	if err := c.WriteMessage(TextMessage, []byte("\xff")); !errors.Is(err, errTextNotUTF8) {
		t.Errorf("invalid text: %v", err)
	}
	if _, _, err := c.ReadMessage(); !errors.Is(err, errTextNotUTF8) {
		t.Errorf("a read then: %v", err)
	}
	fakeWants(t, ws)
	if got := ws.Get("closes").Call("join").String(); !strings.HasPrefix(got, "4007 ") {
		t.Errorf("the browser closed with %q", got)
	}
}

// A ping is refused in each form, and does no harm.
func TestBrowserCannotPing(t *testing.T) {
	c, ws := fakeDial(t, Dialer{})
	_, pingErr := c.Ping(t.Context())
	pm, _ := NewPreparedMessage(PingMessage, nil)
	for name, err := range map[string]error{
		"Ping":                 pingErr,
		"WriteControl":         c.WriteControl(PingMessage, nil, time.Time{}),
		"WriteControl, pong":   c.WriteControl(PongMessage, nil, time.Time{}),
		"WriteMessage":         c.WriteMessage(PingMessage, nil),
		"Enqueue":              c.Enqueue(PingMessage, nil),
		"Enqueue, pong":        c.Enqueue(PongMessage, nil),
		"WritePreparedMessage": c.WritePreparedMessage(pm),
		"EnqueuePrepared":      c.EnqueuePrepared(pm),
	} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", name, err)
		}
	}
	c.WriteMessage(TextMessage, []byte("goes on"))
	fakeWants(t, ws, "goes on")
}

// The codes that scripts may not send arrive with 3000 added, going away as 1000.
func TestBrowserCloseCodes(t *testing.T) {
	for code, want := range map[int]string{
		1000: "1000 bye", 1001: "1000 bye", 1002: "4002 bye", 1003: "4003 bye", 1005: "undefined undefined", 1008: "4008 bye",
		1009: "4009 bye", 1011: "4011 bye", 1014: "4014 bye", 3000: "3000 bye", 3999: "3999 bye", 4000: "4000 bye", 4999: "4999 bye",
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			c, ws := fakeDial(t, Dialer{})
			err := c.WriteControl(CloseMessage, FormatCloseMessage(code, "bye"), time.Time{})
			if got := ws.Get("closes").Call("join", "|").String(); got != want || err != nil {
				t.Errorf("the browser closed with %q, %v; want %q", got, err, want)
			}
			c.Close() // which is none the wiser
			if n := ws.Get("closes").Length(); n != 1 {
				t.Errorf("%d close frames", n)
			}
		})
	}
	t.Run("the longest reason", func(t *testing.T) {
		c, ws := fakeDial(t, Dialer{})
		time.AfterFunc(time.Millisecond, func() { ws.Call("end", 4001, "ok", true) })
		reason := strings.Repeat("ü", 70)
		err := c.Shutdown(t.Context(), 4001, reason)
		if got := ws.Get("closes").Call("join").String(); got != "4001 "+reason[:122] || err != nil {
			t.Errorf("the browser closed with %q, %v", got, err)
		}
	})
	t.Run("Close", func(t *testing.T) {
		c, ws := fakeDial(t, Dialer{})
		c.WriteMessage(TextMessage, []byte("last"))
		c.Close()
		fakeWants(t, ws, "last")
		if got := ws.Get("closes").Call("join").String(); got != "4006 " {
			t.Errorf("Close without a closing handshake is %q", got)
		}
		if _, _, err := c.ReadMessage(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read after Close: %v", err)
		}
		for _, name := range []string{"onopen", "onmessage", "onerror", "onclose"} {
			if !ws.Get(name).IsNull() {
				t.Errorf("%s is still there", name)
			}
		}
	})
	t.Run("a message that is too big", func(t *testing.T) {
		c, ws := fakeDial(t, Dialer{ReadLimit: 10})
		ws.Call("bytes", 11)
		if _, _, err := c.ReadMessage(); !errors.Is(err, ErrReadLimit) {
			t.Errorf("11 bytes: %v", err)
		}
		for range 100 { // a goroutine sends it
			if ws.Get("closes").Length() > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if got := ws.Get("closes").Call("join").String(); got != "4009 message exceeds the limit of 10 bytes" {
			t.Errorf("the browser closed with %q", got)
		}
	})
}

// An end without a close frame is code 1006, behind the messages that came before it.
func TestBrowserUncleanEnd(t *testing.T) {
	c, ws := fakeDial(t, Dialer{})
	ws.Call("give", "first")
	ws.Call("end", 1006, "", false)
	fakeSettle()
	if err := c.WriteMessage(TextMessage, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a write: %v", err)
	}
	if _, p, err := c.ReadMessage(); string(p) != "first" || err != nil {
		t.Errorf("the message: %q, %v", p, err)
	}
	if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseAbnormalClosure) {
		t.Errorf("the end: %v", err)
	}
}

// While much waits in the browser, a write waits, until its deadline or for room. It has then sent
// nothing, and can be repeated. Enqueue does not wait.
func TestBrowserBackpressure(t *testing.T) {
	c, ws := fakeDial(t, Dialer{})
	ws.Set("bufferedAmount", maxBuffered+1)
	c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	if err := c.WriteMessage(TextMessage, []byte("timeout")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write without room: %v", err)
	}
	c.SetWriteDeadline(time.Time{})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := c.WriteMessageContext(ctx, TextMessage, []byte("canceled")); !errors.Is(err, context.Canceled) {
		t.Errorf("a write without room: %v", err)
	}
	if err := c.Enqueue(TextMessage, []byte("queued")); err != nil {
		t.Error(err)
	}
	if messages, n, _ := c.Queued(); messages != 1 || n != 6 {
		t.Errorf("%d messages of %d bytes are queued", messages, n)
	}
	written := make(chan error)
	go func() { written <- c.WriteMessage(TextMessage, []byte("written")) }()
	time.Sleep(20 * time.Millisecond)
	fakeWants(t, ws)
	ws.Set("bufferedAmount", maxBuffered)
	if err := <-written; err != nil {
		t.Error(err)
	}
	fakeWants(t, ws, "queued", "written")

	t.Log("QueueTimeout")
	c, ws = fakeDial(t, Dialer{QueueTimeout: 20 * time.Millisecond})
	ws.Set("bufferedAmount", maxBuffered+1)
	c.Enqueue(TextMessage, []byte("queued"))
	if _, _, err := c.ReadMessage(); err != ErrQueueTimeout {
		t.Errorf("a peer that does not read: %v", err)
	}

	t.Log("the end")
	c, ws = fakeDial(t, Dialer{})
	ws.Set("bufferedAmount", maxBuffered+1)
	time.AfterFunc(20*time.Millisecond, func() { ws.Call("end", 1006, "", false) })
	if err := c.WriteMessage(TextMessage, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a write that waits for room at the end: %v", err)
	}
}

// Messages that nobody reads are held, as many bytes as ReadLimit. Then the connection fails.
func TestBrowserHoldsAtMost(t *testing.T) {
	c, ws := fakeDial(t, Dialer{ReadLimit: 1000})
	for range 5 {
		ws.Call("bytes", 400)
	}
	fakeSettle()
	for i := range 2 {
		if _, p, err := c.ReadMessage(); len(p) != 400 || err != nil {
			t.Errorf("message %d: %d bytes, %v", i, len(p), err)
		}
	}
	if _, _, err := c.ReadMessage(); !errors.Is(err, errNotRead) {
		t.Errorf("the third of 400 bytes: %v", err)
	}
	if got := ws.Get("closes").Call("join").String(); got != "4008 messages were not read in time" {
		t.Errorf("the browser closed with %q", got)
	}

	t.Log("many empty ones")
	c, ws = fakeDial(t, Dialer{ReadLimit: 1000})
	for range 1000 {
		ws.Call("give", "")
	}
	fakeSettle()
	held := c.NetConn().(*browserConn).held
	if len(held) > 1000/leastCost {
		t.Errorf("%d empty messages are held", len(held))
	}

	t.Log("no limit")
	c, ws = fakeDial(t, Dialer{ReadLimit: -1})
	for range 50 {
		ws.Call("bytes", 1<<20)
	}
	fakeSettle()
	for i := range 50 {
		if _, p, err := c.ReadMessage(); len(p) != 1<<20 || err != nil {
			t.Fatalf("message %d: %d bytes, %v", i, len(p), err)
		}
	}
}

// A read that a deadline or a context ends loses nothing, in the middle of a message too.
func TestBrowserReadsAreInterrupted(t *testing.T) {
	c, ws := fakeDial(t, Dialer{})
	timeout := func(name string, read func() error) {
		t.Helper()
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if err := read(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v, want a timeout", name, err)
		}
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
	}
	timeout("ReadMessage", func() error { _, _, err := c.ReadMessage(); return err })
	time.AfterFunc(10*time.Millisecond, func() { c.SetReadDeadline(time.Now()) })
	if _, _, err := c.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline that was set while a read waits: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, _, err := c.ReadMessageContext(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a context's end: %v", err)
	}
	ws.Call("bytes", 5000)
	_, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now())
	_, err = io.ReadAll(r)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("in the middle of a message: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	rest, err := io.ReadAll(r)
	if err != nil || len(rest) == 0 || len(rest) > 4990 || len(bytes.Trim(rest, "\x00")) > 0 {
		t.Errorf("the rest: %d bytes, %v", len(rest), err)
	}
}

// Bytes may be written to the transport in pieces of any size.
func TestBrowserTakesFramesInPieces(t *testing.T) {
	class := fakeBrowser(t)
	u, _ := url.Parse("http://server.example/")
	nc, err := newBrowserConn(u, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ws := class.Get("last")
	ws.Set("readyState", 1)
	c := &Conn{client: true}
	var frames []byte
	for _, text := range []string{"", "a", strings.Repeat("b", 300), strings.Repeat("c", 70000)} {
		frames = c.appendFrame(frames, opText, []byte(text))
	}
	for _, size := range []int{1, 2, 7, 1000, len(frames)} {
		ws.Set("sent", js.Global().Get("Array").New())
		for rest := frames; len(rest) > 0; {
			n := min(size, len(rest))
			if n, err := nc.Write(rest[:n]); n != min(size, len(rest)) || err != nil {
				t.Fatalf("Write: %d, %v", n, err)
			}
			rest = rest[n:]
		}
		fakeWants(t, ws, "", "a", strings.Repeat("b", 300), strings.Repeat("c", 70000))
		if nc.frames != nil || nc.message != nil {
			t.Error("an idle connection holds memory")
		}
	}
}
