package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// handleEcho is the simplest handler for HandleMessages.
func handleEcho(c *Conn, messageType int, data []byte) { c.WriteMessage(messageType, data) }

// Messages of all sizes and kinds come back, over each transport.
func TestHandleMessages(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		done := make(chan error)
		go func() { done <- server.HandleMessages(handleEcho) }()
		for _, size := range []int{0, 1, 125, 126, 1000, bufferSize - 8, bufferSize, bufferSize + 1, 300_000} {
			for _, messageType := range []int{TextMessage, BinaryMessage} {
				want := bytes.Repeat([]byte("x"), size)
				go client.WriteMessage(messageType, want)
				got, p, err := client.ReadMessage()
				if err != nil || got != messageType || !bytes.Equal(p, want) {
					t.Fatalf("%d bytes of type %d came back as %d of type %d, %v", size, messageType, len(p), got, err)
				}
			}
		}
		go client.Shutdown(context.Background(), CloseGoingAway, "enough")
		if err := <-done; !IsCloseError(err, CloseGoingAway) {
			t.Errorf("HandleMessages: %v", err)
		}
	})
}

// Frames are cut anywhere, with control frames between fragments. The handler sees whole messages,
// independently of the cuts.
func TestHandleMessagesInPieces(t *testing.T) {
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) {
			s, client := pair(t)
			server := newConn(s, false)
			defer client.Close()
			var in, want []byte
			rng := rand.New(rand.NewPCG(1, 2))
			for i := range 40 {
				text := strings.Repeat(string(rune('a'+i%26)), rng.IntN(300))
				cut := rng.IntN(len(text) + 1)
				in = append(in, frame(opText, false, text[:cut], testKey)...)
				in = append(in, frame(opPong, true, "unasked", testKey)...)
				in = append(in, frame(opContinuation, true, text[cut:], testKey)...)
				in = append(in, frame(opBinary, true, text, testKey)...)
				want = append(want, frame(opText, true, text, 0)...)
				want = append(want, frame(opBinary, true, text, 0)...)
			}
			go server.HandleMessages(handleEcho)
			go func() {
				for len(in) > 0 {
					n := min(len(in), 1+rng.IntN(40))
					client.Write(in[:n])
					in = in[n:]
				}
			}()
			expect(t, client, want)
		})
	}
}

// The end is noticed even if it comes in the same moment as the last bytes.
func TestHandleMessagesMeetsEnd(t *testing.T) {
	for range 50 {
		s, client := tcpPair(t)
		server := newConn(s, false)
		client.Write(frame(opText, true, "last words", testKey))
		client.(*net.TCPConn).CloseWrite()
		time.Sleep(time.Millisecond) // time for both to arrive before they are read
		done := make(chan error)
		go func() { done <- server.HandleMessages(func(*Conn, int, []byte) {}) }()
		select {
		case err := <-done:
			if !IsCloseError(err, CloseAbnormalClosure) {
				t.Fatalf("HandleMessages: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("HandleMessages does not return")
		}
		server.Close()
		client.Close()
	}
}

// The handler may close, in both ways, and so may others while it runs.
func TestHandleMessagesClose(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		go client.WriteMessage(TextMessage, nil)
		err := server.HandleMessages(func(c *Conn, _ int, _ []byte) { c.Close() })
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close in the handler: %v", err)
		}
	})
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		go client.WriteMessage(TextMessage, nil)
		go client.ReadMessage()
		err := server.HandleMessages(func(c *Conn, _ int, _ []byte) {
			c.WriteControl(CloseMessage, FormatCloseMessage(4000, ""), time.Time{})
		})
		if !IsCloseError(err, 4000) {
			t.Errorf("after a close message from the handler: %v", err)
		}
	})
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		go client.WriteMessage(TextMessage, nil)
		err := server.HandleMessages(func(c *Conn, _ int, _ []byte) {
			closed := make(chan bool)
			go func() { c.Close(); close(closed) }()
			<-closed
		})
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("after another's Close: %v", err)
		}
	})
}

// Errors in the peer's frames are answered as they are everywhere.
func TestHandleMessagesFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		sent []byte
		code int
	}{
		{"text that is none", frame(opText, true, "\xc3", testKey), CloseInvalidFramePayloadData},
		{"no mask", frame(opText, true, "x", 0), CloseProtocolError},
		{"reserved bit", append([]byte{0xc1}, frame(opText, true, "x", testKey)[1:]...), CloseProtocolError},
		{"reserved opcode", frame(3, true, "", testKey), CloseProtocolError},
		{"nothing to continue", frame(opContinuation, true, "", testKey), CloseProtocolError},
		{"too large", frame(opText, true, strings.Repeat("x", 101), testKey), CloseMessageTooBig},
	} {
		eachTransport(t, func(t *testing.T, server, client *Conn) {
			server.SetReadLimit(100)
			clientSends(client, append(frame(opText, true, "fine", testKey), tt.sent...))
			done := make(chan error, 1)
			go func() {
				err := server.HandleMessages(handleEcho)
				server.Close()
				done <- err
			}()
			if _, p, err := client.ReadMessage(); string(p) != "fine" || err != nil {
				t.Errorf("%s: %q, %v", tt.name, p, err)
			}
			if _, _, err := client.ReadMessage(); !IsCloseError(err, tt.code) {
				t.Errorf("%s: the client was told %v, want %d", tt.name, err, tt.code)
			}
			var broken *ProtocolError
			if err := <-done; !errors.As(err, &broken) || broken.Code != tt.code {
				t.Errorf("%s: %v", tt.name, err)
			}
			if err := server.HandleMessages(handleEcho); !errors.As(err, &broken) {
				t.Errorf("%s, called again: %v", tt.name, err)
			}
		})
	}
}

// A deadline loses nothing. The next call goes on in the middle of a message.
func TestHandleMessagesTimeout(t *testing.T) {
	for name, pair := range transports {
		if name == "tls" {
			continue // its reads end for good
		}
		t.Run(name, func(t *testing.T) {
			s, client := pair(t)
			server := newConn(s, false)
			defer server.Close()
			defer client.Close()
			text := strings.Repeat("0123456789", 10_000)
			in := append(frame(opText, false, text[:50_000], testKey), frame(opContinuation, true, text[50_000:], testKey)...)
			go client.Write(in[:70_000])
			server.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if err := server.HandleMessages(handleEcho); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("HandleMessages: %v", err)
			}
			server.SetReadDeadline(time.Time{})
			go client.Write(in[70_000:])
			go server.HandleMessages(handleEcho)
			expect(t, client, frame(opText, true, text, 0))
		})
	}
}

// A panic of the handler's leaves a connection that can be closed politely.
func TestServerOnMessagePanics(t *testing.T) {
	srv := &Server{OnMessage: func(c *Conn, _ int, data []byte) {
		if len(data) == 0 {
			panic("oh no")
		}
		c.WriteMessage(TextMessage, data)
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	defer srv.Close()
	c, _, err := DefaultDialer.Dial("ws://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.WriteMessage(TextMessage, []byte("x"))
	c.WriteMessage(TextMessage, nil)
	if _, p, err := c.ReadMessage(); string(p) != "x" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseInternalServerErr) {
		t.Errorf("after the panic: %v, want 1011", err)
	}
}

// After the function that handles messages has called Close, it is not called again, though more
// messages are there.
func TestHandleMessagesCloseInHandler(t *testing.T) {
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) {
			s, client := pair(t)
			server := newConn(s, false)
			defer client.Close()
			go client.Write(bytes.Repeat(frame(opText, true, "x", testKey), 100))
			handled := 0
			err := server.HandleMessages(func(c *Conn, _ int, _ []byte) {
				handled++
				c.Close()
			})
			if handled != 1 || !errors.Is(err, net.ErrClosed) {
				t.Errorf("%d messages were handled, the first of which closed the connection: %v", handled, err)
			}
		})
	}
}

// A peer that never stops sending keeps neither deadlines nor Close nor Shutdown
// from being noticed: small messages, or one without an end.
func TestHandleMessagesOfFlood(t *testing.T) {
	floods := map[string][]byte{
		"messages":  bytes.Repeat(frame(opText, true, strings.Repeat("x", 1000), testKey), 100),
		"a message": bytes.Repeat(frame(opContinuation, false, strings.Repeat("x", 4000), testKey), 20),
	}
	ends := map[string]struct {
		end  func(c *Conn)
		want error
	}{
		"deadline": {func(c *Conn) { c.SetReadDeadline(time.Now()) }, os.ErrDeadlineExceeded},
		"close":    {func(c *Conn) { c.Close() }, net.ErrClosed},
	}
	for what, flood := range floods {
		for how, tt := range ends {
			t.Run(how+" in "+what, func(t *testing.T) {
				s, client := tcpPair(t)
				server := newConn(s, false)
				server.configure(settings{limit: -1, maxFragments: -1})
				defer server.Close()
				defer client.Close()
				go func() {
					client.Write(frame(opBinary, what == "messages", "", testKey))
					for {
						if _, err := client.Write(flood); err != nil {
							return
						}
					}
				}()
				done := make(chan error)
				go func() {
					done <- server.HandleMessages(func(*Conn, int, []byte) { time.Sleep(10 * time.Microsecond) })
				}()
				time.Sleep(20 * time.Millisecond)
				tt.end(server)
				select {
				case err := <-done:
					if !errors.Is(err, tt.want) {
						t.Errorf("HandleMessages: %v, want %v", err, tt.want)
					}
				case <-time.After(10 * time.Second):
					t.Error("HandleMessages goes on")
				}
			})
		}
	}
}

// A message that has begun holds memory for the part that came, not the buffer that a large message
// had before.
func TestHandleMessagesPartialMemory(t *testing.T) {
	s, client := tcpPair(t)
	server := newConn(s, false)
	defer client.Close()
	big := make([]byte, 1<<20)
	messageBuffers.Put(&big)
	client.Write(frame(opBinary, true, strings.Repeat("x", 100), testKey)[:20])
	server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	server.HandleMessages(handleEcho)
	if n := cap(server.in.partial); len(server.in.partial) == 0 || n > 1000 {
		t.Errorf("%d bytes of a message are held in %d", len(server.in.partial), n)
	}
}

// Answers are pending for HandleMessages only. Reading by other means afterwards finds
// CoalesceWrites unchanged.
func TestHandleMessagesLeavesCoalescing(t *testing.T) {
	s, client := tcpPair(t)
	server := newConn(s, false)
	defer server.Close()
	defer client.Close()
	server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	server.HandleMessages(handleEcho)
	server.SetReadDeadline(time.Time{})
	client.Write(bytes.Repeat(frame(opText, true, "x", testKey), 2))
	server.ReadMessage()
	server.WriteMessage(TextMessage, []byte("at once"))
	expect(t, client, frame(opText, true, "at once", 0))
}

// A message after a silence is the last on its goroutine, whose stack has grown. Messages that
// follow each other share a goroutine.
func TestServerOnMessageMoves(t *testing.T) {
	conns := make(chan *Conn, 1)
	srv := &Server{OnMessage: func(c *Conn, _ int, _ []byte) {
		select {
		case conns <- c:
		default:
		}
		c.flags.clear(parkBudget) // nothing but a silence makes it move
		c.WriteMessage(TextMessage, goroutineName())
	}}
	srv.PingInterval = -1 // no tick but the test's
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	defer srv.Close()
	client, _, err := DefaultDialer.Dial("ws://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ask := func() string {
		client.WriteMessage(TextMessage, []byte("where are you?"))
		_, p, err := client.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		return string(p)
	}
	for _, silence := range []string{"before the first message", "later"} {
		before, now := ask(), ""
		for tries := 0; now == "" || now == before; tries++ {
			if tries == 1000 {
				t.Fatalf("the connection stays on its goroutine after the silence %s", silence)
			}
			time.Sleep(time.Millisecond) // its step may not be over yet
			now = ask()
		}
		for range 20 {
			if got := ask(); got != now {
				t.Fatalf("without a silence, the connection moved from %q to %q", now, got)
			}
		}
		// The tick counts once the step is over.
		for c := <-conns; !c.flags.has(flagWasIdle); time.Sleep(time.Millisecond) {
			c.keepaliveTick(newPingSchedule(time.Hour, 0))
		}
	}
	go client.ReadMessage() // to answer the close frame
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// goroutineName returns "goroutine 7".
func goroutineName() []byte {
	var b [64]byte
	name, _, _ := bytes.Cut(b[:runtime.Stack(b[:], false)], []byte(" ["))
	return name
}

// Neither a handled message nor its answer allocates, and a connection that waits afterwards has no
// buffer.
func TestHandleMessagesCosts(t *testing.T) {
	s, client := tcpPair(t)
	server := newConn(s, false)
	go server.HandleMessages(handleEcho)
	defer server.Close()
	in, out := frame(opBinary, true, strings.Repeat("x", 125), testKey), make([]byte, 127)
	roundTrip := func() {
		client.Write(in)
		io.ReadFull(client, out)
	}
	roundTrip()
	if n := testing.AllocsPerRun(200, roundTrip); n >= 1 {
		t.Errorf("%.1f allocations for an echo", n)
	}
	client.Close()
	server.lockRead() // when HandleMessages is over
	defer server.readLock.unlock()
	if server.in.buf != nil {
		t.Error("an ended connection holds a buffer")
	}
}

// A message that has arrived is not delivered once Close was called, be its rest
// what comes after Close, be it a whole one: in no style, on no transport.
func TestNoMessageAfterClose(t *testing.T) {
	pairs := map[string]func(t testing.TB) (server, client net.Conn){
		// Its Close leaves what was read before, and what comes after.
		"wrapped": func(t testing.TB) (server, client net.Conn) {
			s, client := net.Pipe()
			return deafToClose{s}, client
		},
	}
	maps.Copy(pairs, transports)
	styles := map[string]func(c *Conn) error{
		"HandleMessages": func(c *Conn) error {
			return c.HandleMessages(func(*Conn, int, []byte) { panic("a message after Close") })
		},
		"ReadMessage": func(c *Conn) error { _, _, err := c.ReadMessage(); return err },
		"NextReader":  func(c *Conn) error { _, _, err := c.NextReader(); return err },
	}
	for name, pair := range pairs {
		for style, read := range styles {
			t.Run(name+" "+style, func(t *testing.T) {
				s, client := pair(t)
				server := newConn(s, false)
				defer client.Close()
				defer s.Close()
				server.SetPongHandler(func(string) error { t.Error("a pong after Close"); return nil })
				go func() {
					client.Write(append(frame(opText, true, "first", testKey), frame(opPong, true, "", testKey)...))
					client.Write(bytes.Repeat(frame(opText, true, "more", testKey), 3))
				}()
				if _, _, err := server.ReadMessage(); err != nil { // more lies there then
					t.Fatal(err)
				}
				server.Close()
				if err := read(server); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%v, want net.ErrClosed", err)
				}
			})
		}
	}
}

// deafToClose can be read after its Close.
type deafToClose struct{ net.Conn }

func (c deafToClose) Close() error { return nil }

// Close by another goroutine, while a message comes in pieces: its end comes too
// late.
func TestHandleMessagesCloseWithinMessage(t *testing.T) {
	s, client := net.Pipe()
	server := newConn(deafToClose{s}, false)
	defer client.Close()
	in := frame(opText, true, "in two pieces", testKey)
	done := make(chan error)
	go func() {
		done <- server.HandleMessages(func(*Conn, int, []byte) { t.Error("a message after Close") })
	}()
	client.Write(in[:10])
	time.Sleep(10 * time.Millisecond) // for the server to wait for the rest
	server.Close()
	go client.Write(in[10:])
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("HandleMessages: %v, want net.ErrClosed", err)
	}
}

// A stream that was begun ends with Close too.
func TestReaderAfterClose(t *testing.T) {
	s, client := net.Pipe()
	server := newConn(deafToClose{s}, false)
	defer client.Close()
	go client.Write(frame(opText, true, "a message", testKey))
	_, r, err := server.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	if n, err := r.Read(make([]byte, 100)); n > 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d bytes, %v, want none and net.ErrClosed", n, err)
	}
}

// The peer is told why its connection ends under OnMessage.
func TestServerOnMessageTellsWhy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		f      func(c *Conn)
		code   int
		reason string
	}{
		{"read deadline", func(c *Conn) { c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) },
			CloseGoingAway, "no message before the read deadline"},
		{"handler's error", func(c *Conn) { c.SetPongHandler(func(string) error { return errors.New("no") }) },
			CloseInternalServerErr, ""},
		{"handler's timeout", func(c *Conn) { c.SetPongHandler(func(string) error { return os.ErrDeadlineExceeded }) },
			CloseInternalServerErr, ""},
		{"client's close", func(*Conn) {}, 4000, ""},
	} {
		for _, tls := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", tt.name, tls), func(t *testing.T) {
				srv := &Server{OnMessage: func(c *Conn, _ int, _ []byte) { tt.f(c); c.WriteMessage(TextMessage, nil) }}
				defer srv.Close()
				l := newListener()
				defer l.Close()
				go srv.Serve(l)
				pair := tcpPair
				if tls {
					pair = tlsPair
				}
				s, nc := pair(t)
				l.conns <- s
				c := clientOf(t, nc)
				defer c.Close()
				c.WriteMessage(TextMessage, nil)
				c.ReadMessage()
				c.WriteControl(PongMessage, nil, time.Time{})
				if tt.code == 4000 {
					c.WriteControl(CloseMessage, FormatCloseMessage(4000, ""), time.Time{})
				}
				_, _, err := c.ReadMessage()
				if e, ok := errors.AsType[*CloseError](err); !ok || e.Code != tt.code || e.Text != tt.reason {
					t.Errorf("the client was told %v, want %d %q", err, tt.code, tt.reason)
				}
			})
		}
	}
}
