package websocket

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// newStuckConn returns a connection whose peer has not begun to read, with room for 1,000 bytes.
func newStuckConn(t *testing.T, d *dropped) *rawConn {
	rc := rawMustOpen(t, rawOptions{transport: "pipe", ping: -1, trace: d.trace(),
		upgrader: func(u *Upgrader) { u.QueueLimit, u.QueueTimeout = 1000, -1 }})
	go rc.c.WriteMessage(TextMessage, []byte("stuck"))
	synctest.Wait()
	return rc
}

// MakeRoom drops the oldest messages, no more than it must, and tells Trace of them.
func TestMakeRoom(t *testing.T) {
	for _, tt := range []struct {
		queued, size, dropped, bytes int // queued: messages of 250 bytes
	}{
		{0, 250, 0, 0},
		{3, 250, 0, 0}, // there is room
		{3, 251, 1, 250},
		{3, 501, 2, 500},
		{3, 750, 2, 500},
		{3, 5000, 3, 750}, // a message may pass the limit if no other waits
	} {
		t.Run(fmt.Sprintf("%d bytes behind %d messages", tt.size, tt.queued), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d dropped
				rc := newStuckConn(t, &d)
				for i := range tt.queued {
					if err := rc.c.Enqueue(BinaryMessage, make([]byte, 250)); err != nil {
						t.Fatalf("message %d: %v", i, err)
					}
				}
				if n := rc.c.MakeRoom(tt.size); n != tt.dropped {
					t.Errorf("it dropped %d messages, want %d", n, tt.dropped)
				}
				var calls []string
				if tt.dropped > 0 {
					calls = []string{fmt.Sprintf("%d messages, %d bytes", tt.dropped, tt.bytes)}
				}
				if err := d.want(calls...); err != nil {
					t.Error(err)
				}
				if err := rc.c.Enqueue(BinaryMessage, make([]byte, tt.size)); err != nil {
					t.Errorf("the message for which room was made: %v", err)
				}
				want := []string{"text stuck"}
				for range tt.queued - tt.dropped {
					want = append(want, "binary of 250 bytes")
				}
				for _, want := range append(want, fmt.Sprintf("binary of %d bytes", tt.size)) {
					if got := rc.peer.next(halfAtLast); got != want {
						t.Errorf("the peer read %q, want %q", got, want)
					}
				}
			})
		})
	}
}

// A close frame that waits behind the messages is not dropped for others, and none goes behind it.
func TestDropsKeepTheGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d dropped
		rc := newStuckConn(t, &d)
		rc.c.Enqueue(BinaryMessage, make([]byte, 900))
		rc.c.goAway(CloseServiceRestart)
		if err := rc.c.Enqueue(BinaryMessage, make([]byte, 10)); err != ErrCloseSent {
			t.Errorf("a message behind the close frame: %v, want ErrCloseSent", err)
		}
		if n := rc.c.MakeRoom(900); n != 0 {
			t.Errorf("MakeRoom dropped %d messages, though none can be queued", n)
		}
		if n := rc.c.DropQueued(); n != 1 {
			t.Errorf("DropQueued dropped %d messages, want 1", n)
		}
		if n := rc.c.DropQueued(); n != 0 {
			t.Errorf("DropQueued dropped %d messages, want none", n)
		}
		for _, want := range []string{"text stuck", "close 1012"} {
			if got := rc.peer.next(halfAtLast); got != want {
				t.Errorf("the peer read %q, want %q", got, want)
			}
		}
		if err := d.want("1 messages, 900 bytes"); err != nil {
			t.Error(err)
		}
	})
}

// ReportDropped tells the Trace what it is told, also after the connection's end, and nothing of
// nothing. If nobody wants to know, it does nothing.
func TestReportDropped(t *testing.T) {
	var d dropped
	rc := rawMustOpen(t, rawOptions{transport: "tcp", trace: d.trace()})
	rc.c.ReportDropped(1, 125)
	rc.c.ReportDropped(0, 0)
	rc.c.ReportDropped(3, 0)
	rc.c.Close()
	rc.c.ReportDropped(1, 7)
	if err := d.want("1 messages, 125 bytes", "3 messages, 0 bytes", "1 messages, 7 bytes"); err != nil {
		t.Error(err)
	}
	rawMustOpen(t, rawOptions{transport: "tcp"}).c.ReportDropped(1, 1)
}

// A prepared message tells the type and the size that it was made with, whatever was made of it
// since.
func TestPreparedMessageTypeAndLen(t *testing.T) {
	for _, kind := range []int{TextMessage, BinaryMessage, CloseMessage, PingMessage, PongMessage} {
		for _, size := range []int{0, 2, 125, 126, 1 << 16, 100_000} {
			if size > 125 && opcode(kind).isControl() {
				continue
			}
			data := make([]byte, size)
			if kind == CloseMessage {
				copy(data, FormatCloseMessage(CloseNormalClosure, ""))
			}
			pm, err := NewPreparedMessage(kind, data)
			if err != nil {
				t.Fatalf("type %d, %d bytes: %v", kind, size, err)
			}
			for _, bits := range []int{9, 15} {
				pm.deflatedFrame(bits)
			}
			if pm.Type() != kind || pm.Len() != size {
				t.Errorf("type %d, %d bytes: it says type %d, %d bytes", kind, size, pm.Type(), pm.Len())
			}
		}
	}
}
