package websocket

import (
	"testing"
	"time"
)

// crypto/tls refuses all writes after one that a deadline ended. A control
// message whose deadline has passed before does not get so far.
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
	first := server.WriteMessage(TextMessage, []byte("x"))
	server.SetWriteDeadline(time.Time{})
	if second := server.WriteMessage(TextMessage, []byte("x")); !isTimeout(first) || second != first {
		t.Errorf("writes: %v, then %v; want a timeout, and the same again", first, second)
	}
}
