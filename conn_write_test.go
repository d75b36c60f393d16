package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

var noContext = context.Background()

func byteSize(n int) string {
	if n >= 1<<10 {
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

// Promise: any number of goroutines may write. A hundred do, in every way there is, while one
// reads. Every message must arrive whole.
func TestConcurrentWriters(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		const writers, each = 100, 20
		prepared, err := NewPreparedMessage(TextMessage, []byte(strings.Repeat("p", 5000)))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range writers {
			letter := string(rune('a' + i%16))
			wg.Go(func() {
				for j := range each {
					var err error
					switch body := []byte(strings.Repeat(letter, 1+i*37*(j%3))); (i + j) % 5 {
					case 0:
						err = server.WriteMessage(TextMessage, body)
					case 1:
						err = writeInPieces(server, body)
					case 2:
						err = server.WritePreparedMessage(prepared)
					case 3:
						err = server.WriteMessageContext(t.Context(), TextMessage, body)
					case 4:
						if err = server.WriteControl(PingMessage, []byte(letter), time.Time{}); err == nil {
							err = server.WriteJSON(letter)
						}
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		go func() {
			for { // pongs
				if _, _, err := server.ReadMessage(); err != nil {
					return
				}
			}
		}()
		for range writers * each {
			_, p, err := client.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			p = bytes.Trim(p, "\"\n")
			if len(p) == 0 || len(bytes.Trim(p, string(p[:1]))) != 0 {
				t.Fatalf("messages were mixed: %.60q", p)
			}
		}
		wg.Wait()
	})
}

func writeInPieces(c *Conn, p []byte) error {
	w, err := c.NextWriter(TextMessage)
	if err != nil {
		return err
	}
	for len(p) > 0 {
		n := min(len(p), 1+len(p)/2)
		if _, err := w.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return w.Close()
}

// wire returns the bytes that a server sends while f runs.
func wire(t *testing.T, f func(c *Conn)) []byte {
	t.Helper()
	s, c := net.Pipe()
	out := make(chan []byte)
	go func() { b, _ := io.ReadAll(c); out <- b }()
	conn := newConn(s, false)
	f(conn)
	conn.Close()
	return <-out
}

func TestWriteFrames(t *testing.T) {
	for _, tt := range []struct {
		name  string
		write func(c *Conn) error
		want  string
	}{
		{"text", func(c *Conn) error { return c.WriteMessage(TextMessage, []byte("Hello")) }, "\x81\x05Hello"},
		{"binary", func(c *Conn) error { return c.WriteMessage(BinaryMessage, []byte{0}) }, "\x82\x01\x00"},
		{"empty", func(c *Conn) error { return c.WriteMessage(TextMessage, nil) }, "\x81\x00"},
		{"ping by WriteMessage", func(c *Conn) error { return c.WriteMessage(PingMessage, []byte("a")) }, "\x89\x01a"},
		{"pong", func(c *Conn) error { return c.WriteControl(PongMessage, []byte("a"), time.Time{}) }, "\x8a\x01a"},
		{"close", func(c *Conn) error { return c.WriteMessage(CloseMessage, FormatCloseMessage(1000, "x")) }, "\x88\x03\x03\xe8x"},
		{"json", func(c *Conn) error { return c.WriteJSON(map[string]int{"a": 1}) }, "\x81\x08{\"a\":1}\n"},
		{"writer", func(c *Conn) error { return writeInPieces(c, []byte("Hello")) }, "\x81\x05Hello"},
		{"empty writer", func(c *Conn) error { return writeInPieces(c, nil) }, "\x81\x00"},
	} {
		got := wire(t, func(c *Conn) {
			if err := tt.write(c); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		})
		if string(got) != tt.want {
			t.Errorf("%s: %q went over the wire, want %q", tt.name, got, tt.want)
		}
	}
}

// A message that outgrows NextWriter's buffer goes out in fragments. A control frame may come
// between them.
func TestNextWriterFragments(t *testing.T) {
	body := strings.Repeat("fragment", 10_000)
	b := wire(t, func(c *Conn) {
		w, _ := c.NextWriter(BinaryMessage)
		io.WriteString(w, body[:40_000])
		c.WriteControl(PingMessage, nil, time.Time{})
		if n, err := io.Copy(w, iotest.HalfReader(strings.NewReader(body[40_000:]))); n != 40_000 || err != nil {
			t.Errorf("io.Copy to the writer: %d, %v", n, err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("Write after Close: no error")
		}
	})
	var got strings.Builder
	var shape []string
	for len(b) > 0 {
		h, n, err := consumeHeader(b)
		if err != nil || n == 0 {
			t.Fatal(err)
		}
		if !h.opcode.isControl() {
			got.Write(b[n : n+int(h.length)])
		}
		shape = append(shape, fmt.Sprint(h.opcode, h.fin))
		b = b[n+int(h.length):]
	}
	if got.String() != body {
		t.Errorf("%d bytes arrived, want %d, or they differ", got.Len(), len(body))
	}
	if want := "[binary false ping true continuation false continuation true]"; fmt.Sprint(shape) != want {
		t.Errorf("frames %v, want %v", shape, want)
	}
}

// The next message waits for the one that is open, for any time. A control message does not wait,
// and a deadline ends the wait.
func TestMessageWaitsForOpenWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipePair(t)
		var got []string
		done := make(chan bool)
		go func() {
			for m := range client.Messages() {
				got = append(got, string(m.Data))
			}
			close(done)
		}()
		w, err := server.NextWriter(TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		server.SetWriteDeadline(time.Now().Add(time.Minute))
		err = server.WriteMessage(TextMessage, []byte("too late"))
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("write during an open message: %v, want a timeout", err)
		}
		server.SetWriteDeadline(time.Time{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := server.WriteMessageContext(ctx, TextMessage, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("write with a context during an open message: %v", err)
		}
		if err := server.WriteControl(PingMessage, nil, time.Time{}); err != nil {
			t.Errorf("ping during an open message: %v", err)
		}
		go server.WriteMessage(TextMessage, []byte("second"))
		synctest.Wait()
		io.WriteString(w, "first")
		w.Close()
		synctest.Wait()
		go server.ReadMessage()
		server.Shutdown(t.Context(), CloseNormalClosure, "")
		<-done
		if fmt.Sprint(got) != "[first second]" {
			t.Errorf("messages %q", got)
		}
	})
}

func TestCloseWakesWaitingWriters(t *testing.T) {
	server, _ := pipePair(t)
	if _, err := server.NextWriter(TextMessage); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	go func() { errs <- server.WriteMessage(TextMessage, nil) }()
	time.Sleep(10 * time.Millisecond)
	server.Close()
	if err := <-errs; !errors.Is(err, net.ErrClosed) {
		t.Errorf("waiting write: %v, want net.ErrClosed", err)
	}
}

// Promise: a write that ends before its first byte leaves the connection usable, and a half-written
// frame is final.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipePair(t)
		server.SetWriteDeadline(time.Now().Add(time.Second))
		if err := server.WriteMessage(TextMessage, []byte("x")); !isTimeout(err) {
			t.Fatalf("write that the peer does not read: %v, want a timeout", err)
		}
		server.SetWriteDeadline(time.Time{})
		go server.WriteMessage(TextMessage, []byte("usable"))
		if _, p, err := client.ReadMessage(); string(p) != "usable" || err != nil {
			t.Fatalf("after a write that did not begin: %q, %v", p, err)
		}
		go client.nc.Read(make([]byte, 3)) // three bytes of a frame
		server.SetWriteDeadline(time.Now().Add(time.Second))
		err := server.WriteMessage(TextMessage, []byte("cut short"))
		if !isTimeout(err) {
			t.Fatalf("write that was cut short: %v, want a timeout", err)
		}
		server.SetWriteDeadline(time.Time{})
		if again := server.WriteMessage(TextMessage, nil); again != err {
			t.Errorf("write after half a frame: %v, want the same error", again)
		}
	})
}

// A fragment that found no reader in time is kept, and sent by the next call.
func TestNextWriterRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipePair(t)
		w, _ := server.NextWriter(TextMessage)
		io.WriteString(w, "patience")
		server.SetWriteDeadline(time.Now().Add(time.Second))
		if err := w.Close(); !isTimeout(err) {
			t.Fatalf("Close: %v, want a timeout", err)
		}
		server.SetWriteDeadline(time.Time{})
		go w.Close()
		if _, p, err := client.ReadMessage(); string(p) != "patience" || err != nil {
			t.Errorf("after the second Close: %q, %v", p, err)
		}
	})
}

func TestWriteControlDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, _ := pipePair(t)
		start := time.Now()
		err := server.WriteControl(PingMessage, nil, start.Add(time.Minute))
		if !isTimeout(err) || time.Since(start) != time.Minute {
			t.Errorf("ping that the peer does not read: %v after %v", err, time.Since(start))
		}
		go server.WriteMessage(TextMessage, []byte("stuck"))
		synctest.Wait()
		start = time.Now()
		err = server.WriteControl(PingMessage, nil, start.Add(time.Minute))
		if !isTimeout(err) || time.Since(start) != time.Minute {
			t.Errorf("ping behind a stuck write: %v after %v", err, time.Since(start))
		}
	})
}

func TestWriteRefusesNonsense(t *testing.T) {
	server, client := pipePair(t)
	go client.ReadMessage()
	for name, err := range map[string]error{
		"message type 0":        server.WriteMessage(0, nil),
		"message type 3":        server.WriteMessage(3, nil),
		"message type 257":      server.WriteMessage(257, nil),
		"control of type text":  server.WriteControl(TextMessage, nil, time.Time{}),
		"long ping":             server.WriteControl(PingMessage, make([]byte, 126), time.Time{}),
		"close of one byte":     server.WriteControl(CloseMessage, []byte{3}, time.Time{}),
		"close with 1005":       server.WriteControl(CloseMessage, []byte{3, 0xed}, time.Time{}),
		"close, reason no text": server.WriteControl(CloseMessage, FormatCloseMessage(1000, "\xff"), time.Time{}),
		"prepared type 0":       preparedError(0, nil),
		"prepared long ping":    preparedError(PingMessage, make([]byte, 126)),
		"shutdown with 999":     server.Shutdown(noContext, 999, ""),
		"shutdown with 66536":   server.Shutdown(noContext, 66536, ""),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := server.NextWriter(11); err == nil {
		t.Error("NextWriter of a reserved control opcode: no error")
	}
	if err := server.WriteMessage(TextMessage, nil); err != nil {
		t.Errorf("after all that was refused: %v", err)
	}
}

// Control messages have a writer too, and other messages do not wait for it.
func TestControlWriter(t *testing.T) {
	server, client := pipePair(t)
	go client.ReadMessage()
	ping, err := server.NextWriter(PingMessage)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	client.SetPingHandler(func(data string) error { got <- data; return nil })
	io.WriteString(ping, strings.Repeat("x", 100))
	if n, err := io.WriteString(ping, strings.Repeat("x", 26)); n != 0 || err == nil {
		t.Errorf("byte 126: %d, %v", n, err)
	}
	io.WriteString(ping, strings.Repeat("y", 25))
	if err := server.WriteMessage(TextMessage, nil); err != nil {
		t.Error(err)
	}
	go client.ReadMessage()
	if err := ping.Close(); err != nil || ping.Close() != nil {
		t.Error(err)
	}
	if data := <-got; len(data) != 125 {
		t.Errorf("a ping of %d bytes", len(data))
	}
	if _, err := ping.Write(nil); err == nil {
		t.Error("Write after Close: no error")
	}
}

func preparedError(messageType int, data []byte) error {
	_, err := NewPreparedMessage(messageType, data)
	return err
}

// Masking keys are fresh for every frame (promise 9).
func TestMaskingKeysDiffer(t *testing.T) {
	seen := make(map[uint32]bool)
	for range 10_000 {
		seen[newMaskingKey()] = true
	}
	if len(seen) < 9_990 {
		t.Errorf("10,000 masking keys, only %d different", len(seen))
	}
}

func TestJSON(t *testing.T) {
	server, client := pipePair(t)
	type point struct{ X, Y int }
	go client.WriteJSON(point{1, 2})
	var got point
	if err := server.ReadJSON(&got); err != nil || got != (point{1, 2}) {
		t.Errorf("ReadJSON: %v, %v", got, err)
	}
	go client.WriteMessage(TextMessage, nil)
	if err := server.ReadJSON(&got); err != io.ErrUnexpectedEOF {
		t.Errorf("ReadJSON of an empty message: %v", err)
	}
	go client.WriteMessage(TextMessage, []byte("{"))
	if err := server.ReadJSON(&got); err != io.ErrUnexpectedEOF {
		t.Errorf("ReadJSON of half an object: %v", err)
	}
	go client.WriteMessage(TextMessage, []byte(`{"X": 5} and more`))
	if err := server.ReadJSON(&got); err != nil || got.X != 5 {
		t.Errorf("ReadJSON of a value with something behind it: %v, %v", got, err)
	}
	go client.WriteJSON(point{3, 4})
	if err := server.ReadJSON(&got); err != nil || got != (point{3, 4}) {
		t.Errorf("ReadJSON after a malformed one: %v, %v", got, err)
	}
	if err := server.WriteJSON(func() {}); err == nil {
		t.Error("WriteJSON of a func: no error")
	}
}

func TestPreparedMessage(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		data := []byte(strings.Repeat("once ", 10_000))
		pm, err := NewPreparedMessage(TextMessage, data)
		if err != nil {
			t.Fatal(err)
		}
		want := string(data)
		clear(data) // it was copied
		for _, pair := range [][2]*Conn{{server, client}, {client, server}, {server, client}} {
			go pair[0].WritePreparedMessage(pm)
			if _, p, err := pair[1].ReadMessage(); string(p) != want || err != nil {
				t.Fatalf("prepared message arrived as %d bytes, %v", len(p), err)
			}
		}
	})
	ping, err := NewPreparedMessage(PingMessage, []byte("p"))
	if err != nil {
		t.Fatal(err)
	}
	if got := wire(t, func(c *Conn) { c.WritePreparedMessage(ping) }); string(got) != "\x89\x01p" {
		t.Errorf("prepared ping: %q", got)
	}
}

func TestWriteAllocations(t *testing.T) {
	for _, client := range []bool{false, true} {
		c := newConn(&memoryConn{}, client)
		for _, size := range []int{125, 100_000} {
			p := make([]byte, size)
			if n := testing.AllocsPerRun(1000, func() { c.WriteMessage(BinaryMessage, p) }); n != 0 {
				t.Errorf("client %v, %d bytes: %v allocations, want 0", client, size, n)
			}
		}
		pm, _ := NewPreparedMessage(TextMessage, make([]byte, 125))
		if n := testing.AllocsPerRun(1000, func() { c.WritePreparedMessage(pm) }); n != 0 {
			t.Errorf("client %v, prepared: %v allocations, want 0", client, n)
		}
	}
}

// Flush makes a frame of the written bytes, and no frame if there are none.
func TestWriterFlush(t *testing.T) {
	server, client := pipePair(t)
	var frames []Frame
	client.change(func(s *settings) {
		s.trace = &Trace{Frame: func(_ *Conn, f Frame) { frames = append(frames, f) }}
	})
	go func() {
		w, _ := server.NextWriter(TextMessage)
		f := w.(interface{ Flush() error })
		f.Flush()
		for _, s := range []string{"and a", "happy new"} {
			io.WriteString(w, s)
			f.Flush()
			f.Flush()
		}
		io.WriteString(w, "year!")
		w.Close()
		if err := f.Flush(); err == nil {
			t.Error("Flush after Close: no error")
		}
	}()
	if _, p, err := client.ReadMessage(); string(p) != "and ahappy newyear!" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	if len(frames) != 3 || frames[0].Opcode != 1 || frames[1].Opcode != 0 || frames[1].Length != 9 || frames[0].Fin || frames[1].Fin || !frames[2].Fin {
		t.Errorf("frames %+v", frames)
	}
}

// Programs set a deadline before each message, and it may have passed. Such a deadline does not
// keep control frames from going out, because they have their own. A ping that WriteMessage sends
// is a message like others.
func TestControlFramesHaveTheirOwnDeadline(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		pong := make(chan string, 1)
		client.SetPongHandler(func(data string) error { pong <- data; return nil })
		server.SetWriteDeadline(time.Now().Add(-time.Second))
		go server.ReadMessage()
		go client.WriteControl(PingMessage, []byte("there?"), time.Time{})
		end := make(chan error, 1)
		go func() {
			_, _, err := client.ReadMessage()
			end <- err
		}()
		if data := <-pong; data != "there?" {
			t.Errorf("pong %q", data)
		}
		if err := server.WriteMessage(PingMessage, nil); !isTimeout(err) {
			t.Errorf("WriteMessage of a ping: %v, want a timeout", err)
		}
		if isTLS(server.nc) {
			return // that was its last write
		}
		go client.WriteControl(CloseMessage, FormatCloseMessage(4000, ""), time.Time{})
		if err := <-end; !IsCloseError(err, 4000) {
			t.Errorf("the close was answered with %v", err)
		}
	})
}

// WriteBufferSize makes room for larger frames.
func TestWriteBufferSize(t *testing.T) {
	server, client := pipePair(t)
	server.configure(settings{frameSize: 100_000})
	var lengths []int64
	client.change(func(s *settings) {
		s.trace = &Trace{Frame: func(_ *Conn, f Frame) { lengths = append(lengths, f.Length) }}
	})
	go func() {
		w, _ := server.NextWriter(BinaryMessage)
		w.Write(make([]byte, 1))
		w.Write(make([]byte, 99_999))
		w.Close()
	}()
	if _, p, err := client.ReadMessage(); len(p) != 100_000 || err != nil || len(lengths) != 1 {
		t.Errorf("%d bytes in frames of %v, %v; want one frame", len(p), lengths, err)
	}
}

// BenchmarkWriteLong sends 128 KiB through a socket, from the beginning of a page and from where
// ReadMessage puts a message (see leadRoom). The time includes that of the peer's reading.
func BenchmarkWriteLong(b *testing.B) {
	array := make([]byte, leadRoom+128<<10)
	for name, data := range map[string][]byte{"page": array[:128<<10], "message": array[leadRoom:]} {
		b.Run(name, func(b *testing.B) {
			s, client := tcpPair(b)
			defer client.Close()
			server := newConn(s, false)
			defer server.Close()
			server.SetWriteDeadline(time.Now().Add(time.Minute)) // the kernel has to take all before any is read
			received := make([]byte, 10+len(data))               // with the frame's header
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := server.WriteMessage(BinaryMessage, data); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(client, received); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
