package websocket

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// On a transport without deadlines, a context or deadline that ends closes the transport: nothing else can
// interrupt a read or a write there.
func TestNoDeadlines(t *testing.T) {
	for _, tt := range []struct {
		name string
		call func(ctx context.Context, c *Conn) error
		is   error
	}{
		{"ReadMessageContext", func(ctx context.Context, c *Conn) error {
			_, _, err := c.ReadMessageContext(ctx)
			return err
		}, context.DeadlineExceeded},
		{"WriteMessageContext", func(ctx context.Context, c *Conn) error {
			return c.WriteMessageContext(ctx, TextMessage, nil)
		}, context.DeadlineExceeded},
		{"WriteControl", func(ctx context.Context, c *Conn) error {
			deadline, _ := ctx.Deadline()
			return c.WriteControl(PingMessage, nil, deadline)
		}, net.ErrClosed},
		{"Shutdown", func(ctx context.Context, c *Conn) error {
			return c.Shutdown(ctx, CloseNormalClosure, "")
		}, context.DeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe() // whose other end neither reads nor writes
			defer b.Close()
			c := newConn(noDeadlines{a}, false)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begun := time.Now()
			if err := tt.call(ctx, c); !errors.Is(err, tt.is) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.is)
			}
			if took := time.Since(begun); took != time.Second {
				t.Errorf("%s took %v", tt.name, took)
			}
			if _, _, err := c.ReadMessage(); err == nil {
				t.Errorf("%s: reading goes on", tt.name)
			}
			c.Close()
		})
	}
	c := newConn(noDeadlines{&chunkedConn{}}, false)
	if err := c.SetReadDeadline(time.Now()); err != errNoDeadlines {
		t.Errorf("SetReadDeadline: %v, want the transport's error", err)
	}
	if err := c.SetWriteDeadline(time.Now()); err != errNoDeadlines {
		t.Errorf("SetWriteDeadline: %v, want the transport's error", err)
	}
}

// The opening handshake is bounded there too.
func TestNoDeadlinesHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newListener()
		srv := &Server{Handler: func(*Conn, *http.Request) {}, Upgrader: Upgrader{HandshakeTimeout: time.Second}}
		go srv.Serve(l)
		defer srv.Close()
		s, c := net.Pipe()
		defer c.Close()
		l.conns <- noDeadlines{s}
		begun := time.Now()
		if _, err := c.Read(make([]byte, 1)); err == nil || time.Since(begun) != time.Second {
			t.Errorf("a silent client: %v after %v, want the end after a second", err, time.Since(begun))
		}
	})
}

// A message that lies in the read buffer when Close returns is delivered to nobody.
func TestHandleMessagesAfterClose(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		go clientSends(client, append(frame(opText, true, "first", testKey), frame(opText, true, "second", testKey)...))
		calls := 0
		err := server.HandleMessages(func(c *Conn, _ int, data []byte) {
			calls++
			closed := make(chan bool)
			go func() {
				c.Close()
				close(closed)
			}()
			<-closed
		})
		if calls != 1 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%d calls, and %v; want one, and net.ErrClosed", calls, err)
		}
	})
}
