package websocket

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The outbox at its bounds: a full buffer, a full queue, keys and frames that must not get lost.

// Pending answers and control frames fill the buffer of one write. A queued message behind them
// still goes out before a later one.
func TestQueuedMessageBehindFullBuffer(t *testing.T) {
	c, peer := newHeldConn(t, rawOptions{transport: "tcp"})
	c.flags.set(flagMore) // the first answer is deferred
	want := []string{"binary of 16000 bytes"}
	if err := c.writeFrame(opBinary, true, make([]byte, 16000)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		ping := strings.Repeat("p", maxControlPayload)
		if err := c.Enqueue(PingMessage, []byte(ping)); err != nil {
			t.Fatal(err)
		}
		want = append(want, "ping "+ping)
	}
	if err := c.Enqueue(TextMessage, []byte("queued")); err != nil {
		t.Fatal(err)
	}
	c.flags.clear(flagMore)
	c.unlockWrite()
	if err := c.WriteMessage(TextMessage, []byte("later")); err != nil {
		t.Fatal(err)
	}
	for _, want := range append(want, "text queued", "text later") {
		if got := peer.next(5 * time.Second); got != want {
			t.Fatalf("the peer got %.40q, want %.40q", got, want)
		}
	}
}

// newHeldConn opens a connection whose out.lock the test holds, as a slow writer does.
func newHeldConn(t *testing.T, o rawOptions) (*Conn, *rawPeer) {
	t.Helper()
	rc := rawMustOpen(t, o)
	for i := 0; !rc.c.out.lock.tryLock(); i++ {
		if i == 1000 {
			t.Fatal("somebody else writes")
		}
		time.Sleep(time.Millisecond)
	}
	return rc.c, rc.peer
}

// A close frame that waits behind queued messages, as that of Server.Shutdown, is not dropped to make
// room for more. Nothing is accepted behind it.
func TestMakeRoomKeepsCloseFrame(t *testing.T) {
	c, peer := newHeldConn(t, rawOptions{transport: "tcp", upgrader: func(u *Upgrader) { u.QueueLimit = 1000 }})
	for _, text := range []string{"a", "b"} {
		if err := c.Enqueue(TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	c.goAway(CloseGoingAway)
	if err := c.Enqueue(TextMessage, []byte("c")); err != ErrCloseSent {
		t.Errorf("Enqueue behind a close frame: %v, want ErrCloseSent", err)
	}
	if n := c.MakeRoom(2000); n != 0 {
		t.Errorf("MakeRoom dropped %d messages, though nothing can be queued any more", n)
	}
	c.unlockWrite()
	for _, want := range []string{"text a", "text b", "close 1001"} {
		if got := peer.next(5 * time.Second); got != want {
			t.Fatalf("the peer got %q, want %q", got, want)
		}
	}
}

// MakeRoom drops nothing for a message that would not fit anyway, beside the one that is being
// sent.
func TestMakeRoomInVain(t *testing.T) {
	c, peer := newHeldConn(t, rawOptions{transport: "tcp", upgrader: func(u *Upgrader) { u.QueueLimit = 1000 }})
	if err := c.Enqueue(TextMessage, make([]byte, 900)); err != nil {
		t.Fatal(err)
	}
	sending := c.gather()
	if err := c.Enqueue(TextMessage, []byte("second")); err != nil {
		t.Fatal(err)
	}
	if n := c.MakeRoom(500); n != 0 {
		t.Errorf("MakeRoom dropped %d messages, and there is no room for another one", n)
	}
	c.dispatch(sending)
	c.unlockWrite()
	for _, want := range []string{"text of 900 bytes", "text second"} {
		if got := peer.next(5 * time.Second); got != want {
			t.Fatalf("the peer got %q, want %q", got, want)
		}
	}
}

// Messages of which the transport has taken a part, or nothing yet, count as queued until they are
// sent, also if others are refused meanwhile. So does a close frame, behind which nothing is
// accepted, and which Close waits for.
func TestRefusedMessageForgetsNothing(t *testing.T) {
	t.Run("message", func(t *testing.T) {
		drops := new(dropped)
		c, peer := newHeldConn(t, rawOptions{transport: "tcp", trace: drops.trace(), upgrader: func(u *Upgrader) { u.QueueLimit = 1000 }})
		c.Enqueue(TextMessage, make([]byte, 900))
		sending := c.gather()
		if err := c.Enqueue(TextMessage, make([]byte, 900)); err != ErrQueueFull {
			t.Errorf("Enqueue: %v, want ErrQueueFull", err)
		}
		if messages, bytes, _ := c.Queued(); messages != 1 || bytes != 900 {
			t.Errorf("%d messages of %d bytes are queued, want 1 of 900", messages, bytes)
		}
		peer.socket.Close()
		sending.recycle()
		c.endWriting(ErrQueueTimeout)
		c.unlockWrite()
		if err := drops.want("1 messages, 900 bytes"); err != nil {
			t.Error(err)
		}
	})
	t.Run("close frame", func(t *testing.T) {
		c, peer := newHeldConn(t, rawOptions{transport: "tcp"})
		c.goAway(CloseGoingAway)
		sending := c.gather()
		for range 2 {
			if err := c.Enqueue(TextMessage, []byte("x")); err != ErrCloseSent {
				t.Errorf("Enqueue: %v, want ErrCloseSent", err)
			}
		}
		c.dispatch(sending)
		c.unlockWrite()
		if got := peer.next(5 * time.Second); got != "close 1001" {
			t.Errorf("the peer got %q, want close 1001", got)
		}
	})
}

// A key that EnqueueLatest cannot use is an error, and the connection is none the worse for it.
func TestEnqueueLatestRefusesKeys(t *testing.T) {
	c, peer := newHeldConn(t, rawOptions{transport: "tcp"})
	pm, err := NewPreparedMessage(TextMessage, []byte("state"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // with an empty queue, and with one that has a key
		for _, key := range []any{nil, []int{1}, map[int]int{}, func() {}, [1]any{[]int{1}}, struct{ f func() }{}} {
			if _, err := c.EnqueueLatest(key, pm); err == nil {
				t.Errorf("key %T: no error", key)
			}
		}
		if _, err := c.EnqueueLatest([1]any{"comparable"}, pm); err != nil {
			t.Error(err)
		}
	}
	c.unlockWrite()
	if got := peer.next(5 * time.Second); got != "text state" {
		t.Errorf("the peer got %q", got)
	}
}

// The age of what waits is that of the oldest message, also while that is being sent.
func TestQueuedAge(t *testing.T) {
	const wait = 50 * time.Millisecond
	wantAge := func(t *testing.T, c *Conn) {
		t.Helper()
		time.Sleep(wait)
		if messages, _, age := c.Queued(); messages == 0 || age < wait || age > time.Minute {
			t.Errorf("%d messages wait, the oldest for %v, want more than %v", messages, age, wait)
		}
	}
	t.Run("sent at once in part", func(t *testing.T) {
		for _, transport := range []string{"tcp", "tls", "pipe"} {
			rc := rawMustOpen(t, rawOptions{transport: transport})
			if err := rc.c.Enqueue(BinaryMessage, rawStuckMessage); err != nil {
				t.Fatal(err)
			}
			wantAge(t, rc.c)
			rc.c.Enqueue(TextMessage, []byte("younger"))
			wantAge(t, rc.c)
		}
	})
	t.Run("taken from the queue", func(t *testing.T) {
		c, _ := newHeldConn(t, rawOptions{transport: "tcp"})
		c.Enqueue(TextMessage, []byte("old"))
		wantAge(t, c)
		sending := c.gather()
		wantAge(t, c)
		c.dispatch(sending)
		c.unlockWrite()
	})
}

// A goroutine that was about to give the lock to a writer, who gave up in that moment, goes on
// sending. QueueTimeout bounds it as before.
func TestSendingGoesOnWithinQueueTimeout(t *testing.T) {
	hook := new(deadlineHook)
	c, _ := newHeldConn(t, rawOptions{transport: "pipe", wrap: func(nc net.Conn) net.Conn {
		hook.Conn = nc
		return hook
	}})
	c.SetWriteDeadline(time.Now().Add(time.Hour)) // is restored before the lock is given away
	c.liftWrite()
	box := c.lockOutbox()
	box.draining = true
	box.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() { gaveUp <- c.WriteMessageContext(ctx, TextMessage, nil) }()
	for c.out.lock.firstWaiter() == nil {
		time.Sleep(time.Millisecond)
	}
	hook.call = func() {
		cancel()
		<-gaveUp
	}
	before := time.Now()
	if c.passOn(new(writersTurn)) {
		t.Fatal("the lock was given to a writer who had given up")
	}
	box = c.lockOutbox()
	if box.timer == nil || box.moved.Before(before) {
		t.Errorf("nothing bounds the sending: timer %v, moved %v", box.timer != nil, box.moved)
	}
	box.mu.Unlock()
	c.stopDraining()
	c.unlockWrite()
}

// A deadlineHook is a transport that calls a function once when a deadline for writes is set.
type deadlineHook struct {
	net.Conn
	call func()
}

func (h *deadlineHook) SetWriteDeadline(t time.Time) error {
	if call := h.call; call != nil && !t.IsZero() {
		h.call = nil
		call()
	}
	return h.Conn.SetWriteDeadline(t)
}

// Somebody who leaves a frame for each one that is sent does not keep a writer from returning.
func TestWriterIsNotHeldByOthers(t *testing.T) {
	var stop atomic.Bool
	defer stop.Store(true)
	rc := rawMustOpen(t, rawOptions{transport: "tcp", trace: &Trace{Frame: func(c *Conn, f Frame) {
		if f.Sent && !stop.Load() {
			c.Enqueue(PingMessage, nil)
		}
	}}})
	wrote := make(chan error, 1)
	go func() { wrote <- rc.c.WriteMessage(TextMessage, []byte("x")) }()
	go func() {
		for rc.peer.next(10*time.Second) != "" && !stop.Load() {
		}
	}()
	select {
	case err := <-wrote:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("WriteMessage sends other callers' frames for ever")
	}
}

// A PreparedMessage that NewPreparedMessage has not made is an error for both sides.
func TestZeroPreparedMessage(t *testing.T) {
	for _, client := range []bool{false, true} {
		c := rawMustOpen(t, rawOptions{transport: "tcp", client: client}).c
		var pm PreparedMessage
		_, latest := c.EnqueueLatest("key", &pm)
		for _, err := range []error{c.WritePreparedMessage(&pm), c.EnqueuePrepared(&pm), latest} {
			if err != errZeroPrepared {
				t.Errorf("client %v: error %v", client, err)
			}
		}
	}
}
