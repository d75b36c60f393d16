//go:build unix

package websocket

import (
	"errors"
	"net"
	"runtime"
	"testing"
	"time"
)

// reset cuts a connection off: its peer gets RST.
func reset(nc net.Conn) {
	nc.(*net.TCPConn).SetLinger(0)
	nc.Close()
}

// A reset is noticed at once, at any time: with a message, while that is handled, before or after
// it is answered.
func TestHandleMessagesMeetsReset(t *testing.T) {
	for _, tt := range []struct {
		name   string
		atOnce bool // with the message
		f      func(c *Conn, client net.Conn, last bool)
	}{
		{"nothing is answered", true, func(*Conn, net.Conn, bool) {}},
		{"all is answered", true, func(c *Conn, _ net.Conn, _ bool) { c.WriteMessage(TextMessage, []byte("answer")) }},
		{"reset before the answer", false, func(c *Conn, client net.Conn, last bool) {
			if last {
				reset(client)
			}
			c.WriteMessage(TextMessage, []byte("answer"))
		}},
		{"reset after the answer", false, func(c *Conn, client net.Conn, last bool) {
			c.WriteMessage(TextMessage, []byte("answer"))
			if last {
				reset(client)
			}
		}},
		{"reset between two answers", false, func(c *Conn, client net.Conn, last bool) {
			c.WriteMessage(TextMessage, []byte("answer"))
			if last {
				reset(client)
			}
			c.WriteMessage(TextMessage, []byte("answer"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { testReset(t, tt.atOnce, tt.f) })
	}
}

func testReset(t *testing.T, atOnce bool, f func(c *Conn, client net.Conn, last bool)) {
	// While this goroutine does not wait, no other runs. So the message and the reset are both
	// there when the server's goroutine looks.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	unnoticed := 0
	for range 50 {
		s, client := tcpPair(t)
		server := newConn(s, false)
		done := make(chan error, 1)
		go func() {
			n := 0
			done <- server.HandleMessages(func(c *Conn, _ int, _ []byte) {
				n++
				f(c, client, n == 4)
			})
		}()
		message := frame(opText, true, "x", testKey)
		for range 3 {
			client.Write(message)
			time.Sleep(time.Millisecond)
		}
		client.Write(message)
		if atOnce {
			reset(client)
		}
		select {
		case err := <-done:
			if isTimeout(err) || errors.Is(err, net.ErrClosed) {
				t.Errorf("HandleMessages: %v", err)
			}
		case <-time.After(100 * time.Millisecond):
			unnoticed++
		}
		server.Close()
	}
	if unnoticed > 0 {
		t.Errorf("%d of 50 resets went unnoticed", unnoticed)
	}
}
