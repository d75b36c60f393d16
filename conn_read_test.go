package websocket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// session returns everything that a client may send and in which a reader could lose its place, and
// the messages that a server must read from it.
func session() (wire []byte, messages []string) {
	big := strings.Repeat("0123456789abcdef", 300) // a 16-bit length
	for _, f := range [][]byte{
		frame(opText, true, "Hello", testKey),
		frame(opPing, true, "are you there?", testKey),
		frame(opText, false, "caf\xc3", testKey), // a character cut in two
		frame(opPing, true, "", testKey),
		frame(opContinuation, false, "", testKey),
		frame(opContinuation, true, "\xa9", testKey),
		frame(opBinary, true, "", testKey),
		frame(opBinary, true, big, testKey),
		frame(opPong, true, "unasked", testKey),
		frame(opText, true, "end", testKey),
	} {
		wire = append(wire, f...)
	}
	return wire, []string{"Hello", "café", "", big, "end"}
}

// readers are the ways to read a message. Each returns the part that it has if a deadline ends it.
var readers = map[string]func(c *Conn) ([]byte, error){
	"ReadMessage": func(c *Conn) ([]byte, error) {
		_, p, err := c.ReadMessage()
		return p, err
	},
	"AppendMessage": func(c *Conn) ([]byte, error) {
		_, p, err := c.AppendMessage([]byte("before:"))
		return bytes.TrimPrefix(p, []byte("before:")), err
	},
	"ReadMessageContext": func(c *Conn) ([]byte, error) {
		_, p, err := c.ReadMessageContext(noContext)
		return p, err
	},
}

// Promise: a read that times out loses nothing. The session is cut at every byte of its small
// frames, and at some of its large one. The reader waits there until its deadline, and goes on when
// the rest comes.
func TestReadResumesAtEveryByte(t *testing.T) {
	wire, want := session()
	for _, transport := range []string{"tcp", "tls"} {
		for name, read := range readers {
			t.Run(transport+"/"+name, func(t *testing.T) {
				t.Parallel()
				for cut := 0; cut < len(wire); cut++ {
					if 120 < cut && cut < len(wire)-40 || transport == "tls" {
						cut += 97
					}
					readAroundCut(t, transport, read, wire, cut, want)
				}
			})
		}
	}
}

func readAroundCut(t *testing.T, transport string, read func(*Conn) ([]byte, error), wire []byte, cut int, want []string) {
	t.Helper()
	cut = min(cut, len(wire))
	s, c := transports[transport](t)
	defer s.Close()
	defer c.Close()
	server := newConn(s, false)
	resume := make(chan bool, 1)
	go func() {
		c.Write(wire[:cut])
		<-resume
		c.Write(wire[cut:])
	}()
	defer close(resume)
	go io.Copy(io.Discard, c) // pongs
	server.SetReadDeadline(time.Now().Add(3 * time.Millisecond))
	var got []string
	for len(got) < len(want) {
		p, err := read(server)
		switch {
		case err == nil:
			got = append(got, string(p))
		case isTimeout(err):
			server.SetReadDeadline(time.Time{})
			resume <- true
		default:
			t.Fatalf("cut at %d: %v after %q", cut, err, got)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("cut at %d: messages %.80q, want %.80q", cut, got, want)
	}
}

// trickle delivers a stream in pieces of n bytes, each followed by a timeout.
type trickle struct {
	net.Conn // only writes are passed on to it
	wire     []byte
	n        int
	due      bool
}

func (c *trickle) Read(p []byte) (int, error) {
	if c.due = !c.due; !c.due {
		return 0, os.ErrDeadlineExceeded
	}
	if len(c.wire) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.wire[:min(c.n, len(c.wire))])
	c.wire = c.wire[n:]
	return n, nil
}

func (c *trickle) Write(p []byte) (int, error)      { return len(p), nil }
func (c *trickle) SetReadDeadline(time.Time) error  { return nil }
func (c *trickle) SetWriteDeadline(time.Time) error { return nil }
func (c *trickle) Close() error                     { return nil }

// The transport times out after every piece, of every small size, through every reader.
func TestReadResumesAlways(t *testing.T) {
	wire, want := session()
	for name, read := range readers {
		for n := 1; n <= 20; n++ {
			c := newConn(&trickle{wire: wire, n: n}, false)
			for i := 0; i < len(want); {
				p, err := read(c)
				if isTimeout(err) {
					continue
				}
				if err != nil || string(p) != want[i] {
					t.Fatalf("%s, pieces of %d: message %d is %.40q, %v", name, n, i, p, err)
				}
				i++
			}
			for {
				_, err := read(c)
				if isTimeout(err) {
					continue
				}
				if !IsCloseError(err, CloseAbnormalClosure) {
					t.Fatalf("%s, pieces of %d: at the end %v", name, n, err)
				}
				break
			}
		}
	}
}

// A reader goes on after a timeout, and so does ReadMessage after a reader
// that was left, NextReader after a ReadMessage that timed out.
func TestNextReaderResumes(t *testing.T) {
	wire, want := session()
	for n := 1; n <= 20; n++ {
		c := newConn(&trickle{wire: wire, n: n}, false)
		for i, want := range want {
			if i == 3 { // the large one: begin with ReadMessage, go on with NextReader
				if _, _, err := c.ReadMessage(); !isTimeout(err) {
					t.Fatalf("pieces of %d: no timeout in the large message: %v", n, err)
				}
			}
			var r io.Reader
			var err error
			for r == nil {
				if _, r, err = c.NextReader(); err != nil && !isTimeout(err) {
					t.Fatalf("pieces of %d: NextReader: %v", n, err)
				}
			}
			var got []byte
			buf := make([]byte, 7)
			for err != io.EOF {
				var k int
				k, err = r.Read(buf)
				got = append(got, buf[:k]...)
				if err != nil && err != io.EOF && !isTimeout(err) {
					t.Fatalf("pieces of %d: Read: %v", n, err)
				}
			}
			if string(got) != want {
				t.Fatalf("pieces of %d: message %d is %.40q, want %.40q", n, i, got, want)
			}
		}
	}
}

func TestNextReaderSkips(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		long := strings.Repeat("x", 100_000)
		go func() {
			client.WriteMessage(TextMessage, []byte(long))
			client.WriteMessage(TextMessage, []byte(long))
			client.WriteMessage(BinaryMessage, []byte("last"))
		}()
		_, first, err := server.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(first, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := server.NextReader(); err != nil {
			t.Fatal(err)
		}
		if n, err := first.Read(make([]byte, 10)); n != 0 || err != io.EOF {
			t.Errorf("a reader that was left read %d, %v, want 0, EOF", n, err)
		}
		if messageType, p, err := server.ReadMessage(); messageType != BinaryMessage || string(p) != "last" || err != nil {
			t.Errorf("ReadMessage = %d, %.20q, %v", messageType, p, err)
		}
	})
}

func TestReadLargeMessages(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		for _, n := range []int{125, 126, 1 << 10, 16 << 10, 32<<10 - 14, 32 << 10, 100_000, 3 << 20} {
			want := bytes.Repeat([]byte("plainsocket"), n/11+1)[:n]
			kept := bytes.Clone(want)
			go client.WriteMessage(BinaryMessage, want)
			_, got, err := server.ReadMessage()
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("client to server, %d bytes: got %d, %v", n, len(got), err)
			}
			go server.WriteMessage(BinaryMessage, want)
			_, got, err = client.AppendMessage(got[:0])
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("server to client, %d bytes: got %d, %v", n, len(got), err)
			}
			if !bytes.Equal(want, kept) {
				t.Fatalf("%d bytes: writing changed the caller's slice", n)
			}
		}
	})
}

// A small message comes in a slice of its size, an empty one in one that is
// not nil.
func TestReadMessageSlice(t *testing.T) {
	server, client := pipePair(t)
	go func() {
		client.WriteMessage(TextMessage, nil)
		client.WriteMessage(TextMessage, make([]byte, 1000))
	}()
	if _, p, err := server.ReadMessage(); p == nil || err != nil {
		t.Errorf("empty message: %v, %v; want an empty slice that is not nil", p, err)
	}
	if _, p, err := server.ReadMessage(); cap(p) > 1024 || err != nil {
		t.Errorf("message of 1000 bytes: capacity %d, %v", cap(p), err)
	}
}

func TestReadErrorsAreSticky(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		clientSends(client, append(frame(opText, true, "fine", testKey), frame(3, true, "", testKey)...))
		if _, p, err := server.ReadMessage(); string(p) != "fine" || err != nil {
			t.Fatalf("the message before the violation: %q, %v", p, err)
		}
		go client.ReadMessage()
		messageType, p, first := server.ReadMessage()
		if e, ok := errors.AsType[*ProtocolError](first); !ok || e.Code != CloseProtocolError || messageType != -1 || p != nil {
			t.Fatalf("ReadMessage = %d, %v, %v; want a ProtocolError with code 1002", messageType, p, first)
		}
		for range 2000 {
			if _, _, err := server.ReadMessage(); err != first {
				t.Fatalf("next error %v, want the same", err)
			}
		}
		if _, _, err := server.NextReader(); err != first {
			t.Errorf("NextReader: %v, want the same error", err)
		}
		if err := server.ReadJSON(new(any)); err != first {
			t.Errorf("ReadJSON: %v, want the same error", err)
		}
		if err := server.WriteMessage(TextMessage, nil); err != ErrCloseSent {
			t.Errorf("WriteMessage: %v, want ErrCloseSent", err)
		}
	})
}

func TestReadLimit(t *testing.T) {
	server, client := pipePair(t)
	server.SetReadLimit(10)
	go client.WriteMessage(TextMessage, []byte("0123456789"))
	if _, p, err := server.ReadMessage(); len(p) != 10 || err != nil {
		t.Fatalf("message of the limit's size: %q, %v", p, err)
	}
	clientSends(client, frame(opText, true, "0123456789a", testKey)[:6]) // the header does
	peer := make(chan error)
	go func() { _, _, err := client.ReadMessage(); peer <- err }()
	_, _, err := server.ReadMessage()
	if err != ErrReadLimit {
		t.Errorf("message over the limit: %v, want ErrReadLimit", err)
	}
	if e, ok := errors.AsType[*ProtocolError](err); !ok || e.Code != CloseMessageTooBig {
		t.Errorf("ErrReadLimit is no ProtocolError with code 1009: %v", err)
	}
	if got := (<-peer).Error(); got != "websocket: close 1009 (message too big): message exceeds the limit of 10 bytes" {
		t.Errorf("the peer was told %q", got)
	}
}

// Promise: memory follows the bytes that arrived. A header that announces a gigabyte, and a little
// of it, must not bring more than a little memory.
func TestMemoryFollowsArrivals(t *testing.T) {
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) {
			s, c := pair(t)
			defer c.Close()
			server := newConn(s, false)
			defer server.Close()
			server.SetReadLimit(-1)
			h := appendHeader(nil, frameHeader{frameBits: frameBits{fin: true, masked: true}, opcode: opBinary, length: 1 << 30})
			go c.Write(append(h, make([]byte, 100_000)...))
			server.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if _, _, err := server.ReadMessage(); !isTimeout(err) {
				t.Fatal(err)
			}
			if n, most := cap(server.in.partial), 4*100_000+bufferSize; len(server.in.partial) != 100_000 || n > most {
				t.Errorf("100,000 bytes arrived: kept %d in a slice of %d, want at most %d", len(server.in.partial), n, most)
			}
		})
	}
}

// A connection that waits holds no buffer, in any state of the message.
func TestWaitingHoldsNoBuffer(t *testing.T) {
	for _, sent := range [][]byte{
		nil,
		frame(opText, true, "x", testKey)[:3],     // in a header
		frame(opPing, true, "ping", testKey)[:8],  // in a control frame
		frame(opText, true, "Hello", testKey)[:9], // in a payload
		// behind a message
		append(frame(opText, true, "one", testKey), frame(opText, true, "two", testKey)[:1]...),
	} {
		s, c := tcpPair(t)
		server := newConn(s, false)
		if server.raw == nil {
			t.Skip("this system's sockets cannot be waited for without a buffer")
		}
		c.Write(sent)
		for {
			server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if _, _, err := server.ReadMessage(); isTimeout(err) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if server.in.buf != nil {
			t.Errorf("after % x: the waiting connection holds a buffer of %d", sent, len(server.in.buf))
		}
		server.Close()
		c.Close()
	}
}

func TestMessages(t *testing.T) {
	server, client := pipePair(t)
	go func() {
		client.WriteMessage(TextMessage, []byte("a"))
		client.WriteMessage(BinaryMessage, []byte("b"))
		client.WriteMessage(TextMessage, []byte("c"))
		client.Shutdown(noContext, CloseNormalClosure, "")
	}()
	var got []string
	for m, err := range server.Messages() {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, string(m.Data)); m.Type == BinaryMessage {
			break // and go on below
		}
	}
	for m, err := range server.Messages() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(m.Data))
	}
	if strings.Join(got, "") != "abc" {
		t.Errorf("messages %q", got)
	}
	server, client = pipePair(t)
	go client.Shutdown(noContext, CloseInternalServerErr, "oh")
	for _, err := range server.Messages() {
		if !IsCloseError(err, CloseInternalServerErr) {
			t.Errorf("a close with 1011 ended the messages with %v", err)
		}
	}
}

func TestConcurrentReaders(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		const n = 200
		results := make(chan string, n)
		for range 4 {
			go func() {
				for {
					_, p, err := server.ReadMessage()
					if err != nil {
						return
					}
					results <- string(p)
				}
			}()
		}
		want := strings.Repeat("whole", 500)
		go func() {
			for range n {
				client.WriteMessage(TextMessage, []byte(want))
			}
		}()
		for range n {
			if got := <-results; got != want {
				t.Fatalf("a message of %d bytes arrived as %d", len(want), len(got))
			}
		}
	})
}

func TestReadAllocations(t *testing.T) {
	wire := bytes.Repeat(frame(opBinary, true, strings.Repeat("x", 125), testKey), 10_000)
	c := newConn(&memoryConn{r: bytes.NewReader(wire)}, false)
	var buf []byte
	if n := testing.AllocsPerRun(1000, func() { _, buf, _ = c.AppendMessage(buf[:0]) }); n != 0 {
		t.Errorf("AppendMessage: %v allocations, want 0", n)
	}
	if n := testing.AllocsPerRun(1000, func() { c.ReadMessage() }); n != 1 {
		t.Errorf("ReadMessage: %v allocations, want 1", n)
	}
}

// Over a transport that is no socket, such as TLS, a message is read in few pieces, although the
// connection's buffer is small: what does not fit goes straight into the message.
func TestLongMessageInFewReads(t *testing.T) {
	for size, most := range map[int]int{600: 1, 4 << 10: 3, 16 << 10: 4, 256 << 10: 8, 1 << 20: 10} {
		r := &countingReader{r: bytes.NewReader(frame(opBinary, true, strings.Repeat("x", size), testKey))}
		c := newConn(&memoryConn{r: r}, false)
		_, p, err := c.ReadMessage()
		if err != nil || len(p) != size || r.reads > most {
			t.Errorf("a message of %d bytes took %d reads, want at most %d: %d bytes, %v", size, r.reads, most, len(p), err)
		}
	}
}

// A long message does not begin at a page, because sending it on would be slow (see leadRoom). It does
// not either if it had to move, came in many frames, or came after another one in the same slice.
func TestLongMessageBeginsInsideAPage(t *testing.T) {
	for name, tt := range map[string]struct{ size, frameSize int }{
		"20 KiB":                          {20 << 10, 20 << 10},
		"32 KiB":                          {32 << 10, 32 << 10},
		"1 MiB":                           {1 << 20, 1 << 20},
		"20 frames of 4 KiB":              {80 << 10, 4 << 10},
		"100 frames of 1,000 bytes":       {100_000, 1000},
		"a long frame, and a shorter one": {50 << 10, 40 << 10},
		"more than a chunk":               {1000 << 10, 10 << 10},
	} {
		wire := longMessage(make([]byte, tt.size), false, tt.frameSize)
		wire = append(wire, frame(opBinary, true, strings.Repeat("x", 18<<10), testKey)...) // fits the slice
		for transport, pair := range transports {
			s, client := pair(t)
			c := newConn(s, false)
			go client.Write(wire)
			var p []byte
			for range 2 {
				var err error
				if _, p, err = c.AppendMessage(p[:0]); err != nil {
					t.Fatal(err)
				}
				if offset := reflect.ValueOf(p).Pointer() % 4096; offset < 64 {
					t.Errorf("%s over %s: %d bytes begin %d bytes into a page, want 64 or more", name, transport, len(p), offset)
				}
			}
			client.Close()
			c.Close()
		}
	}
}

// A message costs no more than its length and a page, if its only frame says how long it is.
func TestLongMessageCapacity(t *testing.T) {
	for _, size := range []int{100_000, 1 << 20, 4 << 20, 8_548_576} {
		c := newConn(&memoryConn{r: bytes.NewReader(frame(opBinary, true, strings.Repeat("x", size), testKey))}, false)
		_, p, err := c.ReadMessage()
		if err != nil || len(p) != size {
			t.Fatalf("%d bytes of %d, %v", len(p), size, err)
		}
		if most := size + leadRoom + 8<<10; cap(p) > most {
			t.Errorf("a message of %d bytes has a capacity of %d, want at most %d", size, cap(p), most)
		}
	}
}

// The buffer of a message of 4 MiB is small enough for the pool.
func TestLongMessageIsPooled(t *testing.T) {
	const size = 4 << 20
	wire := frame(opBinary, true, strings.Repeat("x", size), testKey)
	c := newConn(&memoryConn{r: &endless{wire: wire}}, false)
	handled, capacity := 0, 0
	c.HandleMessages(func(c *Conn, _ int, data []byte) {
		capacity = cap(data)
		if handled++; handled == 3 {
			c.Close()
		}
	})
	if handled != 3 || capacity > maxPooledMessage {
		t.Errorf("%d messages, the last with a capacity of %d, want at most %d", handled, capacity, maxPooledMessage)
	}
}

// A pooled buffer that came with the opening handshake goes back to the pool when the rest of a long
// message is waited for.
func TestLongMessageHoldsNoPooledBuffer(t *testing.T) {
	wire := frame(opBinary, true, strings.Repeat("x", 8<<10), testKey)
	c := newConn(nil, false)
	held, rest := -1, bytes.NewReader(wire[600:])
	c.nc = &memoryConn{r: readerFunc(func(p []byte) (int, error) {
		held = max(held, len(c.in.buf))
		return rest.Read(p)
	})}
	in := c.acquire()
	in.buf = getBuffer()[:]
	in.unread = in.buf[:copy(in.buf, wire[:600])]
	if _, p, err := c.ReadMessage(); err != nil || len(p) != 8<<10 {
		t.Errorf("%d bytes, %v", len(p), err)
	}
	if held < 0 || held > plainBufferSize {
		t.Errorf("%d bytes of buffer are held during the wait, want at most %d", held, plainBufferSize)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// countingReader counts the reads.
type countingReader struct {
	r     io.Reader
	reads int
}

func (c *countingReader) Read(p []byte) (int, error) {
	c.reads++
	return c.r.Read(p)
}

// memoryConn reads from r and discards writes.
type memoryConn struct {
	net.Conn
	r io.Reader
}

func (c *memoryConn) Read(p []byte) (int, error)         { return c.r.Read(p) }
func (c *memoryConn) Write(p []byte) (int, error)        { return len(p), nil }
func (c *memoryConn) SetWriteDeadline(t time.Time) error { return nil }
func (c *memoryConn) Close() error                       { return nil }

func BenchmarkEchoUserSpace(b *testing.B) {
	for _, size := range []int{0, 125, 1 << 10, 16 << 10} {
		b.Run(byteSize(size), func(b *testing.B) {
			wire := frame(opBinary, true, strings.Repeat("x", size), testKey)
			c := newConn(&memoryConn{r: &endless{wire: bytes.Repeat(wire, max(1, 1024/len(wire)))}}, false)
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				messageType, p, err := c.AppendMessage(buf[:0])
				if err != nil {
					b.Fatal(err)
				}
				c.WriteMessage(messageType, p)
				buf = p
			}
		})
	}
}

// endless repeats wire.
type endless struct {
	wire []byte
	pos  int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.wire[e.pos:])
	e.pos = (e.pos + n) % len(e.wire)
	return n, nil
}
