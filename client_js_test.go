package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// These tests run in real browsers and in Node, against the server of tools/browser, which starts
// both. The server's paths say what it does.

// browserServer returns the URL of the server's path.
func browserServer(t *testing.T, path string) string {
	t.Helper()
	server := os.Getenv("PLAINSOCKET_JS_SERVER")
	if server == "" {
		t.Skip("tools/browser runs this test: tools/browser/run.sh -run TestWasm")
	}
	return server + path
}

// browserDial connects to the server. Nothing may wait for longer than 20 s.
func browserDial(t *testing.T, d *Dialer, path string) *Conn {
	t.Helper()
	c, _, err := d.Dial(browserServer(t, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	c.SetWriteDeadline(time.Now().Add(20 * time.Second))
	return c
}

// browserFate returns how a connection to the server's /echo ended for the server.
func browserFate(t *testing.T, id string) string {
	t.Helper()
	c := browserDial(t, nil, "/fate?id="+id)
	_, p, err := c.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// browserID is a new one for /echo.
func browserID() string { return fmt.Sprint(rand.Uint64()) }

func TestBrowserServerEcho(t *testing.T) {
	c := browserDial(t, nil, "/echo")
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		data := bytes.Repeat([]byte("Grüße, 世界 👩‍🚀 \x00"), size/20+1)
		for _, messageType := range []int{TextMessage, BinaryMessage} {
			sent := data[:size]
			if messageType == TextMessage {
				sent = []byte(strings.ToValidUTF8(string(sent), ""))
			}
			if err := c.WriteMessage(messageType, sent); err != nil {
				t.Fatal(err)
			}
			gotType, got, err := c.ReadMessage()
			if gotType != messageType || !bytes.Equal(got, sent) || err != nil {
				t.Fatalf("a message of type %d with %d bytes: type %d, %d bytes, %v", messageType, size, gotType, len(got), err)
			}
		}
	}
	if err := c.Shutdown(t.Context(), CloseNormalClosure, "done"); err != nil {
		t.Error(err)
	}
}

// Fragments of either side make one message.
func TestBrowserServerFragments(t *testing.T) {
	c := browserDial(t, nil, "/fragments") // which answers with fragments of 1,000 bytes
	w, err := c.NextWriter(BinaryMessage)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		w.Write(make([]byte, 1000))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	messageType, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	p, err := io.ReadAll(r)
	if messageType != BinaryMessage || len(p) != 100_000 || err != nil {
		t.Errorf("type %d, %d bytes, %v", messageType, len(p), err)
	}
}

func TestBrowserServerSubprotocol(t *testing.T) {
	c := browserDial(t, &Dialer{Subprotocols: []string{"soap", "chat"}}, "/echo")
	if got := c.Subprotocol(); got != "chat" {
		t.Errorf("agreed on %q, want chat", got)
	}
	c = browserDial(t, nil, "/echo")
	if got := c.Subprotocol(); got != "" {
		t.Errorf("agreed on %q without an offer", got)
	}
	d := Dialer{Subprotocols: []string{"soap"}}
	if c, _, err := d.Dial(browserServer(t, "/echo"), nil); err == nil || !strings.Contains(err.Error(), "could not connect") {
		t.Errorf("nothing in common: %v, %v", c, err)
	}
}

// The server's close codes come as they were sent.
func TestBrowserServerCloses(t *testing.T) {
	for _, want := range []CloseError{{1000, ""}, {1000, "bye"}, {1001, "going"}, {1011, "Fehler: ü"}, {3000, ""}, {4999, strings.Repeat("x", 123)}, {1005, ""}} {
		t.Run(fmt.Sprint(want.Code, want.Text), func(t *testing.T) {
			c := browserDial(t, nil, fmt.Sprintf("/close?code=%d&reason=%s", want.Code, url.QueryEscape(want.Text)))
			if _, p, err := c.ReadMessage(); string(p) != "last words" || err != nil {
				t.Errorf("the message before: %q, %v", p, err)
			}
			_, _, err := c.ReadMessage()
			if e, ok := errors.AsType[*CloseError](err); !ok || *e != want {
				t.Errorf("the end is %v, want %v", err, &want)
			}
			if err := c.Shutdown(t.Context(), CloseNormalClosure, ""); err != nil {
				t.Errorf("Shutdown then: %v", err)
			}
		})
	}
}

// The program's close codes arrive as browserCloseCode says.
func TestBrowserCloses(t *testing.T) {
	for code, want := range map[int]string{
		1000: "1000 bye", 1001: "1000 bye", 1005: "1005 ", 1011: "4011 bye", 3000: "3000 bye", 4999: "4999 bye",
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			id := browserID()
			c := browserDial(t, nil, "/echo?id="+id)
			if err := c.Shutdown(t.Context(), code, "bye"); err != nil {
				t.Error(err)
			}
			if got := browserFate(t, id); got != want {
				t.Errorf("the server got %q, want %q", got, want)
			}
		})
	}
	t.Run("Close", func(t *testing.T) {
		id := browserID()
		c := browserDial(t, nil, "/echo?id="+id)
		c.WriteMessage(TextMessage, []byte("x"))
		c.Close()
		if got := browserFate(t, id); got != "4006 " {
			t.Errorf("the server got %q", got)
		}
	})
	t.Run("a message beyond ReadLimit", func(t *testing.T) {
		id := browserID()
		c := browserDial(t, &Dialer{ReadLimit: 10}, "/echo?id="+id)
		c.WriteMessage(TextMessage, []byte("eleven byte"))
		if _, _, err := c.ReadMessage(); !errors.Is(err, ErrReadLimit) {
			t.Error(err)
		}
		if got := browserFate(t, id); got != "4009 message exceeds the limit of 10 bytes" {
			t.Errorf("the server got %q", got)
		}
	})
}

// A server whose transport ends without a close frame is code 1006.
func TestBrowserServerDies(t *testing.T) {
	c := browserDial(t, nil, "/die")
	if _, p, err := c.ReadMessage(); string(p) != "last words" || err != nil {
		t.Errorf("the message before: %q, %v", p, err)
	}
	if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseAbnormalClosure) {
		t.Errorf("the end: %v", err)
	}
}

func TestBrowserServerRefuses(t *testing.T) {
	for _, path := range []string{"/refuse", "/no/such/path"} {
		if c, resp, err := new(Dialer).Dial(browserServer(t, path), nil); resp != nil || err == nil || !strings.Contains(err.Error(), "could not connect to ws") {
			t.Errorf("%s: %v, %v, %v", path, c, resp, err)
		}
	}
	browserServer(t, "")
	if c, _, err := new(Dialer).Dial("ws://localhost:9/", nil); err == nil || !strings.Contains(err.Error(), "could not connect to ws") {
		t.Errorf("nothing listens: %v, %v", c, err)
	}
}

// A context ends the opening handshake, and reads, after which reading goes on. So do deadlines.
func TestBrowserServerIsSlow(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if c, _, err := new(Dialer).DialContext(ctx, browserServer(t, "/hang"), nil); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("opening: %v, %v after %v", c, err, time.Since(start))
	}
	c := browserDial(t, nil, "/echo")
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := c.ReadMessageContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ReadMessageContext: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, _, err := c.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ReadMessage: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	c.WriteMessage(TextMessage, []byte("goes on"))
	if _, p, err := c.ReadMessage(); string(p) != "goes on" || err != nil {
		t.Errorf("then: %q, %v", p, err)
	}
}

// A server that does not read makes writes wait, until their deadline.
func TestBrowserServerDoesNotRead(t *testing.T) {
	c := browserDial(t, nil, "/stall")
	message := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(message) // browsers compress
	for i := range 200 {
		c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		if err := c.WriteMessage(BinaryMessage, message); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("write %d: %v", i, err)
			}
			t.Logf("the browser and the system hold %d MiB", i)
			if err := c.Context().Err(); err != nil {
				t.Errorf("the connection has ended: %v", err)
			}
			return
		}
	}
	t.Error("200 MiB were written, and nobody read")
}

// Many messages that come at once are read in order.
func TestBrowserServerFloods(t *testing.T) {
	c := browserDial(t, nil, "/flood?messages=2000&size=1000")
	for i := range 2000 {
		_, p, err := c.ReadMessage()
		if err != nil || len(p) != 1000 || string(p[:4]) != fmt.Sprintf("%04d", i) {
			t.Fatalf("message %d: %.10q, %v", i, p, err)
		}
	}
}

// The browser answers pings, though nobody reads.
func TestBrowserServerPings(t *testing.T) {
	c := browserDial(t, nil, "/ping") // which sends the result
	if _, p, err := c.ReadMessage(); string(p) != "pong" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
}

func TestBrowserServerStream(t *testing.T) {
	s := browserDial(t, nil, "/echo").Stream()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	go s.Write(sent)
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("other bytes came back, or %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Connect comes back after each end.
func TestBrowserServerConnect(t *testing.T) {
	d := Dialer{Retry: &Retry{FirstWait: time.Millisecond, MaxWait: time.Millisecond}}
	connections := 0
	for c, err := range d.Connect(t.Context(), browserServer(t, "/close?code=1012"), nil) {
		if err != nil {
			t.Fatal(err)
		}
		for range c.Messages() {
		}
		if connections++; connections == 2 {
			break
		}
	}

	t.Log("when ctx ends")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	id := browserID()
	for c, err := range d.Connect(ctx, browserServer(t, "/echo?id="+id), nil) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			break
		}
		cancel()
		c.ReadMessage()
	}
	if got := browserFate(t, id); got != "1000 " {
		t.Errorf("the server got %q", got)
	}
}

// Several goroutines write. Each message is whole.
func TestBrowserServerWriters(t *testing.T) {
	c := browserDial(t, nil, "/echo")
	const writers, each = 8, 20
	for i := range writers {
		go func() {
			for range each {
				c.WriteMessage(TextMessage, bytes.Repeat([]byte{'a' + byte(i)}, 40<<10))
			}
		}()
	}
	counts := make(map[byte]int)
	for range writers * each {
		_, p, err := c.ReadMessage()
		if err != nil || len(p) != 40<<10 || len(slices.Compact(p)) != 1 {
			t.Fatalf("%d bytes, %v", len(p), err)
		}
		counts[p[0]]++
	}
	for letter, n := range counts {
		if n != each {
			t.Errorf("%d messages of %c", n, letter)
		}
	}
}
