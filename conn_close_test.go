package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestShutdown(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		peer := make(chan error)
		go func() {
			_, _, err := client.ReadMessage()
			// The answer was sent, so this only waits for TCP's end.
			client.Shutdown(noContext, CloseNormalClosure, "")
			peer <- err
		}()
		if err := server.Shutdown(t.Context(), CloseGoingAway, "maintenance"); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-peer; err == nil || err.Error() != "websocket: close 1001 (going away): maintenance" {
			t.Errorf("the peer read %v", err)
		}
		if _, _, err := server.ReadMessage(); !IsCloseError(err, CloseGoingAway) {
			t.Errorf("read after Shutdown: %v, want the peer's close", err)
		}
		if err := server.WriteMessage(TextMessage, nil); err != ErrCloseSent {
			t.Errorf("write after Shutdown: %v, want ErrCloseSent", err)
		}
	})
}

// After reading has ended, the cause decides what Shutdown still sends.
func TestShutdownAfterTheEnd(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		client.nc.Close()
		_, _, ended := server.ReadMessage()
		var sent []Frame
		server.change(func(s *settings) {
			s.trace = &Trace{Frame: func(_ *Conn, f Frame) { sent = append(sent, f) }}
		})
		if err := server.Shutdown(t.Context(), CloseNormalClosure, ""); err != ended || len(sent) > 0 {
			t.Errorf("the transport ended with %v: Shutdown returned %v and sent %v", ended, err, sent)
		}
	})
	// An error of the application's, even if it looks like the transport's.
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		elsewhere := &net.OpError{Op: "write", Net: "tcp", Err: errors.New("broken pipe")}
		server.SetPingHandler(func(string) error { return elsewhere })
		go client.WriteControl(PingMessage, nil, time.Time{})
		if _, _, err := server.ReadMessage(); err != elsewhere {
			t.Errorf("read: %v, want the handler's error", err)
		}
		done := make(chan error)
		go func() { done <- server.Shutdown(t.Context(), CloseBadGateway, "") }()
		if _, _, err := client.ReadMessage(); !IsCloseError(err, CloseBadGateway) {
			t.Errorf("the peer read %v, want close 1014", err)
		}
		<-done
	})
}

func TestShutdownFromBothSidesAtOnce(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		errs := make(chan error)
		go func() { errs <- client.Shutdown(t.Context(), 4001, "") }()
		go func() { errs <- server.Shutdown(t.Context(), 4002, "") }()
		for range 2 {
			if err := <-errs; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		}
	})
}

// Shutdown leaves the messages that still come to a goroutine that reads.
func TestShutdownWhileReading(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		got := make(chan string, 3)
		go func() {
			defer close(got)
			for m := range server.Messages() {
				got <- string(m.Data)
			}
		}()
		go func() {
			client.WriteMessage(TextMessage, []byte("last words"))
			client.ReadMessage()
		}()
		if first := <-got; first != "last words" {
			t.Errorf("message %q", first)
		}
		if err := server.Shutdown(t.Context(), CloseNormalClosure, ""); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if extra, ok := <-got; ok {
			t.Errorf("message %q", extra)
		}
	})
}

func TestShutdownOfSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipePair(t)
		go io.Copy(io.Discard, client.nc) // takes the close frame, answers nothing
		start := time.Now()
		err := server.Shutdown(t.Context(), CloseNormalClosure, "")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != defaultCloseTimeout {
			t.Errorf("Shutdown: %v after %v, want a deadline after %v", err, time.Since(start), defaultCloseTimeout)
		}
		if _, _, err := server.ReadMessage(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after it: %v, want net.ErrClosed", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		server, _ := pipePair(t) // the peer does not even take the close frame
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := server.Shutdown(ctx, CloseNormalClosure, ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Shutdown: %v after %v, want a deadline after 1s", err, time.Since(start))
		}
	})
}

// A client waits for the server to close TCP first. If that does not come in time, the closing
// handshake was done nevertheless.
func TestShutdownOfServerThatKeepsTCP(t *testing.T) {
	for _, transport := range []string{"tcp", "tls", "pipe"} {
		t.Run(transport, func(t *testing.T) {
			rc := rawMustOpen(t, rawOptions{transport: transport, client: true})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				if got := rc.peer.next(5 * time.Second); got != "close 1000" {
					t.Errorf("the server got %q", got)
				}
				rc.peer.sendClose(CloseNormalClosure)
				<-rc.c.Context().Done() // the answer was read
				cancel()
			}()
			if err := rc.c.Shutdown(ctx, CloseNormalClosure, ""); err != nil {
				t.Errorf("Shutdown: %v, though the server has answered", err)
			}
		})
	}
}

// Deadlines that the application set and that have passed do not stop Shutdown.
func TestShutdownAfterDeadlines(t *testing.T) {
	server, client := pipePair(t)
	server.SetReadDeadline(longAgo)
	server.SetWriteDeadline(longAgo)
	go client.ReadMessage()
	if err := server.Shutdown(t.Context(), CloseNormalClosure, ""); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// Messages that the application does not read do not keep the close frame behind them away.
func TestShutdownDropsMessages(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		go func() {
			for range 10 {
				client.WriteMessage(TextMessage, []byte(strings.Repeat("unread", 10_000)))
			}
			client.ReadMessage()
		}()
		if _, r, err := server.NextReader(); err != nil {
			t.Fatal(err)
		} else {
			io.ReadFull(r, make([]byte, 5))
		}
		if err := server.Shutdown(t.Context(), CloseNormalClosure, ""); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// The peer of a connection that failed gets to know the reason, though it was still sending. (Over
// TCP, closing with unread bytes would send RST.)
func TestFailureReachesThePeer(t *testing.T) {
	for range 20 {
		s, c := tcpPair(t)
		server := newConn(s, false)
		go func() {
			server.ReadMessage()
			server.Shutdown(noContext, CloseNormalClosure, "")
		}()
		c.Write(append(frame(3, true, "", testKey), make([]byte, 200_000)...))
		b, err := io.ReadAll(c)
		if err != nil || len(b) < 4 || b[2] != 0x03 || b[3] != 0xea {
			t.Fatalf("the peer read %q, %v; want a close frame with 1002 and then EOF", b, err)
		}
		c.Close()
	}
}

func TestErrorsSayWhoClosed(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		client.nc.Close()
		_, _, err := server.ReadMessage()
		if !IsCloseError(err, CloseAbnormalClosure) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("abrupt end: %v, want 1006 that wraps io.ErrUnexpectedEOF", err)
		}
	})
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		time.AfterFunc(10*time.Millisecond, func() { server.Close() })
		if _, _, err := server.ReadMessage(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read that our own Close ended: %v, want net.ErrClosed", err)
		}
		if err := server.WriteMessage(TextMessage, nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after our own Close: %v, want net.ErrClosed", err)
		}
		if err := server.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		go client.WriteControl(CloseMessage, nil, time.Time{})
		go client.ReadMessage()
		if _, _, err := server.ReadMessage(); !IsCloseError(err, CloseNoStatusReceived) {
			t.Errorf("close without a code: %v, want 1005", err)
		}
	})
}

// After Close has returned no message is delivered, also if Close waits for a close frame that is
// being sent.
func TestNoMessageAfterCloseFrame(t *testing.T) {
	for _, transport := range []string{"tcp", "tls", "pipe"} {
		t.Run(transport, func(t *testing.T) {
			var calls atomic.Int32
			rc := rawMustOpen(t, rawOptions{transport: transport, onMessage: func(c *Conn, _ int, _ []byte) {
				calls.Add(1)
				c.Enqueue(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""))
				c.Close()
			}})
			rc.peer.sendText(slices.Repeat([]string{"message"}, 100)...)
			for i := 0; i < 3 && !strings.HasPrefix(rc.peer.next(5*time.Second), "the end"); i++ {
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("%d messages were delivered, want 1", n)
			}
		})
	}
}
