package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// streamBytes returns n bytes that are found out of order if they are.
func streamBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// Writes and reads of all sizes, in both directions at once, then an end that is io.EOF.
func TestStreamCarriesBytes(t *testing.T) {
	sent := streamBytes(1 << 20)
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		var wg sync.WaitGroup
		defer wg.Wait()
		both := [2]net.Conn{server.Stream(), client.Stream()}
		var received sync.WaitGroup
		received.Add(2)
		for i, c := range both {
			wg.Go(func() {
				for p, n := sent, 1; len(p) > 0; n = n*3/2 + 1 {
					n = min(n, len(p))
					if m, err := c.Write(p[:n]); m != n || err != nil {
						t.Errorf("Write of %d bytes: %d, %v", n, m, err)
						return
					}
					p = p[n:]
				}
			})
			wg.Go(func() {
				got := make([]byte, len(sent))
				_, err := io.ReadFull(c, got)
				if err != nil || !bytes.Equal(got, sent) {
					t.Errorf("not the bytes that were sent, %v", err)
				}
				received.Done()
				if i == 0 { // the server
					if n, err := c.Read(got); n != 0 || err != io.EOF {
						t.Errorf("at the end Read returned %d, %v", n, err)
					}
				} else {
					received.Wait()
				}
				if err := c.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
	})
}

// streamPair is a server's stream, and the bare transport of its peer.
func streamPair(t *testing.T) (s net.Conn, peer net.Conn) {
	nc, peer := net.Pipe()
	c := newConn(nc, false)
	t.Cleanup(func() { c.Close(); peer.Close() })
	return c.Stream(), peer
}

// The bounds of messages and frames mean nothing, and control frames do not show.
func TestStreamReadsThroughMessages(t *testing.T) {
	s, peer := streamPair(t)
	go io.Copy(io.Discard, peer)
	go func() {
		peer.Write(slices.Concat(
			frame(opBinary, true, "", testKey),
			frame(opBinary, true, "ab", testKey),
			frame(opPing, true, "p", testKey),
			frame(opBinary, false, "", testKey),
			frame(opContinuation, false, "cd", testKey),
			frame(opPong, true, "", testKey),
			frame(opContinuation, true, "e", testKey),
			frame(opBinary, true, "", testKey),
			frame(opBinary, true, "f", testKey),
			frame(opClose, true, "", testKey)))
	}()
	got, err := io.ReadAll(s)
	if err != nil || string(got) != "abcdef" {
		t.Errorf("read %q, %v", got, err)
	}
	if n, err := s.Read(nil); n != 0 || err != nil {
		t.Errorf("a Read of no bytes: %d, %v", n, err)
	}
}

// io.EOF says that the bytes are all, so it comes if the peer says so.
func TestStreamEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		sent []byte
		want func(error) bool
	}{
		{"1000", frame(opClose, true, "\x03\xe8", testKey), func(err error) bool { return err == io.EOF }},
		{"no code", frame(opClose, true, "", testKey), func(err error) bool { return err == io.EOF }},
		{"1001", frame(opClose, true, "\x03\xe9", testKey), func(err error) bool { return IsCloseError(err, 1001) }},
		{"1011", frame(opClose, true, "\x03\xf3", testKey), func(err error) bool { return IsCloseError(err, 1011) }},
		{"4000", frame(opClose, true, "\x0f\xa0", testKey), func(err error) bool { return IsCloseError(err, 4000) }},
		{"1000 in a message", append(frame(opBinary, false, "", testKey), frame(opClose, true, "\x03\xe8", testKey)...),
			func(err error) bool { return IsCloseError(err, 1000) }},
		{"transport", nil, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"in a frame", frame(opBinary, true, "abc", testKey)[:6], func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"a broken rule", frame(opContinuation, true, "", testKey), func(err error) bool {
			return errors.As(err, new(*ProtocolError))
		}},
		{"text", frame(opText, true, "abc", testKey), func(err error) bool { return err == error(errTextInStream) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, peer := streamPair(t)
				answer := make(chan []byte)
				go func() {
					b, _ := io.ReadAll(peer)
					answer <- b
				}()
				go func() {
					peer.Write(frame(opBinary, true, "x", testKey))
					if peer.Write(tt.sent); tt.sent == nil || tt.name == "in a frame" {
						peer.Close()
					}
				}()
				p := make([]byte, 10)
				if n, err := s.Read(p); n != 1 || err != nil {
					t.Fatalf("Read: %d, %v", n, err)
				}
				for range 2 {
					if n, err := s.Read(p); n != 0 || !tt.want(err) {
						t.Errorf("Read: %d, %v", n, err)
					}
				}
				s.Close()
				if b := <-answer; tt.name == "text" && (len(b) < 4 || b[0] != 0x88 || string(b[2:4]) != "\x03\xeb") {
					t.Errorf("the peer got % x, want close code 1003", b)
				}
			})
		})
	}
}

// A deadline ends a Write that waits, and all bytes that it reported as written arrive. The
// stream goes on afterwards.
func TestStreamWriteDeadlineLosesNothing(t *testing.T) {
	sent := streamBytes(4 << 20)
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		s, peer := server.Stream(), client.Stream()
		written, timeouts := 0, 0
		for timeouts < 3 {
			if len(sent)-written < 1<<10 {
				sent = append(sent, streamBytes(16<<20)...) // the kernel's buffers are larger
			}
			s.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
			n, err := s.Write(sent[written:])
			if written += n; err != nil {
				var ne net.Error
				if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
					t.Fatalf("Write: %v", err)
				}
				timeouts++
			}
		}
		if n, err := s.Write(sent[written:]); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a Write after the deadline: %d, %v", n, err)
		}
		s.SetWriteDeadline(time.Time{})
		go func() {
			n, err := s.Write(sent[written:])
			if written += n; err != nil {
				t.Errorf("Write: %v", err)
			}
			s.Close()
		}()
		got, err := io.ReadAll(peer)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes came of %d, not the same, %v", len(got), len(sent), err)
		}
	})
}

// A deadline in the middle of a frame loses nothing of it. One that has passed counts even if
// there is something to be read.
func TestStreamReadDeadlineLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := streamPair(t)
		go func() {
			for _, b := range frame(opBinary, true, "slow but there", testKey) {
				time.Sleep(time.Minute)
				peer.Write([]byte{b})
			}
			peer.Write(frame(opBinary, true, "!", testKey))
		}()
		var got []byte
		timeouts := 0
		for len(got) < len("slow but there") {
			s.SetReadDeadline(time.Now().Add(7 * time.Second))
			p := make([]byte, 100)
			n, err := s.Read(p)
			if got = append(got, p[:n]...); errors.Is(err, os.ErrDeadlineExceeded) {
				timeouts++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != "slow but there" || timeouts < 100 {
			t.Errorf("read %q with %d timeouts", got, timeouts)
		}
		synctest.Wait()
		s.SetReadDeadline(time.Now().Add(-1))
		if n, err := s.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a Read after the deadline: %d, %v", n, err)
		}
		s.SetReadDeadline(time.Time{})
		if n, err := s.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("a Read without one: %d, %v", n, err)
		}
	})
}

// A deadline that is set, moved or removed counts for calls that wait already.
func TestStreamDeadlineOfWaitingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := streamPair(t) // the peer does nothing
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
				t.Errorf("Read after %v: %v", time.Since(start), err)
			}
		})
		wg.Go(func() {
			if _, err := s.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
				t.Errorf("Write after %v: %v", time.Since(start), err)
			}
		})
		synctest.Wait()
		s.SetDeadline(start.Add(10 * time.Second))
		synctest.Wait()
		s.SetDeadline(time.Time{})
		time.Sleep(30 * time.Second)
		s.SetDeadline(start.Add(time.Minute))
		wg.Wait()
	})
}

// A Write of no bytes sends no message, and says what is wrong.
func TestStreamEmptyWrite(t *testing.T) {
	s, peer := streamPair(t)
	if n, err := s.Write(nil); n != 0 || err != nil {
		t.Errorf("Write: %d, %v", n, err)
	}
	go s.Write([]byte("x"))
	got := make([]byte, 3)
	if io.ReadFull(peer, got); string(got) != "\x82\x01x" {
		t.Errorf("the peer got % x", got)
	}
	s.SetDeadline(time.Now().Add(-1))
	if _, err := s.Write(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write after the deadline: %v", err)
	}
	peer.Close()
	s.Close()
	if _, err := s.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
}

// Concurrent Writes do not mix, however long they are.
func TestStreamConcurrentWrites(t *testing.T) {
	const writers, length = 8, 100_000
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		s, peer := server.Stream(), client.Stream()
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() { s.Write(bytes.Repeat([]byte{byte(i)}, length)) })
		}
		go func() {
			wg.Wait()
			s.Close()
		}()
		got, err := io.ReadAll(peer)
		if err != nil || len(got) != writers*length {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		for run := range slices.Chunk(got, length) {
			if bytes.Count(run, run[:1]) != length {
				t.Error("two Writes were mixed")
			}
		}
	})
}

// Close sends what waits and then code 1000. Calls that wait end at once.
func TestStreamClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := streamPair(t)
		var ended sync.WaitGroup
		for range 2 {
			ended.Go(func() {
				if n, err := s.Read(make([]byte, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
					t.Errorf("Read: %d, %v", n, err)
				}
			})
		}
		var written int
		ended.Go(func() {
			var err error
			if written, err = s.Write(make([]byte, 1<<20)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write: %d, %v", written, err)
			}
		})
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		ended.Wait() // while nobody has read a byte
		if err := s.Close(); err != nil {
			t.Errorf("the second Close: %v", err)
		}
		for _, f := range []func(time.Time) error{s.SetDeadline, s.SetReadDeadline, s.SetWriteDeadline} {
			if err := f(time.Time{}); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a deadline after Close: %v", err)
			}
		}

		client := newConn(peer, true)
		got := 0
		for {
			_, p, err := client.ReadMessage()
			if got += len(p); err != nil {
				if !IsCloseError(err, CloseNormalClosure) {
					t.Errorf("the peer got %v", err)
				}
				break
			}
		}
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		if got != written || got == 0 {
			t.Errorf("%d bytes were written, %d came", written, got)
		}
		for _, f := range []func([]byte) (int, error){s.Read, s.Write} {
			if n, err := f(make([]byte, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: %d, %v", n, err)
			}
		}
		client.Close()
	})
}

// Two sides that only write and then close do not wait for each other.
func TestStreamCloseOnBothSides(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		start := time.Now()
		var wg sync.WaitGroup
		for _, s := range []net.Conn{server.Stream(), client.Stream()} {
			wg.Go(func() {
				s.Write(make([]byte, 60_000))
				s.Close()
			})
		}
		wg.Wait()
		if d := time.Since(start); d > defaultCloseTimeout*4/5 {
			t.Errorf("it took %v", d)
		}
	})
}

// A peer that reads nothing, or does not answer, holds Close up for CloseTimeout. The bytes
// that could not be sent are an error.
func TestStreamCloseIsBounded(t *testing.T) {
	for name, n := range map[string]int{"the close frame": 0, "bytes": 1000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := streamPair(t)
				s.Write(make([]byte, n))
				start := time.Now()
				if err := s.Close(); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Close: %v", err)
				}
				if d := time.Since(start); d != defaultCloseTimeout {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

// While Close waits for the peer, calls that begin then end at once.
func TestStreamCallsDuringClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := streamPair(t) // the peer takes nothing
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		synctest.Wait()
		start := time.Now()
		for name, call := range map[string]func([]byte) (int, error){"Read": s.Read, "Write": s.Write} {
			if _, err := call(make([]byte, 1)); err != net.ErrClosed || time.Since(start) != 0 {
				t.Errorf("%s: %v after %v, want net.ErrClosed at once", name, err, time.Since(start))
			}
		}
		if err := <-closed; err == nil || time.Since(start) != defaultCloseTimeout {
			t.Errorf("Close: %v after %v", err, time.Since(start))
		}
	})
}

// An error of sending comes with the next Write, and is final.
func TestStreamWriteError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := streamPair(t)
		peer.Close()
		if _, err := s.Write([]byte("x")); err != nil {
			t.Errorf("the first Write: %v", err)
		}
		synctest.Wait()
		for range 2 {
			if n, err := s.Write([]byte("x")); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("Write: %d, %v", n, err)
			}
		}
		if err := s.Close(); err == nil {
			t.Error("Close: nil, and bytes were lost")
		}
	})
}

// CoalesceWrites does not keep bytes back.
func TestStreamWithCoalescedWrites(t *testing.T) {
	server, client := pipePair(t)
	server.coalesce = true
	go io.Copy(server.Stream(), server.Stream())
	s := client.Stream()
	got := make([]byte, 10)
	for range 100 {
		s.Write(got)
		s.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(s, got); err != nil {
			t.Fatal(err)
		}
	}
}

// While nothing is on its way there is no goroutine and no buffer.
func TestStreamAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := streamPair(t)
		go io.Copy(io.Discard, peer)
		s.Write(make([]byte, 100_000))
		synctest.Wait()
		if st := s.(*stream); st.buf != nil || st.sending {
			t.Errorf("buffer %v, goroutine %v", st.buf != nil, st.sending)
		}
		if s.LocalAddr() != peer.LocalAddr() || s.RemoteAddr() != peer.RemoteAddr() {
			t.Errorf("addresses %v, %v", s.LocalAddr(), s.RemoteAddr())
		}
	})
}
