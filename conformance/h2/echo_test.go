package h2

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
	"golang.org/x/net/http2"
)

// A style is a way to serve, as an http.Handler that echoes, with the settings of u.
type style struct {
	name    string
	handler func(u websocket.Upgrader) http.Handler
}

func echoAll(c *websocket.Conn) error {
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil {
			return err
		}
		if err := c.WriteMessage(messageType, p); err != nil {
			return err
		}
	}
}

func echoMessage(c *websocket.Conn, messageType int, data []byte) { c.WriteMessage(messageType, data) }

func echoHandled(c *websocket.Conn) error { return c.HandleMessages(echoMessage) }

func echoRead(c *websocket.Conn) error {
	for {
		messageType, r, err := c.NextReader()
		if err != nil {
			return err
		}
		w, err := c.NextWriter(messageType)
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
}

func server(echo func(*websocket.Conn) error) func(u websocket.Upgrader) http.Handler {
	return func(u websocket.Upgrader) http.Handler {
		return &websocket.Server{Upgrader: u, Handler: func(c *websocket.Conn, _ *http.Request) { echo(c) }}
	}
}

func upgrader(echo func(*websocket.Conn) error) func(u websocket.Upgrader) http.Handler {
	return func(u websocket.Upgrader) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := u.Upgrade(w, r, nil)
			if err != nil {
				return // Upgrade has answered
			}
			defer c.Close()
			echo(c)
		})
	}
}

var styles = []style{
	{"Server", server(echoAll)},
	{"Server, HandleMessages", server(echoHandled)},
	{"Server, NextReader", server(echoRead)},
	{"OnMessage", func(u websocket.Upgrader) http.Handler { return &websocket.Server{Upgrader: u, OnMessage: echoMessage} }},
	{"Upgrader", upgrader(echoAll)},
	{"Upgrader, HandleMessages", upgrader(echoHandled)},
}

func forEachStyle(t *testing.T, u websocket.Upgrader, f func(t *testing.T, c *Client)) {
	for _, s := range styles {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			f(t, dial(t, serve(t, s.handler(u)), Options{}))
		})
	}
}

// The tests' switch works: else all of them would fail for a reason that is not theirs.
func TestSwitchedOn(t *testing.T) {
	c := dial(t, serve(t, http.NotFoundHandler()), Options{})
	if v, ok := c.Setting(http2.SettingEnableConnectProtocol); !ok || v != 1 {
		t.Fatalf("SETTINGS_ENABLE_CONNECT_PROTOCOL is %d, %v", v, ok)
	}
}

// Messages of all sizes come back in every style of serving, over TLS with ALPN.
func TestEcho(t *testing.T) {
	t.Parallel()
	forEachStyle(t, websocket.Upgrader{}, func(t *testing.T, c *Client) {
		p := open(t, c)
		for _, n := range []int{0, 1, 125, 126, 4095, 4096, 16384, 65535, 65536, 200_000, 3 << 20} {
			want := strings.Repeat("x", n)
			go p.Write(frame(opBinary, []byte(want)))
			p.expectMessage(t, want)
		}
		p.send(t, opPing, "are you there?")
		p.expect(t, opPong, "are you there?")
		p.send(t, opClose, "\x03\xe8bye")
		p.expectClose(t, 1000)
		p.expectEnd(t)
	})
}

// DATA frames may cut the stream of bytes anywhere, and be empty: their borders mean nothing.
func TestDataFramesOfAnySize(t *testing.T) {
	t.Parallel()
	forEachStyle(t, websocket.Upgrader{}, func(t *testing.T, c *Client) {
		var all []byte
		messages := []string{"", "a", strings.Repeat("b", 125), strings.Repeat("c", 126), strings.Repeat("d", 3000)}
		for _, m := range messages {
			all = append(all, frame(opText, []byte(m))...)
		}
		for _, size := range []int{1, 2, 3, 7, 100, 1024, 16 << 10} {
			p := open(t, c)
			go func() {
				p.WriteFrames(nil, size)
				p.WriteFrames(all, size)
				c.send(func() error { return c.fr.WriteData(p.ID, false, nil) })
				c.send(func() error {
					return c.fr.WriteDataPadded(p.ID, false, frame(opText, []byte("padded")), make([]byte, 200))
				})
			}()
			for _, m := range append(slices.Clone(messages), "padded") {
				p.expectMessage(t, m)
			}
		}
	})
}

// Many streams of one TCP connection, their frames mixed, do not disturb each other.
func TestManyStreams(t *testing.T) {
	t.Parallel()
	forEachStyle(t, websocket.Upgrader{}, func(t *testing.T, c *Client) {
		var wg sync.WaitGroup
		for range 50 {
			p := open(t, c)
			wg.Go(func() {
				for range 20 {
					m := strings.Repeat(string(rune('a'+rand.N(26))), rand.N(3000))
					go p.WriteFrames(frame(opBinary, []byte(m)), 1+rand.N(500))
					p.expectMessage(t, m)
				}
				p.send(t, opClose, "")
			})
		}
		wg.Wait()
	})
}

// Subprotocol, compression and origin are agreed on as over HTTP/1.1. The client is the library's own
// behind a proxy that translates its handshake.
func TestNegotiation(t *testing.T) {
	t.Parallel()
	u := websocket.Upgrader{Subprotocols: []string{"b", "a"}, Compression: &websocket.Compression{}}
	forEachStyle(t, u, func(t *testing.T, c *Client) {
		d := websocket.Dialer{NetDialContext: c.DialStream, Subprotocols: []string{"a", "b"}, Compression: &websocket.Compression{}}
		conn, resp, err := d.Dial("ws://example.com/", http.Header{"Origin": {"https://example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if conn.Subprotocol() != "b" || !strings.Contains(resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
			t.Errorf("subprotocol %q, extensions %q", conn.Subprotocol(), resp.Header["Sec-Websocket-Extensions"])
		}
		for n := range 50 {
			want := strings.Repeat("many words, of which most come again. ", n*20)
			if err := conn.WriteMessage(websocket.TextMessage, []byte(want)); err != nil {
				t.Fatal(err)
			}
			if _, p, err := conn.ReadMessage(); err != nil || string(p) != want {
				t.Fatalf("message %d: %d bytes, %v", n, len(p), err)
			}
		}
		if err := conn.Shutdown(t.Context(), websocket.CloseNormalClosure, "bye"); err != nil {
			t.Error(err)
		}
	})
}

// OnOpen, OnMessage and OnClose are called once each, in their order, and OnOpen may write more than
// any buffer holds.
func TestEvents(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("o", 300_000)
	var mu sync.Mutex
	var events []string
	closed := make(chan error, 1)
	note := func(e string) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}
	srv := &websocket.Server{
		OnOpen: func(c *websocket.Conn, r *http.Request) {
			note("open " + r.URL.Path + " " + r.Proto)
			c.WriteMessage(websocket.TextMessage, []byte(large))
			c.SetValue("state")
		},
		OnMessage: func(c *websocket.Conn, messageType int, data []byte) {
			note("message " + string(data) + " " + c.Value().(string))
			c.WriteMessage(messageType, data)
		},
		OnClose: func(c *websocket.Conn, err error) {
			note("close")
			closed <- err
		},
	}
	p := open(t, dial(t, serve(t, srv), Options{}))
	p.expect(t, opText, large)
	p.send(t, opText, "1")
	p.expect(t, opText, "1")
	p.send(t, opClose, "\x03\xe8")
	p.expectClose(t, 1000)
	p.expectEnd(t)
	within(t, "OnClose", func() {
		if e, ok := errors.AsType[*websocket.CloseError](<-closed); !ok || e.Code != 1000 {
			t.Errorf("OnClose got %v", e)
		}
	})
	want := []string{"open / HTTP/2.0", "message 1 state", "close"}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(events, want) {
		t.Errorf("events %q, want %q", events, want)
	}
}

// A read that a deadline or a context ends loses nothing, in the middle of a frame and between two.
func TestReadGoesOnAfterADeadline(t *testing.T) {
	t.Parallel()
	step, errs := make(chan struct{}), make(chan error, 10)
	handle := func(c *websocket.Conn) error {
		for range 3 {
			c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, _, err := c.ReadMessage()
			errs <- err
			c.SetReadDeadline(time.Time{})
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			_, _, err = c.ReadMessageContext(ctx)
			cancel()
			errs <- err
			step <- struct{}{}
			step <- struct{}{}
		}
		return echoAll(c)
	}
	for _, s := range []style{{"Server", server(handle)}, {"Upgrader", upgrader(handle)}} {
		t.Run(s.name, func(t *testing.T) {
			p := open(t, dial(t, serve(t, s.handler(websocket.Upgrader{})), Options{}))
			b := frame(opText, []byte("Hello"))
			for i, piece := range [][]byte{b[:1], b[1:8], b[8:]} {
				within(t, "the deadlines", func() { <-step })
				if err := <-errs; !isTimeout(err) {
					t.Errorf("read %d: %v, want a timeout", i, err)
				}
				if err := <-errs; !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("read %d: %v, want the context's error", i, err)
				}
				p.Write(piece)
				time.Sleep(5 * time.Millisecond)
				<-step
			}
			p.expect(t, opText, "Hello")
		})
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && e.Timeout()
}
