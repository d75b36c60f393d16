package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func init() {
	halfEvents = append(halfEvents, enqueueEvents...)
	halfActions = append(halfActions,
		halfAction{"Enqueue", func(c *Conn) error { return c.Enqueue(TextMessage, []byte("x")) }, "text x"},
		halfAction{"EnqueuePrepared", func(c *Conn) error {
			pm, err := NewPreparedMessage(TextMessage, []byte("x"))
			if err == nil {
				err = c.EnqueuePrepared(pm)
			}
			return err
		}, "text x"},
		halfAction{"Enqueue of a ping", func(c *Conn) error { return c.Enqueue(PingMessage, []byte("x")) }, "ping x"},
	)
	stressWrites = append(stressWrites,
		stressWrite{"Enqueue", func(c *Conn, p []byte, _ *stressRand) error {
			return stressFull(c.Enqueue(BinaryMessage, p))
		}, true},
		stressWrite{"EnqueuePrepared", func(c *Conn, p []byte, _ *stressRand) error {
			pm, err := NewPreparedMessage(BinaryMessage, p)
			if err == nil {
				err = stressFull(c.EnqueuePrepared(pm))
			}
			return err
		}, true},
	)
}

// stressFull makes a write that found a full queue be tried again.
func stressFull(err error) error {
	if err == ErrQueueFull {
		return errStressFull
	}
	return err
}

// dropped records the calls of Trace.Dropped.
type dropped struct {
	mu    sync.Mutex
	calls []string
}

func (d *dropped) trace() *Trace {
	return &Trace{Dropped: func(_ *Conn, messages, bytes int) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.calls = append(d.calls, fmt.Sprintf("%d messages, %d bytes", messages, bytes))
	}}
}

// want requires these calls, before long.
func (d *dropped) want(calls ...string) error {
	var got []string
	for deadline := time.Now().Add(atOnce()); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		d.mu.Lock()
		got = slices.Clone(d.calls)
		d.mu.Unlock()
		if slices.Equal(got, calls) {
			return nil
		}
	}
	return fmt.Errorf("Trace.Dropped was told %q, want %q", got, calls)
}

// enqueue queues messages, which must not take any time.
func (h *halfCase) enqueue(texts ...string) {
	result := make(chan error, 1)
	for _, text := range texts {
		go func() { result <- h.c.Enqueue(TextMessage, []byte(text)) }()
		if err, ok := within(result, atOnce()); err != nil || !ok {
			h.errorf("Enqueue: %v (returned %v)", err, ok)
		}
	}
}

// enqueueUnderWay is enqueue for messages that a close frame passes, unless they are on their way.
// If no write is under way, the first one is.
func (h *halfCase) enqueueUnderWay(texts ...string) {
	h.enqueue(texts...)
	if h.open == nil && h.stuck == nil {
		for _, text := range texts {
			h.may = append(h.may, "text "+text)
		}
	}
}

var enqueueEvents = []halfEvent{
	{name: "Enqueue", run: func(h *halfCase) {
		h.enqueue("q1", "q2")
		if h.open != nil { // a message is atomic
			h.write("the rest of the open message", h.finishMessage, "text first second", "text q1", "text q2")
			return
		}
		h.goesOn("text q1", "text q2")
	}},
	{name: "Enqueue, then WriteMessage", run: func(h *halfCase) {
		h.enqueue("q1", "q2")
		h.later = make(chan error, 1)
		go func() { h.later <- h.c.WriteMessage(TextMessage, []byte("w")) }()
		time.Sleep(halfSettle / 5)
		if h.open != nil {
			h.write("the rest of the open message", h.finishMessage, "text first second", "text q1", "text q2", "text w")
		} else {
			h.wantWire(append(slices.Clone(h.first), "text q1", "text q2", "text w"))
			h.wantStuck("", nil)
		}
		if err, ok := within(h.later, atOnce()); err != nil || !ok {
			h.errorf("WriteMessage behind queued messages: %v (returned %v)", err, ok)
		}
	}},
	{name: "Enqueue between pings", run: func(h *halfCase) {
		h.peer.send(h.peer.frame(opPing, true, "p1"))
		h.peer.sendText("a")
		h.wantGot("a")
		h.enqueue("q")
		h.peer.send(h.peer.frame(opPing, true, "p2"))
		h.peer.sendText("b")
		h.wantGot("b")
		if h.open != nil {
			h.wantPongs(nil, "pong p2", 1)
			h.write("the rest of the open message", h.finishMessage, "text first second", "text q")
			return
		}
		if h.stuck == nil { // the first pong, and the queued messages, may be on their way
			h.wantWire(append(slices.Clone(h.first), "pong p2", "text q"), append(slices.Clone(h.first), "text q", "pong p2"),
				append(slices.Clone(h.first), "pong p1", "pong p2", "text q"), append(slices.Clone(h.first), "pong p1", "text q", "pong p2"))
			return
		}
		h.wantPongs(h.first, "pong p2", 1) // control frames pass queued messages
		h.wantWire([]string{"text q"})
		h.wantStuck("", nil)
	}},
	{name: "Enqueue, then Shutdown", run: func(h *halfCase) {
		if h.open != nil {
			return // the queued messages wait for the program
		}
		h.enqueue("q1", "q2")
		result := make(chan error, 1)
		go func() { result <- h.c.Shutdown(context.Background(), CloseNormalClosure, "") }()
		time.Sleep(halfSettle)
		h.first = append(h.first, "text q1", "text q2") // the program's close goes behind them
		h.answersClose("Shutdown", "close 1000", result)
	}},
	{name: "Enqueue, then a close frame by Enqueue", run: func(h *halfCase) {
		h.enqueueUnderWay("q1", "q2")
		if err := h.c.Enqueue(CloseMessage, FormatCloseMessage(4001, "")); err != nil {
			h.errorf("Enqueue of a close frame: %v", err)
		}
		h.wantLast("close 4001") // the close frame passes the queued messages
		h.wantStuck("", nil)
		h.writeLater()
		h.wantLater()
		if err := h.c.Enqueue(TextMessage, []byte("q3")); err != ErrCloseSent {
			h.errorf("Enqueue after the close frame: %v, want ErrCloseSent", err)
		}
	}},
	{name: "Enqueue, then the peer's close", run: func(h *halfCase) {
		h.enqueueUnderWay("q1", "q2")
		h.peer.sendClose(4000)
		h.wantEnd("a CloseError with 4000", func(err error) bool { return IsCloseError(err, 4000) })
		h.letRead()
		h.isOver("close 4000")
	}},
	{name: "Enqueue, then a violation", run: func(h *halfCase) {
		h.enqueueUnderWay("q1", "q2")
		h.peer.send(h.peer.frame(3, true, ""))
		h.wantEnd("a ProtocolError", func(err error) bool { return errors.As(err, new(*ProtocolError)) })
		h.letRead()
		h.isOver("close 1002")
	}},
}

// If the connection ends with queued messages, they are reported once, in every kind of end.
func TestEnqueueDropped(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(h *halfCase)
	}{
		{"Close", func(h *halfCase) { h.c.Close() }},
		{"close frame of the peer's", func(h *halfCase) {
			h.peer.sendClose(4000)
			h.wantEnd("a CloseError", func(err error) bool { return IsCloseError(err, 4000) })
			time.Sleep(halfSettle / 5)
			h.wantWire(append(slices.Clone(h.first), "close 4000"))
			h.c.Close()
		}},
		{"close frame by Enqueue", func(h *halfCase) {
			h.c.Enqueue(CloseMessage, FormatCloseMessage(4000, ""))
			h.wantWire(append(slices.Clone(h.first), "close 4000"))
			h.c.Close()
		}},
		{"violation", func(h *halfCase) {
			h.peer.send(h.peer.frame(3, true, ""))
			h.wantEnd("a ProtocolError", func(err error) bool { return errors.As(err, new(*ProtocolError)) })
			time.Sleep(halfSettle / 5)
			h.wantWire(append(slices.Clone(h.first), "close 1002"))
			h.c.Close()
		}},
		{"transport", func(h *halfCase) { h.peer.socket.Close() }},
		{"Shutdown's context", func(h *halfCase) {
			ctx, cancel := context.WithTimeout(context.Background(), halfSettle)
			defer cancel()
			h.c.Shutdown(ctx, CloseNormalClosure, "")
		}},
		{"nothing, all goes out", nil},
	} {
		for _, transport := range []string{"tcp", "tls"} {
			for _, client := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/client %v", tt.name, transport, client), func(t *testing.T) {
					t.Parallel()
					var d dropped
					h, err := newHalfCase(halfKind{transport, client, "ReadMessage"}, func(o *rawOptions) { o.trace = d.trace() })
					if err != nil {
						t.Fatal(err)
					}
					h.block(rawStuckMessage)
					h.enqueue("one", "three", "2")
					if messages, n, age := h.c.Queued(); messages != 3 || n < 9 || n > 60 || age < 0 || age > time.Minute {
						t.Errorf("Queued: %d messages, %d bytes, %v", messages, n, age)
					}
					_, n, _ := h.c.Queued()
					want := []string{fmt.Sprintf("3 messages, %d bytes", n)}
					if tt.end != nil {
						tt.end(h)
					} else {
						want = nil
						h.goesOn("text one", "text three", "text 2")
					}
					if err := d.want(want...); err != nil {
						t.Error(err)
					}
					h.end()
					if err := d.want(want...); err != nil { // and not again
						t.Error(err)
					}
					if messages, n, age := h.c.Queued(); messages != 0 || n != 0 || age != 0 {
						t.Errorf("Queued at the end: %d messages, %d bytes, %v", messages, n, age)
					}
					for _, err := range h.errs {
						t.Error(err)
					}
				})
			}
		}
	}
}

// A queued message that is older than QueueTimeout ends the connection, even if no write holds the
// lock. The bound holds for control frames too.
func TestEnqueueTimeout(t *testing.T) {
	const timeout = 200 * time.Millisecond
	for _, state := range halfStates {
		if state.name == "NextWriter open" {
			continue
		}
		t.Run(state.name, func(t *testing.T) {
			t.Parallel()
			for _, transport := range []string{"tcp", "tls"} {
				kind := halfKind{transport, false, "ReadMessage"}
				if state.only != nil && !state.only(kind) {
					continue
				}
				var d dropped
				row := halfRow{options: func(o *rawOptions) {
					o.trace = d.trace()
					o.upgrader = func(u *Upgrader) { u.QueueTimeout = timeout }
				}, run: func(h *halfCase) {
					if state.begin(h); h.retry {
						return
					}
					start := time.Now()
					h.enqueue("late")
					late := func(err error) bool {
						ne, ok := errors.AsType[net.Error](err)
						return ok && ne.Timeout()
					}
					h.wantStuck("a timeout", late)
					h.later = make(chan error, 1)
					go func() { h.later <- h.c.WriteMessage(TextMessage, nil) }()
					if err, ok := within(h.later, timeout+atOnce()); !ok || !late(err) {
						h.errorf("a write after QueueTimeout: %v (returned %v), want a timeout", err, ok)
					}
					if took := time.Since(start); took < timeout {
						h.errorf("the connection ended after %v, before QueueTimeout", took)
					}
					if err := h.c.Enqueue(TextMessage, nil); !late(err) {
						h.errorf("Enqueue after QueueTimeout: %v, want a timeout", err)
					}
					if len(d.calls) != 1 {
						h.errorf("Trace.Dropped was told %q, want one call", d.calls)
					}
				}}
				for _, err := range row.try(kind) {
					t.Errorf("%v: %s", kind, err)
				}
			}
		})
	}
}

// QueueLimit counts bytes. One message may pass it if nothing else waits.
func TestEnqueueLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := rawMustOpen(t, rawOptions{transport: "pipe", ping: -1, upgrader: func(u *Upgrader) { u.QueueLimit, u.QueueTimeout = 1000, -1 }})
		go rc.c.WriteMessage(TextMessage, []byte("stuck"))
		synctest.Wait()
		wants := func(size int, want error, messages int) {
			t.Helper()
			if err := rc.c.Enqueue(BinaryMessage, make([]byte, size)); !errors.Is(err, want) {
				t.Errorf("Enqueue of %d bytes: %v, want %v", size, err, want)
			}
			if n, _, _ := rc.c.Queued(); n != messages {
				t.Errorf("after %d bytes, %d messages are queued, want %d", size, n, messages)
			}
		}
		wants(600, nil, 1)
		wants(600, ErrQueueFull, 1)
		wants(300, nil, 2)
		wants(300, ErrQueueFull, 2)
		if err := rc.c.Enqueue(PingMessage, []byte("p")); err != nil {
			t.Errorf("a full queue refused a ping: %v", err)
		}
		time.Sleep(time.Hour)
		if _, _, age := rc.c.Queued(); age != time.Hour {
			t.Errorf("Queued's age is %v, want that of the oldest", age)
		}
		for _, want := range []string{"text stuck", "ping p", "binary of 600 bytes", "binary of 300 bytes"} {
			if got := rc.peer.next(halfAtLast); got != want {
				t.Errorf("the peer read %q, want %q", got, want)
			}
		}
		synctest.Wait()
		if messages, n, age := rc.c.Queued(); messages != 0 || n != 0 || age != 0 {
			t.Errorf("after all was sent: %d messages, %d bytes, %v", messages, n, age)
		}
		go rc.c.WriteMessage(TextMessage, []byte("stuck"))
		synctest.Wait()
		wants(5000, nil, 1)
		wants(1, ErrQueueFull, 1)
	})
}

// 256 KiB and 10 s are the defaults.
func TestEnqueueDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := rawMustOpen(t, rawOptions{transport: "pipe", ping: -1})
		stuck := make(chan error, 1)
		go func() { stuck <- rc.c.WriteMessage(TextMessage, []byte("stuck")) }()
		synctest.Wait()
		n := 0
		for rc.c.Enqueue(BinaryMessage, make([]byte, 1024)) == nil {
			n++
		}
		if n < 240 || n > 257 {
			t.Errorf("%d messages of 1 KiB were queued, want some 256", n)
		}
		start := time.Now()
		if err, ok := within(stuck, time.Minute); !ok || err == nil || time.Since(start) < 9*time.Second || time.Since(start) > 12*time.Second {
			t.Errorf("the stuck write returned %v after %v, want a timeout after 10 s", err, time.Since(start))
		}
	})
}

// Enqueue does not keep data.
func TestEnqueueCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := rawMustOpen(t, rawOptions{transport: "pipe"})
		buf := []byte("before")
		for range 2 {
			if err := rc.c.Enqueue(TextMessage, buf); err != nil {
				t.Error(err)
			}
		}
		copy(buf, "after!")
		for range 2 {
			if got := rc.peer.next(halfAtLast); got != "text before" {
				t.Errorf("the peer read %q", got)
			}
		}
	})
}

// Enqueue refuses the same arguments as WriteMessage, with the same errors.
func TestEnqueueRefuses(t *testing.T) {
	rc := rawMustOpen(t, rawOptions{transport: "tcp"})
	for name, err := range map[string]error{
		"type 0":            rc.c.Enqueue(0, nil),
		"type 3":            rc.c.Enqueue(3, nil),
		"long ping":         rc.c.Enqueue(PingMessage, make([]byte, 126)),
		"close of one byte": rc.c.Enqueue(CloseMessage, []byte{3}),
		"close with 1005":   rc.c.Enqueue(CloseMessage, []byte{3, 0xed}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := rc.c.Enqueue(TextMessage, nil); err != nil {
		t.Errorf("after all that was refused: %v", err)
	}
	rc.c.Close()
	if err := rc.c.Enqueue(TextMessage, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want net.ErrClosed", err)
	}
}

// Compressed messages refer to those that were sent before them, by any way of sending.
func TestEnqueueCompressed(t *testing.T) {
	repeatColumns(t, func(t *testing.T, open func(t *testing.T) *repeatPair) {
		p := open(t)
		defer p.end()
		text := func(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "message %d, ", i), 9+i) }
		pm, _ := NewPreparedMessage(TextMessage, text(3))
		p.gate.setShut(true)
		var wg sync.WaitGroup
		wg.Go(func() { p.writer.WriteMessage(TextMessage, text(0)) })
		time.Sleep(time.Millisecond)
		for _, err := range []error{p.writer.Enqueue(TextMessage, text(1)), p.writer.Enqueue(TextMessage, text(2)), p.writer.EnqueuePrepared(pm)} {
			if err != nil {
				t.Error(err)
			}
		}
		wg.Go(func() { p.writer.WriteMessage(TextMessage, text(4)) })
		time.Sleep(time.Millisecond)
		p.gate.setShut(false)
		for i := range 5 {
			want := rawMessage(opText, text(i), int64(len(text(i))))
			if got := p.next(); got != want {
				t.Errorf("message %d: the peer read %q, want %q", i, got, want)
			}
		}
		wg.Wait()
	})
}

// A peer that keeps up costs no goroutine, on a socket.
func TestEnqueueWithoutGoroutine(t *testing.T) {
	rc := rawMustOpen(t, rawOptions{transport: "tcp"})
	before, most := runtime.NumGoroutine(), 0
	for i := range 1000 {
		if err := rc.c.Enqueue(TextMessage, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		most = max(most, runtime.NumGoroutine())
		if got, want := rc.peer.next(halfAtLast), fmt.Sprint("text ", i); got != want {
			t.Fatalf("the peer read %q, want %q", got, want)
		}
	}
	if most > before {
		t.Errorf("%d goroutines, %d before", most, before)
	}
}

// WriteMessage and Shutdown go behind the queued messages, even if those are just being handed over
// to a goroutine, because the socket takes nothing. Luck decides about it, so it is tried many
// times.
func TestEnqueueOrder(t *testing.T) {
	write := func(h *halfCase) error { return h.c.WriteMessage(TextMessage, []byte("last")) }
	for _, tt := range []struct {
		name string
		last func(h *halfCase) error
		wire string
	}{
		{"WriteMessage", write, "text last"},
		{"NextWriter", func(h *halfCase) error { return writeInPieces(h.c, []byte("last")) }, "text last"},
		{"close frame", func(h *halfCase) error {
			return h.c.Shutdown(context.Background(), CloseNormalClosure, "")
		}, "close 1000"},
	} {
		row := halfRow{run: func(h *halfCase) {
			if h.fill(); h.retry {
				return
			}
			h.enqueue("q1", "q2")
			go tt.last(h)
			time.Sleep(halfSettle / 5)
			h.wantWire(append(slices.Clone(h.first), "text q1", "text q2", tt.wire))
		}}
		t.Run(tt.name, func(t *testing.T) {
			var wg sync.WaitGroup
			defer wg.Wait()
			for i := range 100 {
				kind := halfKind{"tcp", i%2 == 0, "ReadMessage"}
				halfTurns <- true
				wg.Go(func() {
					defer func() { <-halfTurns }()
					for _, err := range row.try(kind) {
						t.Errorf("%v: %s", kind, err)
					}
				})
			}
		})
	}
}
