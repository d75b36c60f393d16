package websockettest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func connPair(t *testing.T) (a, b *conn) {
	t.Helper()
	a, b = newConnPair(addrOfClient(0), addrOfServer)
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// One goroutine writes at one end and reads at the other.
func TestConnHoldsWhatIsWritten(t *testing.T) {
	a, b := connPair(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), streamSize/16)
	if n, err := a.Write(sent); n != len(sent) || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("other bytes than were sent, or %v", err)
	}
}

// A full stream makes the writer wait, and a reader lets it go on. The bytes that an interrupted
// write has already stored can be read.
func TestConnFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connPair(t)
		a.SetWriteDeadline(time.Now().Add(time.Minute))
		start := time.Now()
		n, err := a.Write(make([]byte, streamSize+10))
		if n != streamSize || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("a write of 10 bytes too many: %d, %v after %v", n, err, time.Since(start))
		}
		if nerr, ok := errors.AsType[net.Error](err); !ok || !nerr.Timeout() {
			t.Errorf("%#v is no net.Error with Timeout", err)
		}
		a.SetWriteDeadline(time.Time{})
		go func() {
			time.Sleep(time.Hour)
			io.CopyN(io.Discard, b, 10)
		}()
		if n, err := a.Write(make([]byte, 10)); n != 10 || err != nil || time.Since(start) != time.Minute+time.Hour {
			t.Errorf("a write that waited for a reader: %d, %v after %v", n, err, time.Since(start))
		}
	})
}

// Bytes written before Close are read, and then comes the end. A write to a closed peer fails, and
// so does every call at an end that was closed itself.
func TestConnClose(t *testing.T) {
	a, b := connPair(t)
	a.Write([]byte("last words"))
	b.Write([]byte("never read"))
	a.Close()
	if p, err := io.ReadAll(b); string(p) != "last words" || err != nil {
		t.Errorf("read %q, %v", p, err)
	}
	if n, err := b.Write([]byte("x")); n != 0 || !errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed) {
		t.Errorf("write to a closed end: %d, %v", n, err)
	}
	_, readErr := a.Read(make([]byte, 1))
	_, writeErr := a.Write([]byte("x"))
	for what, err := range map[string]error{"Read": readErr, "Write": writeErr, "SetDeadline": a.SetDeadline(time.Now())} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s after Close: %v, want net.ErrClosed", what, err)
		}
	}
}

// Close and cut interrupt a read and a write that wait, at either end.
func TestConnCloseInterrupts(t *testing.T) {
	for _, tt := range []struct {
		name            string
		end             func(a, b *conn)
		read, readThere error
		write           error
	}{
		{"Close", func(a, b *conn) { a.Close() }, net.ErrClosed, io.EOF, net.ErrClosed},
		{"Close by the peer", func(a, b *conn) { b.Close() }, io.EOF, net.ErrClosed, io.ErrClosedPipe},
		{"cut", func(a, b *conn) { a.cut() }, io.EOF, io.EOF, io.ErrClosedPipe},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := connPair(t)
				reads, writes := make(chan error, 2), make(chan error, 1)
				c, d := connPair(t) // full, from c to d
				c.Write(make([]byte, streamSize))
				go func() { _, err := a.Read(make([]byte, 1)); reads <- err }()
				go func() { _, err := c.Write([]byte("x")); writes <- err }()
				synctest.Wait()
				tt.end(a, b)
				tt.end(c, d)
				if err := <-reads; !errors.Is(err, tt.read) {
					t.Errorf("Read: %v, want %v", err, tt.read)
				}
				if _, err := b.Read(make([]byte, 1)); !errors.Is(err, tt.readThere) {
					t.Errorf("Read at the other end: %v, want %v", err, tt.readThere)
				}
				if err := <-writes; !errors.Is(err, tt.write) {
					t.Errorf("Write: %v, want %v", err, tt.write)
				}
				a.Close()
				if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Write after all, and Close: %v, want net.ErrClosed", err)
				}
			})
		})
	}
}

// A deadline interrupts a read that waits. One in the past does so at once. A later deadline, or
// none, replaces it. Nothing is lost.
func TestConnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connPair(t)
		start := time.Now()
		a.SetReadDeadline(start.Add(time.Second))
		a.SetReadDeadline(start.Add(time.Hour)) // in the other's place
		time.AfterFunc(time.Minute, func() { a.SetReadDeadline(time.Now()) })
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("Read: %v after %v, want a timeout after a minute", err, time.Since(start))
		}
		b.Write([]byte("x"))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read after the deadline, with a byte there: %v", err)
		}
		a.SetReadDeadline(time.Time{})
		if n, err := a.Read(make([]byte, 9)); n != 1 || err != nil {
			t.Errorf("Read without a deadline: %d, %v", n, err)
		}
	})
}
