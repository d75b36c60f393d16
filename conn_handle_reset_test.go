//go:build unix

package websocket

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reset cuts a connection off: its peer gets RST.
func reset(nc net.Conn) {
	nc.(*net.TCPConn).SetLinger(0)
	nc.Close()
}

// A reset is noticed at once, whenever it comes: with a message, with a part of one,
// with many, while one is handled, before or after it is answered.
func TestHandleMessagesMeetsReset(t *testing.T) {
	answer := func(c *Conn, _ func()) { c.WriteMessage(TextMessage, []byte("answer")) }
	message := frame(opText, true, "x", testKey)
	for _, tt := range []struct {
		name string
		last []byte // is sent in one piece
		f    func(c *Conn, reset func())
		late bool // f resets, when it gets the last message
	}{
		{"nothing is answered", message, func(*Conn, func()) {}, false},
		{"all is answered", message, answer, false},
		{"answers are held", bytes.Repeat(message, 5), answer, false},
		{"many reads", bytes.Repeat(frame(opText, true, strings.Repeat("x", 1000), testKey), 120), func(*Conn, func()) {}, false},
		{"a part of a message", frame(opText, true, strings.Repeat("x", 300_000), testKey)[:100_000], answer, false},
		{"a part of a header", message[:3], answer, false},
		{"a pong", frame(opPong, true, "x", testKey), answer, false},
		{"a ping", frame(opPing, true, "x", testKey), answer, false},
		{"another goroutine writes", message, func(c *Conn, _ func()) { go answer(c, nil) }, false},
		{"reset before the answer", message, func(c *Conn, reset func()) { reset(); answer(c, nil) }, true},
		{"reset after the answer", message, func(c *Conn, reset func()) { answer(c, nil); reset() }, true},
		{"reset between two answers", message, func(c *Conn, reset func()) { answer(c, nil); reset(); answer(c, nil) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// While this goroutine does not wait, no other runs: what is sent and the
			// reset are both there when the server's goroutine looks.
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			for i := range 40 {
				testReset(t, i%2 == 1, tt.last, tt.late, tt.f)
			}
		})
	}
}

// testReset sends three messages, each after a while, then last, and resets.
func testReset(t *testing.T, onMessage bool, last []byte, late bool, f func(c *Conn, reset func())) {
	s, client := tcpPair(t)
	server := newConn(s, false)
	defer server.Close()
	n := 0
	handle := func(c *Conn, _ int, _ []byte) {
		n++
		f(c, func() {
			if late && n == 4 {
				reset(client)
			}
		})
	}
	if onMessage { // which moves to a fresh goroutine
		srv := &Server{OnMessage: handle}
		srv.PingInterval = -1
		srv.join(server)
		go srv.drive(server, false)
	} else {
		go func() {
			server.HandleMessages(handle)
			server.Close()
		}()
	}
	for range 3 {
		client.Write(frame(opText, true, "x", testKey))
		time.Sleep(time.Millisecond)
	}
	client.Write(last)
	if !late {
		reset(client)
	}
	for start := time.Now(); !server.flags.has(flagClosed); time.Sleep(100 * time.Microsecond) {
		if time.Since(start) > time.Second {
			t.Fatal("the reset goes unnoticed")
		}
	}
	if err, _ := server.readEnded(); !IsCloseError(err, CloseAbnormalClosure) {
		t.Fatalf("HandleMessages: %v, want 1006", err)
	}
}

// A reset is 1006 for all who read, and can be told from an orderly end.
func TestResetIsAbnormalClosure(t *testing.T) {
	for _, name := range []string{"tcp", "tls"} {
		s, client := transports[name](t)
		server := newConn(s, false)
		if tc, ok := client.(*tls.Conn); ok {
			client = tc.NetConn()
		}
		reset(client)
		_, _, err := server.ReadMessage()
		if !IsCloseError(err, CloseAbnormalClosure) || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v, want 1006 and ECONNRESET", name, err)
		}
		if _, _, again := server.ReadMessage(); again != err {
			t.Errorf("%s, again: %v", name, again)
		}
		server.Close()
	}
}
