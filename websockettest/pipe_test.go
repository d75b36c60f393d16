package websockettest_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/websockettest"
)

// One goroutine has a conversation with itself, with messages of any size below
// the buffer's.
func TestPipe(t *testing.T) {
	client, server := websockettest.Pipe()
	defer client.Close()
	defer server.Close()
	for _, text := range []string{"", "hello", strings.Repeat("a megabyte of it ", 1<<20/17)} {
		for from, to := range map[*websocket.Conn]*websocket.Conn{client: server, server: client} {
			if err := from.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
				t.Fatal(err)
			}
			messageType, p, err := to.ReadMessage()
			if messageType != websocket.TextMessage || string(p) != text || err != nil {
				t.Fatalf("read type %d, %d bytes, %v; want text of %d", messageType, len(p), err, len(text))
			}
		}
	}
	if a, b := client.LocalAddr(), server.RemoteAddr(); a.String() != b.String() || a.String() == server.LocalAddr().String() {
		t.Errorf("the client is at %v, for the server at %v, which is at %v", a, b, server.LocalAddr())
	}
	// Frames from the client are masked, the server's are not.
	client.WriteControl(websocket.PingMessage, []byte("p"), time.Time{})
	b := make([]byte, 64)
	if n, _ := server.NetConn().Read(b); n != 7 || b[1] != 0x81 {
		t.Errorf("the client's ping is % x", b[:n])
	}
}

// The closing handshake, begun by either side, while the other reads.
func TestPipeShutdown(t *testing.T) {
	for _, name := range []string{"client", "server"} {
		synctest.Test(t, func(t *testing.T) {
			a, b := websockettest.Pipe()
			if name == "server" {
				a, b = b, a
			}
			done := make(chan error, 1)
			go func() {
				_, _, err := b.ReadMessage()
				done <- err
				b.Close()
			}()
			start := time.Now()
			if err := a.Shutdown(t.Context(), 4000, "enough"); err != nil {
				t.Errorf("the %s's Shutdown: %v", name, err)
			}
			if err := <-done; !websocket.IsCloseError(err, 4000) {
				t.Errorf("the other end read %v", err)
			}
			if d := time.Since(start); d != 0 {
				t.Errorf("the %s's Shutdown took %v", name, d)
			}
		})
	}
}

// Deadlines work in fake time. A read that gave up loses nothing, and a peer that does not read
// makes writes wait.
func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := websockettest.Pipe()
		defer client.Close()
		defer server.Close()
		start := time.Now()
		client.SetReadDeadline(start.Add(time.Hour))
		if _, _, err := client.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("read: %v after %v", err, time.Since(start))
		}
		client.SetReadDeadline(time.Time{})
		server.WriteMessage(websocket.TextMessage, []byte("late"))
		if _, p, err := client.ReadMessage(); string(p) != "late" || err != nil {
			t.Errorf("read: %q, %v", p, err)
		}
		client.SetWriteDeadline(time.Now().Add(time.Minute))
		var err error
		for messages := 0; err == nil; messages++ {
			if err = client.WriteMessage(websocket.BinaryMessage, make([]byte, 64<<10)); messages > 100 {
				t.Fatal("a write went on although the peer does not read")
			}
		}
		if nerr, ok := errors.AsType[net.Error](err); !ok || !nerr.Timeout() {
			t.Errorf("write: %v", err)
		}
	})
}

// A peer that goes away without a close frame.
func TestPipeAbruptEnd(t *testing.T) {
	client, server := websockettest.Pipe()
	defer server.Close()
	client.WriteMessage(websocket.TextMessage, []byte("bye"))
	client.Close()
	if _, p, err := server.ReadMessage(); string(p) != "bye" || err != nil {
		t.Errorf("the bytes sent before the end: %q, %v", p, err)
	}
	if _, _, err := server.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseAbnormalClosure) {
		t.Errorf("the end: %v, want code 1006", err)
	}
}
