package websocket

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// timeless is a transport without deadlines, as a channel of SSH is one.
type timeless struct{ net.Conn }

var errTimeless = errors.New("deadlines are not supported")

func (timeless) SetDeadline(time.Time) error      { return errTimeless }
func (timeless) SetReadDeadline(time.Time) error  { return errTimeless }
func (timeless) SetWriteDeadline(time.Time) error { return errTimeless }

// On a transport without deadlines a context that ends ends the connection, and
// setting a deadline says that it cannot be set.
func TestTransportWithoutDeadlines(t *testing.T) {
	message := []byte("never taken")
	calls := map[string]func(ctx context.Context, c *Conn) error{
		"ReadMessageContext":  func(ctx context.Context, c *Conn) error { _, _, err := c.ReadMessageContext(ctx); return err },
		"WriteMessageContext": func(ctx context.Context, c *Conn) error { return c.WriteMessageContext(ctx, TextMessage, message) },
		"Shutdown":            func(ctx context.Context, c *Conn) error { return c.Shutdown(ctx, CloseNormalClosure, "") },
	}
	for name, call := range calls {
		for _, begun := range []bool{false, true} {
			if begun && name != "ReadMessageContext" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				s, client := net.Pipe()
				defer client.Close()
				c := newConn(timeless{s}, false)
				if begun { // a message
					go client.Write(frame(opText, true, "a message", testKey)[:10])
				}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(10*time.Millisecond, cancel)
				done := make(chan error, 1)
				go func() { done <- call(ctx, c) }()
				select {
				case err := <-done:
					if !errors.Is(err, context.Canceled) {
						t.Errorf("%v, want the context's error", err)
					}
				case <-time.After(10 * time.Second):
					t.Fatal("goes on after its context's end")
				}
				if _, _, err := c.ReadMessage(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("reads afterwards: %v, want net.ErrClosed", err)
				}
				if err := c.WriteMessage(TextMessage, message); err == nil {
					t.Error("writes afterwards succeed")
				}
			})
		}
	}
	t.Run("deadlines", func(t *testing.T) {
		s, client := net.Pipe()
		defer client.Close()
		c := newConn(timeless{s}, false)
		defer c.Close()
		if err := c.SetReadDeadline(time.Now()); err != errTimeless {
			t.Errorf("SetReadDeadline: %v", err)
		}
		if err := c.SetWriteDeadline(time.Now()); err != errTimeless {
			t.Errorf("SetWriteDeadline: %v", err)
		}
		// What could not be set does not hold, also for the lock.
		if d := c.deadlines.userWrite(); !d.IsZero() {
			t.Errorf("a deadline that was refused is kept: %v", d)
		}
	})
	t.Run("message in time", func(t *testing.T) {
		s, client := net.Pipe()
		defer client.Close()
		c := newConn(timeless{s}, false)
		defer c.Close()
		go client.Write(frame(opText, true, "in time", testKey))
		ctx, cancel := context.WithCancel(t.Context())
		_, p, err := c.ReadMessageContext(ctx)
		cancel()
		if string(p) != "in time" || err != nil {
			t.Fatalf("%q, %v", p, err)
		}
		go c.WriteMessage(TextMessage, nil)
		expect(t, client, frame(opText, true, "", 0))
	})
}
