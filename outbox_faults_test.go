package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Faults that were found in the halves of a connection have one test each here. halves_test.go has
// the general rules. The numbers in names are those of the list that they come from.

// faultColumns are a server's and a client's connection over each kind of socket.
func faultColumns(t *testing.T, test func(t *testing.T, transport string, client bool)) {
	for _, transport := range []string{"tcp", "tls"} {
		for _, role := range []string{"server", "client"} {
			t.Run(transport+"/"+role, func(t *testing.T) { test(t, transport, role == "client") })
		}
	}
}

// 1: a server pushes more than its client reads, and goes on with the client's requests.
func TestFault1RequestsBehindPushes(t *testing.T) {
	const requests = 3000
	for _, style := range []string{"ReadMessage", "HandleMessages", "OnMessage", "CoalesceWrites"} {
		t.Run(style, func(t *testing.T) {
			t.Parallel()
			h, err := newHalfCase(halfKind{"tcp", false, style}, nil)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for h.c.WriteMessage(BinaryMessage, rawStuckMessage[:64<<10]) == nil {
				}
			}()
			time.Sleep(halfSettle)
			for range requests / 10 {
				h.peer.sendText(slices.Repeat([]string{"request"}, 10)...)
			}
			for i := range requests {
				if _, ok := within(h.got, atOnce()); !ok {
					t.Errorf("%d of %d requests were handled", i, requests)
					break
				}
			}
			h.end()
		})
	}
}

// 2, 3, 4: a peer reads after a longer time than any limit of the library. The reading half's
// frames are sent then, and the connection lives.
func TestFault2To4PeerReadsLate(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for 6 s")
	}
	t.Parallel()
	const late = 6 * time.Second
	var rows []halfRow
	for _, state := range halfStates {
		if state.name == "NextWriter open" {
			continue
		}
		rows = append(rows,
			halfRow{name: state.name + ", ping", only: state.only, run: func(h *halfCase) {
				if state.begin(h); h.retry {
					return
				}
				h.peer.send(h.peer.frame(opPing, true, "p"))
				time.Sleep(late)
				h.goesOn("pong p")
			}},
			halfRow{name: state.name + ", close", only: state.only, run: func(h *halfCase) {
				if state.begin(h); h.retry {
					return
				}
				h.peer.sendClose(4000)
				h.wantEnd("a CloseError with 4000", func(err error) bool { return IsCloseError(err, 4000) })
				time.Sleep(late)
				h.isOver("close 4000")
			}},
			halfRow{name: state.name + ", violation", only: state.only, run: func(h *halfCase) {
				if state.begin(h); h.retry {
					return
				}
				h.peer.send(h.peer.frame(3, true, ""))
				h.wantEnd("a ProtocolError", func(err error) bool { return errors.As(err, new(*ProtocolError)) })
				time.Sleep(late)
				h.isOver("close 1002")
			}},
		)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, transport := range []string{"tcp", "tls"} {
		for _, client := range []bool{false, true} {
			for _, style := range []string{"ReadMessage", "HandleMessages"} {
				kind := halfKind{transport, client, style}
				for _, row := range rows {
					if row.appliesTo(kind) {
						row.name = kind.String() + ": " + row.name
						wg.Go(func() { row.report(t, kind) })
					}
				}
			}
		}
	}
}

// 4: on TLS, a write that gave up is the last, so no deadline of the library's own ends the writing
// half. No write is under way, and the transport takes nothing, when a ping arrives, or keepalive's
// is due.
func TestFault4PongBehindFullTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for 6 s")
	}
	t.Parallel()
	row := halfRow{options: func(o *rawOptions) {
		o.ping, o.pong = time.Second, -1
		o.wrap = func(nc net.Conn) net.Conn { return &gatedConn{Conn: nc} }
	}, run: func(h *halfCase) {
		gate := h.c.NetConn().(*tls.Conn).NetConn().(*gatedConn)
		gate.setShut(true)
		h.peer.send(h.peer.frame(opPing, true, "p"))
		h.peer.sendText("a")
		h.wantGot("a")
		time.Sleep(6500 * time.Millisecond)
		gate.setShut(false)
		h.wantWire([]string{"pong p", "ping"}, []string{"ping", "pong p"})
		h.write("a write after it", func() error { return h.c.WriteMessage(TextMessage, []byte("usable")) }, "text usable")
	}}
	var wg sync.WaitGroup
	for _, client := range []bool{false, true} {
		for _, style := range []string{"ReadMessage", "HandleMessages"} {
			kind := halfKind{"tls", client, style}
			wg.Go(func() {
				for _, err := range row.try(kind) {
					t.Errorf("%v: %s", kind, err)
				}
			})
		}
	}
	wg.Wait()
}

// 5: a deadline counts for the call that it was set for, not for bytes that the call left to be
// sent later.
func TestFault5DeadlineOfHeldAnswer(t *testing.T) {
	for _, transport := range []string{"pipe", "tcp", "tls"} {
		for _, style := range []string{"OnMessage", "HandleMessages"} {
			t.Run(transport+"/"+style, func(t *testing.T) {
				t.Parallel()
				n := 0
				f := func(c *Conn, _ int, data []byte) {
					if n++; n == 1 {
						c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
						if err := c.WriteMessage(TextMessage, []byte("answer")); err != nil {
							t.Error(err)
						}
					}
					if string(data) == "again" {
						c.SetWriteDeadline(time.Time{})
						if err := c.WriteMessage(TextMessage, []byte("usable")); err != nil {
							t.Errorf("a later write: %v", err)
						}
						return
					}
					time.Sleep(40 * time.Millisecond)
				}
				o := rawOptions{transport: transport}
				if style == "OnMessage" {
					o.onMessage = f
				}
				rc := rawMustOpen(t, o)
				if style != "OnMessage" {
					go rc.c.HandleMessages(f)
				}
				rc.peer.sendText("1", "2", "3")
				if got := rc.peer.next(halfAtLast); got != "text answer" {
					t.Errorf("the peer read %q, want the answer", got)
				}
				rc.peer.sendText("again")
				if got := rc.peer.next(halfAtLast); got != "text usable" {
					t.Errorf("the peer read %q, want the answer to a later message", got)
				}
			})
		}
	}
}

// 6: a write of another goroutine while f is busy goes out within its own call, and so does a write
// of f itself after its Flush.
func TestFault6PushWhileHandling(t *testing.T) {
	push := func(c *Conn) error { return c.WriteMessage(TextMessage, []byte("push")) }
	for _, tt := range []struct {
		name string
		f    func(c *Conn)
		push func(c *Conn) error
		wire []string
	}{
		{"at once", func(*Conn) {}, push, []string{"text push"}},
		{"after f's write", func(c *Conn) { c.WriteMessage(TextMessage, []byte("answer")) }, push, []string{"text answer", "text push"}},
		{"after f's Flush", func(c *Conn) { c.WriteMessage(TextMessage, []byte("answer")); c.Flush() }, push, []string{"text answer", "text push"}},
		{"by NextWriter", func(*Conn) {}, func(c *Conn) error { return writeInPieces(c, []byte("push")) }, []string{"text push"}},
		{"prepared", func(*Conn) {}, func(c *Conn) error {
			pm, _ := NewPreparedMessage(TextMessage, []byte("push"))
			return c.WritePreparedMessage(pm)
		}, []string{"text push"}},
		{"ping", func(*Conn) {}, func(c *Conn) error { return c.WriteControl(PingMessage, nil, time.Time{}) }, []string{"ping"}},
		{"large", func(*Conn) {}, func(c *Conn) error { return c.WriteMessage(BinaryMessage, rawStuckMessage) },
			[]string{rawMessage(opBinary, nil, rawStuck)}},
	} {
		for _, style := range []string{"OnMessage", "HandleMessages", "CoalesceWrites"} {
			t.Run(style+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				busy, goOn := make(chan bool, 10), make(chan bool)
				defer close(goOn)
				f := func(c *Conn, _ int, _ []byte) {
					tt.f(c)
					busy <- true
					<-goOn
				}
				o := rawOptions{transport: "tcp", coalesce: style == "CoalesceWrites"}
				if style == "OnMessage" {
					o.onMessage = f
				}
				rc := rawMustOpen(t, o)
				switch style {
				case "HandleMessages":
					go rc.c.HandleMessages(f)
				case "CoalesceWrites":
					go func() {
						for {
							if _, _, err := rc.c.ReadMessage(); err != nil {
								return
							}
							f(rc.c, TextMessage, nil)
						}
					}()
				}
				rc.peer.sendText("1", "2", "3") // f's writes before its Flush are pending
				<-busy
				result := make(chan error, 1)
				go func() { result <- tt.push(rc.c) }()
				for _, want := range tt.wire {
					if got := rc.peer.next(atOnce()); got != want {
						t.Fatalf("while f is busy, the peer read %q, want %q", got, want)
					}
				}
				if err, ok := within(result, atOnce()); err != nil || !ok {
					t.Errorf("push: %v (returned %v)", err, ok)
				}
			})
		}
	}
}

// 7: writers get their turn in the order in which they came, also beside a writer that opens its
// next message as soon as it has closed one.
func TestFault7FirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client, end, err := rawPair(rawOptions{transport: "pipe"}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		read := make(chan bool)
		go func() {
			for {
				_, p, err := client.ReadMessage()
				if err != nil {
					break
				}
				got = append(got, string(p))
			}
			close(read)
		}()
		step := make(chan bool)
		looped := make(chan bool)
		go func() {
			defer close(looped)
			for {
				w, err := server.NextWriter(TextMessage)
				if err != nil {
					return
				}
				io.WriteString(w, "loop")
				if _, more := <-step; !more {
					w.Close()
					return
				}
				w.Close()
			}
		}()
		synctest.Wait() // the first message of the loop is open
		pm, _ := NewPreparedMessage(TextMessage, []byte("c"))
		for _, write := range []func(){
			func() { server.WriteMessage(TextMessage, []byte("a")) },
			func() { writeInPieces(server, []byte("b")) },
			func() { server.WritePreparedMessage(pm) },
			func() { server.WriteMessageContext(t.Context(), TextMessage, []byte("d")) },
			func() { server.WriteJSON(1) },
		} {
			go write()
			synctest.Wait()
		}
		step <- true
		synctest.Wait()
		close(step)
		<-looped
		synctest.Wait()
		end()
		<-read
		if want := "[loop a b c d 1\n loop]"; fmt.Sprint(got) != want {
			t.Errorf("messages came in the order %q, want %q", fmt.Sprint(got), want)
		}
	})
}

// 7: the same without any pause. A message or two may pass.
func TestFault7BesideNextWriterLoop(t *testing.T) {
	rc := rawMustOpen(t, rawOptions{transport: "tcp"})
	go io.Copy(io.Discard, rc.peer.nc)
	var passed atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if writeInPieces(rc.c, []byte("loop")) != nil {
				return
			}
			passed.Add(1)
		}
	})
	var waits []int
	for range 60 {
		before := passed.Load()
		if err := rc.c.WriteMessage(TextMessage, []byte("mine")); err != nil {
			t.Fatal(err)
		}
		waits = append(waits, int(passed.Load()-before))
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wg.Wait()
	slices.Sort(waits)
	// The scheduler may stop this goroutine between counting and writing, but not mostly.
	if often := waits[len(waits)*3/4]; often > 10 {
		t.Errorf("a quarter of all writes let %d messages pass, and more (worst %d)", often, waits[len(waits)-1])
	}
}

// 7: a writer that waits for a message that was not closed is told so.
func TestFault7NextWriterNotClosed(t *testing.T) {
	pm, _ := NewPreparedMessage(TextMessage, nil)
	for name, write := range map[string]func(c *Conn) error{
		"NextWriter":           func(c *Conn) error { _, err := c.NextWriter(TextMessage); return err },
		"WriteMessage":         func(c *Conn) error { return c.WriteMessage(TextMessage, nil) },
		"WriteJSON":            func(c *Conn) error { return c.WriteJSON(1) },
		"WritePreparedMessage": func(c *Conn) error { return c.WritePreparedMessage(pm) },
		"WriteMessageContext": func(c *Conn) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return c.WriteMessageContext(ctx, TextMessage, nil)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			rc := rawMustOpen(t, rawOptions{transport: "pipe"})
			if _, err := rc.c.NextWriter(TextMessage); err != nil {
				t.Fatal(err)
			}
			rc.c.SetWriteDeadline(time.Now().Add(time.Second))
			start := time.Now()
			err := write(rc.c)
			if err == nil || !strings.Contains(err.Error(), "NextWriter") || !strings.Contains(err.Error(), "not closed") {
				t.Errorf("%s behind an open message: %v, want an error that names the message that is not closed", name, err)
			}
			if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() || time.Since(start) != time.Second {
				t.Errorf("%s behind an open message: %#v after %v, want a timeout", name, err, time.Since(start))
			}
		})
	}
}

// faultWrites are all ways to write, each with the messages that it makes.
var faultWrites = []struct {
	name  string
	write func(c *Conn) error
	wire  string
}{
	{"WriteMessage", func(c *Conn) error { return c.WriteMessage(TextMessage, []byte("once")) }, "text once"},
	{"WriteMessage, compressible", func(c *Conn) error { return c.WriteMessage(TextMessage, bytes.Repeat([]byte("once "), 1000)) },
		rawMessage(opText, nil, 5000)},
	{"WriteMessage, large", func(c *Conn) error { return c.WriteMessage(BinaryMessage, rawStuckMessage[:100_000]) },
		rawMessage(opBinary, nil, 100_000)},
	{"WriteMessageContext", func(c *Conn) error { return c.WriteMessageContext(context.Background(), TextMessage, []byte("once")) }, "text once"},
	{"WriteJSON", func(c *Conn) error { return c.WriteJSON(1) }, "text 1"},
	{"WritePreparedMessage", func(c *Conn) error {
		pm, err := NewPreparedMessage(TextMessage, []byte("once"))
		if err == nil {
			err = c.WritePreparedMessage(pm)
		}
		return err
	}, "text once"},
	{"WritePreparedMessage, compressible", func(c *Conn) error {
		pm, err := NewPreparedMessage(TextMessage, bytes.Repeat([]byte("once "), 1000))
		if err == nil {
			err = c.WritePreparedMessage(pm)
		}
		return err
	}, rawMessage(opText, nil, 5000)},
	{"WriteControl", func(c *Conn) error { return c.WriteControl(PingMessage, []byte("once"), time.Time{}) }, "ping once"},
	{"WriteMessage of a ping", func(c *Conn) error { return c.WriteMessage(PingMessage, []byte("once")) }, "ping once"},
}

// 8: a lock is given back in every case.
func TestFault8PanicWhileWriting(t *testing.T) {
	type culprit struct {
		name string
		arm  func(o *rawOptions, armed *atomic.Bool, end func())
	}
	ends := map[string]func(){
		"panic":  func() { panic("the application's code or the transport panics") },
		"Goexit": runtime.Goexit,
	}
	culprits := []culprit{
		{name: "Trace.Frame", arm: func(o *rawOptions, armed *atomic.Bool, end func()) {
			o.trace = &Trace{Frame: func(_ *Conn, f Frame) {
				if f.Sent && armed.Swap(false) {
					end()
				}
			}}
		}},
		{name: "Trace.Payload", arm: func(o *rawOptions, armed *atomic.Bool, end func()) {
			o.trace = &Trace{Payload: func(_ *Conn, sent bool, _ []byte) {
				if sent && armed.Swap(false) {
					end()
				}
			}}
		}},
		{name: "net.Conn", arm: func(o *rawOptions, armed *atomic.Bool, end func()) {
			o.wrap = func(nc net.Conn) net.Conn { return &panickingConn{Conn: nc, armed: armed, end: end} }
		}},
	}
	writes := slices.Clone(faultWrites)
	writes = append(writes, struct {
		name  string
		write func(c *Conn) error
		wire  string
	}{"NextWriter, Close", func(c *Conn) error {
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			return err
		}
		defer w.Close() // again: a message that is open holds up others
		io.WriteString(w, "once")
		return w.Close()
	}, ""})
	writes = append(writes, struct {
		name  string
		write func(c *Conn) error
		wire  string
	}{"Enqueue", func(c *Conn) error {
		err := c.Enqueue(TextMessage, []byte("once"))
		for n := 1; n > 0; n, _, _ = c.Queued() { // the goroutine that sends it panics
			time.Sleep(time.Millisecond)
		}
		return err
	}, ""})
	writes = append(writes, struct {
		name  string
		write func(c *Conn) error
		wire  string
	}{"NextWriter, Flush", func(c *Conn) error {
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			return err
		}
		defer w.Close()
		io.WriteString(w, "once")
		return w.(interface{ Flush() error }).Flush()
	}, ""})
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, culprit := range culprits {
		for _, transport := range []string{"tcp", "tls", "pipe"} {
			for _, tt := range writes {
				for name, end := range ends {
					wg.Go(func() {
						var armed atomic.Bool
						o := rawOptions{transport: transport, closeTimeout: 200 * time.Millisecond}
						culprit.arm(&o, &armed, end)
						if err := panicInWrite(o, &armed, tt.write); err != nil {
							t.Errorf("%s in %s, %s, %s: %v", name, culprit.name, transport, tt.name, err)
						}
					})
				}
			}
		}
	}
}

// panicInWrite makes a write panic, and returns an error for an action that then fails.
func panicInWrite(o rawOptions, armed *atomic.Bool, write func(c *Conn) error) error {
	rc, err := rawOpen(o)
	if err != nil {
		return err
	}
	defer rc.close()
	go io.Copy(io.Discard, rc.peer.nc)
	armed.Store(true)
	result := make(chan error, 1)
	go recovered(result, func() error { return write(rc.c) })
	if err, ok := within(result, atOnce()); !ok {
		return errors.New("the write that panicked hangs")
	} else if armed.Load() {
		return fmt.Errorf("nothing panicked: %w", err)
	}
	next, shut := make(chan error, 1), make(chan error, 1)
	go recovered(next, func() error { return rc.c.WriteMessage(TextMessage, []byte("next")) })
	_, wrote := within(next, atOnce())
	rc.release()
	go func() { shut <- rc.server.Shutdown(context.Background()) }()
	_, ended := within(shut, o.closeTimeout+time.Second+atOnce())
	if !wrote || !ended {
		return fmt.Errorf("the next write returned %v, Server.Shutdown with a CloseTimeout of %v returned %v", wrote, o.closeTimeout, ended)
	}
	return nil
}

// recovered calls f, and sends its error, or its panic as one.
func recovered(result chan<- error, f func() error) {
	err := errors.New("Goexit")
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
		result <- err
	}()
	err = f()
}

// A panickingConn panics, or ends its goroutine, in its next write, once it is armed.
type panickingConn struct {
	net.Conn
	armed *atomic.Bool
	end   func()
}

func (c *panickingConn) Write(p []byte) (int, error) {
	if c.armed.Swap(false) {
		c.end()
	}
	return c.Conn.Write(p)
}

// A steadyReader reads with a constant speed.
type steadyReader struct {
	r     io.Reader
	begun time.Time
	total int
}

const steadyRate = 3 << 20 // bytes a second

func (s *steadyReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p[:min(len(p), 32<<10)])
	if s.begun.IsZero() {
		s.begun = time.Now()
	}
	s.total += n
	time.Sleep(time.Until(s.begun.Add(time.Duration(s.total) * time.Second / steadyRate)))
	return n, err
}

// 9: a peer that is slow but steady is alive, even if its pongs come late or never.
func TestFault9KeepaliveOfSlowReader(t *testing.T) {
	const size = 5 << 19
	message := make([]byte, size)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, tt := range []struct {
		name  string
		write func(c *Conn) error
	}{
		{"WriteMessage", func(c *Conn) error { return c.WriteMessage(BinaryMessage, message) }},
		{"NextWriter", func(c *Conn) error {
			w, err := c.NextWriter(BinaryMessage)
			if err != nil {
				return err
			}
			if _, err := w.Write(message); err != nil {
				return err
			}
			return w.Close()
		}},
		{"WritePreparedMessage", func(c *Conn) error {
			pm, err := NewPreparedMessage(BinaryMessage, message)
			if err == nil {
				err = c.WritePreparedMessage(pm)
			}
			return err
		}},
	} {
		for _, transport := range []string{"tcp", "tls"} {
			for _, client := range []bool{false, true} {
				for _, answers := range []bool{true, false} {
					wg.Go(func() {
						if err := slowReader(transport, client, answers, size, tt.write); err != nil {
							t.Errorf("%s, %s, client %v, pongs %v: %v", tt.name, transport, client, answers, err)
						}
					})
				}
			}
		}
	}
}

// slowReader reads a message slowly, and answers pings or does not.
func slowReader(transport string, client, answers bool, size int64, write func(c *Conn) error) error {
	rc, err := rawOpen(rawOptions{transport: transport, client: client, ping: 200 * time.Millisecond, pong: 200 * time.Millisecond})
	if err != nil {
		return err
	}
	defer rc.close()
	rc.peer.r = bufio.NewReaderSize(&steadyReader{r: rc.peer.nc}, 32<<10)
	go rc.c.ReadMessage()
	result := make(chan error, 1)
	go func() { result <- write(rc.c) }()
	got := rc.peer.next(halfAtLast)
	for ; got == "ping"; got = rc.peer.next(halfAtLast) {
		if answers {
			rc.peer.send(rc.peer.frame(opPong, true, ""))
		}
	}
	err, ok := within(result, atOnce())
	if want := rawMessage(opBinary, nil, size); err != nil || !ok || got != want {
		return fmt.Errorf("the write returned %v (%v), and the peer read %q, want %q", ok, err, got, want)
	}
	return nil
}

// 9: a peer that takes nothing and sends nothing is given up, also in the middle of a write of
// ours.
func TestFault9KeepaliveOfDeadPeer(t *testing.T) {
	faultColumns(t, func(t *testing.T, transport string, client bool) {
		t.Parallel()
		rc := rawMustOpen(t, rawOptions{transport: transport, client: client, ping: 100 * time.Millisecond, pong: 100 * time.Millisecond})
		ends := make(chan error, 2)
		go func() { ends <- rc.c.WriteMessage(BinaryMessage, rawStuckMessage) }()
		go func() { _, _, err := rc.c.ReadMessage(); ends <- err }()
		for range 2 {
			if err, ok := within(ends, 2*atOnce()); !ok || !errors.Is(err, ErrPongTimeout) {
				t.Errorf("read or write of a dead peer: %v (returned %v), want ErrPongTimeout", err, ok)
			}
		}
	})
}

// 12: NextWriter's message is ended once, though its Close had to be called twice.
func TestFault12CloseAfterDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gate *gatedConn
		rc := rawMustOpen(t, rawOptions{transport: "pipe", wrap: func(nc net.Conn) net.Conn {
			gate = &gatedConn{Conn: nc}
			return gate
		}})
		result := make(chan error, 3)
		go func() {
			w, _ := rc.c.NextWriter(TextMessage)
			io.WriteString(w, "one ")
			w.(interface{ Flush() error }).Flush()
			io.WriteString(w, "two")
			gate.setShut(true)
			rc.c.SetWriteDeadline(time.Now().Add(time.Second))
			result <- w.Close()
			gate.setShut(false)
			rc.c.SetWriteDeadline(time.Time{})
			result <- w.Close()
			result <- rc.c.WriteMessage(TextMessage, []byte("next"))
		}()
		for _, want := range []string{"text one two", "text next"} {
			if got := rc.peer.next(halfAtLast); got != want {
				t.Errorf("the peer read %q, want %q", got, want)
			}
		}
		if err, ok := within(result, halfAtLast); !ok || !isTimeout(err) {
			t.Errorf("Close that had to wait: %v, want a timeout", err)
		}
		for _, what := range []string{"Close again", "the next message"} {
			if err, ok := within(result, halfAtLast); !ok || err != nil {
				t.Errorf("%s: %v (returned %v)", what, err, ok)
			}
		}
	})
}

// A repeatPair is a connection whose transport takes nothing while the test says so.
type repeatPair struct {
	writer *Conn
	gate   *gatedConn
	got    chan string
	end    func()
}

func newRepeatPair(t *testing.T, client bool, compress *Compression) *repeatPair {
	p := &repeatPair{got: make(chan string, 100)}
	wrap := func(nc net.Conn) net.Conn { p.gate = &gatedConn{Conn: nc}; return p.gate }
	o := rawOptions{transport: "pipe", compress: compress}
	var server, dialed *Conn
	var err error
	if client {
		server, dialed, p.end, err = rawPair(o, nil, wrap)
	} else {
		server, dialed, p.end, err = rawPair(o, wrap, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.writer = server
	reader := dialed
	if client {
		p.writer, reader = dialed, server
	}
	reader.SetPingHandler(func(data string) error { p.got <- "ping " + data; return nil })
	go func() {
		for {
			kind, data, err := reader.ReadMessage()
			if err != nil {
				// so that no goroutine waits for it
				reader.Close()
				p.got <- "error " + err.Error()
				return
			}
			p.got <- rawMessage(opcode(kind), data, int64(len(data)))
		}
	}()
	return p
}

// next returns the next message that the peer reads, in words.
func (p *repeatPair) next() string {
	if got, ok := within(p.got, halfAtLast); ok {
		return got
	}
	return "nothing in time"
}

// late calls f while the transport takes nothing, until a deadline has passed.
func (p *repeatPair) late(f func() error) error {
	p.gate.setShut(true)
	p.writer.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	err := f()
	p.gate.setShut(false)
	p.writer.SetWriteDeadline(time.Time{})
	return err
}

// repeatColumns runs a test for both roles, compressed and not.
func repeatColumns(t *testing.T, test func(t *testing.T, open func(t *testing.T) *repeatPair)) {
	for _, client := range []bool{false, true} {
		for name, compress := range map[string]*Compression{
			"plain": nil, "takeover": {}, "no takeover": {NoContextTakeover: true},
		} {
			t.Run(fmt.Sprintf("client %v, %s", client, name), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					test(t, func(t *testing.T) *repeatPair { return newRepeatPair(t, client, compress) })
				})
			})
		}
	}
}

// 12: a write that gave up before its first byte can be repeated, any number of times, and is
// sent once.
func TestFault12RepeatedWrites(t *testing.T) {
	repeatColumns(t, func(t *testing.T, open func(t *testing.T) *repeatPair) {
		p := open(t)
		defer p.end()
		// a compressor remembers sent messages, and only those
		for range 2 {
			for _, tt := range faultWrites {
				inTime := tt.write
				if tt.name == "WriteControl" { // which has a deadline of its own
					inTime = func(c *Conn) error {
						return c.WriteControl(PingMessage, []byte("once"), time.Now().Add(10*time.Millisecond))
					}
				}
				for range 2 {
					if err := p.late(func() error { return inTime(p.writer) }); !isTimeout(err) {
						t.Fatalf("%s that had to wait: %v, want a timeout", tt.name, err)
					}
				}
				if err := tt.write(p.writer); err != nil {
					t.Fatalf("%s again: %v", tt.name, err)
				}
				if got := p.next(); got != tt.wire {
					t.Fatalf("%s: the peer read %q, want %q", tt.name, got, tt.wire)
				}
			}
			synctest.Wait()
			if len(p.got) > 0 {
				t.Errorf("the peer read %q, which was not written", <-p.got)
			}
		}
	})
}

// 12: every call of NextWriter's writer, in every state, with and without a deadline that passes in
// it. Bytes that were reported as written arrive, once, and the message ends once.
func TestFault12RepeatedCallsOfNextWriter(t *testing.T) {
	const steps = "wWfcxXFC" // small letters have no deadline, and x is a large Write
	length := 4
	if raceEnabled() || testing.Short() {
		length = 3
	}
	var sequences []string
	for n, count := 1, len(steps); n <= length; n, count = n+1, count*len(steps) {
		for i := range count {
			s := make([]byte, n)
			for j := range s {
				s[j] = steps[i%len(steps)]
				i /= len(steps)
			}
			sequences = append(sequences, string(s))
		}
	}
	repeatColumns(t, func(t *testing.T, open func(t *testing.T) *repeatPair) {
		p := open(t)
		defer func() { p.end() }()
		wrong := 0
		for _, s := range sequences {
			if err := p.tryWriter(s); err != nil {
				t.Errorf("%s: %v", s, err)
				if wrong++; wrong == 10 {
					t.Fatal("and perhaps more")
				}
				p.end()
				p = open(t)
			}
		}
	})
}

// tryWriter writes a message by a sequence of calls, and then another one.
func (p *repeatPair) tryWriter(steps string) error {
	w, err := p.writer.NextWriter(BinaryMessage)
	if err != nil {
		return err
	}
	size, closed := 0, false
	for i, step := range []byte(steps) {
		call := func() error {
			switch step | 0x20 {
			case 'w', 'x':
				n := 10
				if step|0x20 == 'x' {
					n = 40_000
				}
				n, err := w.Write(bytes.Repeat([]byte{byte(size)}, n))
				size += n
				return err
			case 'f':
				return w.(interface{ Flush() error }).Flush()
			}
			return w.Close()
		}
		late := step < 'a'
		if late {
			err = p.late(call)
		} else {
			err = call()
		}
		if closed {
			if step|0x20 == 'c' && err != nil {
				return fmt.Errorf("step %d, Close after it was successful: %w", i, err)
			}
			continue
		}
		closed = step|0x20 == 'c' && err == nil
		// Write may refuse to go on with a message whose end was already being sent.
		if err != nil && !(late && isTimeout(err)) && !(strings.ContainsAny(steps[:i], "C") && step|0x20 != 'c') {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("last Close: %w", err)
	}
	if err := p.writer.WriteMessage(TextMessage, []byte("next")); err != nil {
		return fmt.Errorf("next message: %w", err)
	}
	for _, want := range []string{p.shown(size), "text next"} {
		if got := p.next(); got != want {
			return fmt.Errorf("the peer read %q, want %q", got, want)
		}
	}
	return nil
}

// shown is tryWriter's message, in the words of rawMessage.
func (p *repeatPair) shown(size int) string {
	if size > rawShown {
		return rawMessage(opBinary, nil, int64(size))
	}
	text := make([]byte, 0, size)
	for len(text) < size {
		text = append(text, bytes.Repeat([]byte{byte(len(text))}, 10)...)
	}
	return rawMessage(opBinary, text, int64(size))
}

// 18: a tick of keepalive, and Shutdown, do not have a goroutine for each of many connections at
// the same time, as long as their sockets take the frames.
func TestFault18GoroutinesForMany(t *testing.T) {
	const n = 1000
	if runtime.GOOS != "linux" {
		t.Skip("needs many descriptors")
	}
	var peak, sent atomic.Int64
	count := func(_ *Conn, f Frame) {
		if f.Sent {
			sent.Add(1)
			now := int64(runtime.NumGoroutine())
			for {
				if old := peak.Load(); now <= old || peak.CompareAndSwap(old, now) {
					return
				}
			}
		}
	}
	srv := &Server{Handler: func(c *Conn, _ *http.Request) { c.ReadMessage() }}
	srv.PingInterval, srv.PongTimeout = 800*time.Millisecond, -1
	srv.CloseTimeout = time.Second
	srv.Trace = &Trace{Frame: count}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	defer srv.Close()
	var peers []net.Conn
	defer func() {
		for _, nc := range peers {
			nc.Close()
		}
	}()
	for range n {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Skip(err)
		}
		peers = append(peers, nc)
		io.WriteString(nc, goodRequest)
		if _, err := io.ReadFull(nc, make([]byte, len(goodResponse))); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, do func()) {
		peak.Store(0)
		sent.Store(0)
		before := runtime.NumGoroutine()
		do()
		for deadline := time.Now().Add(halfAtLast); sent.Load() < n*9/10 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		if sent.Load() < n*9/10 {
			t.Errorf("%s: %d of %d connections were sent a frame", what, sent.Load(), n)
		}
		if extra := peak.Load() - int64(before); extra > n/4 {
			t.Errorf("%s: %d goroutines more than before for %d connections", what, extra, n)
		}
	}
	check("keepalive", func() {})
	done := make(chan bool)
	check("Shutdown", func() { go func() { srv.Shutdown(context.Background()); close(done) }() })
	for _, nc := range peers {
		nc.Close()
	}
	if _, ok := within(done, halfAtLast); !ok {
		t.Error("Shutdown hangs")
	}
}
