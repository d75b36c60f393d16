package websocket

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// crypto/tls refuses all writes after one that a deadline ended. A control message whose deadline
// has already passed does not reach crypto/tls.
func TestTLSControlAfterItsDeadline(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		if err := server.WriteControl(PingMessage, nil, longAgo); !isTimeout(err) {
			t.Errorf("ping after its deadline: %v, want a timeout", err)
		}
		go server.WriteMessage(TextMessage, []byte("usable"))
		if _, p, err := client.ReadMessage(); string(p) != "usable" || err != nil {
			t.Errorf("after it: %q, %v", p, err)
		}
	})
}

func TestTLSWriteTimeoutIsFinal(t *testing.T) {
	s, c := tlsPair(t)
	defer c.Close()
	server := newConn(s, false)
	defer server.Close()
	server.SetWriteDeadline(longAgo)
	if err := server.WriteMessage(TextMessage, []byte("x")); !isTimeout(err) || server.out.err != nil {
		t.Errorf("write after its deadline: %v, want a timeout that is not final", err)
	}
	var first error
	for wait := 50 * time.Millisecond; server.out.err == nil && wait < time.Minute; wait *= 2 {
		server.SetWriteDeadline(time.Now().Add(wait))                  // may have passed before the write, on a slow machine
		first = server.WriteMessage(TextMessage, make([]byte, 32<<20)) // more than a socket takes
	}
	server.SetWriteDeadline(time.Time{})
	if second := server.WriteMessage(TextMessage, []byte("x")); !isTimeout(first) || second != first {
		t.Errorf("writes: %v, then %v; want a timeout, and the same again", first, second)
	}
}

// TLS sends an alert when it closes. If the peer does not read, that takes a second, independently
// of deadlines that others set at the same time.
func TestTLSCloseWithStuckPeer(t *testing.T) {
	config := testTLS().Clone()
	config.SessionTicketsDisabled = true // a ticket would have to be read
	synctest.Test(t, func(t *testing.T) {
		s, c := net.Pipe()
		ts, tc := tls.Server(s, config), tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		go ts.Handshake()
		if err := tc.Handshake(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		server := newConn(ts, false)
		start := time.Now()
		closed := make(chan time.Duration)
		go func() {
			server.Close()
			closed <- time.Since(start)
		}()
		synctest.Wait()
		go server.Shutdown(t.Context(), CloseGoingAway, "")
		if took := <-closed; took > time.Second {
			t.Errorf("Close took %v", took)
		}
		c.Close()
		synctest.Wait()
	})
}

// A reason that is too long is cut between characters. The connection is closed in any case.
func TestShutdownCutsReason(t *testing.T) {
	server, client := pipePair(t)
	go server.Shutdown(t.Context(), CloseInternalServerErr, strings.Repeat("ü", 100))
	if _, _, err := client.ReadMessage(); !IsCloseError(err, CloseInternalServerErr) || !strings.HasSuffix(err.Error(), strings.Repeat("ü", 61)) {
		t.Errorf("the client was told %v", err)
	}
}
