package websocket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A countingConn counts the writes.
type countingConn struct {
	net.Conn
	writes atomic.Int32
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// coalescingPair is a server that coalesces, and a transport to write to.
func coalescingPair(t *testing.T) (server *Conn, counter *countingConn, client net.Conn) {
	s, client := tcpPair(t)
	counter = &countingConn{Conn: s}
	server = newConn(counter, false)
	server.coalesce = true
	t.Cleanup(func() { server.Close(); client.Close() })
	return server, counter, client
}

// messages are n small masked frames, and echoes are the answers to them.
func messages(n int) (b []byte) {
	for i := range n {
		b = append(b, frame(opText, true, strconv.Itoa(i), testKey)...)
	}
	return b
}

func echoes(n int) (b []byte) {
	for i := range n {
		b = append(b, frame(opText, true, strconv.Itoa(i), 0)...)
	}
	return b
}

func expect(t *testing.T, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the client read %.80q, %v; want %.80q", got, err, want)
	}
}

// echoN answers n messages in pull style.
func echoN(t *testing.T, c *Conn, n int) {
	t.Helper()
	for range n {
		messageType, p, err := c.ReadMessage()
		if err == nil {
			err = c.WriteMessage(messageType, p)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// 32 messages that arrive together are answered with one write, unless coalescing is off, as it is
// by default.
func TestCoalescing(t *testing.T) {
	const n = 32
	for _, tt := range []struct {
		name   string
		on     bool
		echo   func(c *Conn)
		writes int32
	}{
		{"pull", true, func(c *Conn) { echoN(t, c, n) }, 1},
		{"off", false, func(c *Conn) { echoN(t, c, n) }, n},
		{"HandleMessages", false, func(c *Conn) {
			c.HandleMessages(func(c *Conn, messageType int, data []byte) { c.WriteMessage(messageType, data) })
		}, 1},
		{"NextReader, NextWriter", true, func(c *Conn) {
			for range n {
				_, r, _ := c.NextReader()
				w, _ := c.NextWriter(TextMessage)
				io.Copy(w, r)
				w.Close()
			}
		}, 1},
		{"prepared", true, func(c *Conn) {
			for range n {
				_, p, _ := c.ReadMessage()
				pm, _ := NewPreparedMessage(TextMessage, p)
				c.WritePreparedMessage(pm)
			}
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, counter, client := coalescingPair(t)
			server.coalesce = tt.on
			client.Write(messages(n))
			done := make(chan bool)
			go func() { tt.echo(server); close(done) }()
			expect(t, client, echoes(n))
			if got := counter.writes.Load(); got != tt.writes {
				t.Errorf("%d writes, want %d", got, tt.writes)
			}
			client.Close()
			<-done
		})
	}
}

// Pending answers go out even if the last message is not answered: before reading waits, or if it
// ends.
func TestCoalescedWithoutLastAnswer(t *testing.T) {
	server, counter, client := coalescingPair(t)
	client.Write(messages(3))
	echoN(t, server, 2)
	if counter.writes.Load() != 0 {
		t.Error("an answer was not held, though another message was there")
	}
	server.ReadMessage()
	go server.ReadMessage()
	expect(t, client, echoes(2))

	server, _, client = coalescingPair(t)
	client.Write(append(messages(2), frame(opText, true, "\xff", testKey)...))
	echoN(t, server, 2)
	if _, _, err := server.ReadMessage(); err != errInvalidUTF8 {
		t.Errorf("read: %v", err)
	}
	expect(t, client, append(echoes(2), "\x88"...))
}

// Flush is for handlers that stop reading.
func TestFlush(t *testing.T) {
	server, counter, client := coalescingPair(t)
	client.Write(messages(3))
	echoN(t, server, 2)
	if err := server.Flush(); err != nil || counter.writes.Load() != 1 {
		t.Errorf("Flush: %v, %d writes", err, counter.writes.Load())
	}
	expect(t, client, echoes(2))
	if err := server.Flush(); err != nil || counter.writes.Load() != 1 {
		t.Errorf("Flush of nothing: %v, %d writes", err, counter.writes.Load())
	}
	server.Close()
	if err := server.Flush(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Flush after Close: %v", err)
	}
}

// The order stays, even if other frames are written while an answer is pending: pongs, large
// frames, more than may be pending, a close frame.
func TestCoalescedOrder(t *testing.T) {
	server, counter, client := coalescingPair(t)
	client.Write(append(messages(1), append(frame(opPing, true, "p", testKey), messages(3)...)...))
	echoN(t, server, 2) // the second one meets the ping
	large := strings.Repeat("x", copyLimit+1)
	server.WriteMessage(TextMessage, []byte(large))
	want := append(echoes(1), frame(opPong, true, "p", 0)...)
	want = append(append(want, echoes(1)...), frame(opText, true, large, 0)...)
	expect(t, client, want)

	before := counter.writes.Load()
	half := strings.Repeat("y", copyLimit/2)
	for range 6 {
		server.WriteMessage(TextMessage, []byte(half))
	}
	if writes := counter.writes.Load() - before; writes != 3 {
		t.Errorf("6 frames of 8 KiB: %d writes, want 3", writes)
	}
	expect(t, client, bytes.Repeat(frame(opText, true, half, 0), 6))

	server.WriteMessage(TextMessage, []byte("last"))
	server.WriteControl(CloseMessage, nil, time.Time{})
	expect(t, client, append(frame(opText, true, "last", 0), frame(opClose, true, "", 0)...))
}

// Close writes the pending answers to the transport.
func TestCloseAfterHeldWrite(t *testing.T) {
	server, _, client := coalescingPair(t)
	client.Write(messages(2))
	echoN(t, server, 1)
	server.Close()
	expect(t, client, echoes(1))
}

// A write while the reader waits goes out at once. So does a write of another goroutine that comes
// just when the reader begins to wait. In either case, all messages arrive.
func TestCoalescingWithOtherWriters(t *testing.T) {
	const writers, each, asked = 4, 500, 500
	s, cl := tcpPair(t)
	server, client := newConn(s, false), newConn(cl, true)
	server.coalesce = true
	defer client.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		server.HandleMessages(func(c *Conn, messageType int, data []byte) { c.WriteMessage(messageType, data) })
	})
	for range writers {
		wg.Go(func() {
			for range each {
				server.WriteMessage(TextMessage, []byte("pushed"))
			}
		})
	}
	wg.Go(func() {
		for i := range asked {
			client.WriteMessage(TextMessage, []byte(strconv.Itoa(i)))
		}
	})
	pushed, next := 0, 0
	for pushed+next < writers*each+asked {
		client.SetReadDeadline(time.Now().Add(30 * time.Second))
		_, p, err := client.ReadMessage()
		switch {
		case err != nil:
			t.Fatalf("after %d pushed and %d answers: %v", pushed, next, err)
		case string(p) == "pushed":
			pushed++
		case string(p) == strconv.Itoa(next):
			next++
		default:
			t.Fatalf("read %q, want answer %d", p, next)
		}
	}
	client.Close()
	wg.Wait()
}

// A deadline that ends a write before its first byte loses no pending answer, and
// does not count when the reader flushes.
func TestCoalescedWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := net.Pipe()
		server := newConn(s, false)
		server.coalesce = true
		defer client.Close()
		go client.Write(messages(3))
		echoN(t, server, 2)
		server.SetWriteDeadline(time.Now().Add(time.Second))
		large := make([]byte, copyLimit+1)
		if err := server.WriteMessage(BinaryMessage, large); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write to a peer that does not read: %v", err)
		}
		server.SetWriteDeadline(time.Time{})
		go server.Flush()
		expect(t, client, echoes(2))
		synctest.Wait()

		server.coalesce, server.flushNeeded = false, true
		server.flags.set(flagMore)
		server.WriteMessage(TextMessage, []byte("pending"))
		server.SetWriteDeadline(time.Now().Add(time.Second))
		time.Sleep(2 * time.Second)
		go func() {
			server.ReadMessage() // message 2, which was there
			server.ReadMessage() // flushes before it waits
		}()
		synctest.Wait()
		expect(t, client, []byte("\x81\x07pending"))
		server.SetWriteDeadline(time.Time{})
		go server.WriteMessage(TextMessage, nil)
		expect(t, client, []byte("\x81\x00"))
	})
}
