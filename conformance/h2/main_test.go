package h2

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"
	"time"

	_ "github.com/plainsocket/websocket/conformance/h2/internal/early"
)

// TestMain looks for goroutines that a stream left behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	for range 100 {
		if code != 0 || runtime.NumGoroutine() <= before {
			os.Exit(code)
		}
		time.Sleep(50 * time.Millisecond) // some are just ending
	}
	buf := make([]byte, 1<<20)
	fmt.Fprintf(os.Stderr, "leak: %d goroutines before the tests, %d after\n%s\n", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
	os.Exit(1)
}

// patience is the longest wait for a thing that happens at once.
const patience = 10 * time.Second

// serve runs h under net/http over TLS, with HTTP/2 by ALPN, until the test ends.
func serve(t testing.TB, h http.Handler, configure ...func(*http.Server)) *httptest.Server {
	hs := httptest.NewUnstartedServer(h)
	hs.EnableHTTP2 = true
	hs.Config.ErrorLog = log.New(io.Discard, "", 0) // TCP connections that a test cuts
	for _, f := range configure {
		f(hs.Config)
	}
	hs.StartTLS()
	t.Cleanup(hs.Close)
	return hs
}

// dial opens an HTTP/2 connection that ends with the test.
func dial(t testing.TB, hs *httptest.Server, o Options) *Client {
	t.Helper()
	config := &tls.Config{RootCAs: hs.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}
	c, err := Dial(hs.Listener.Addr().String(), config, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	timer := time.AfterFunc(2*time.Minute, func() { c.Close() }) // nothing may hang
	t.Cleanup(func() { timer.Stop() })
	return c
}

// dialThrough is dial by way of nc.
func dialThrough(t testing.TB, hs *httptest.Server, nc *stopper) *Client {
	t.Helper()
	tcp, err := net.Dial("tcp", hs.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc.Conn, nc.closed = tcp, make(chan struct{})
	t.Cleanup(func() { nc.Close() })
	tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	c, err := NewClient(tc, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// open opens a WebSocket.
func open(t testing.TB, c *Client, pairs ...string) *peer {
	t.Helper()
	s, err := c.Open(Connect("example.com", "/", pairs...), false)
	if err != nil {
		t.Fatal(err)
	}
	status, _, err := s.Response()
	if err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v", status, err)
	}
	return &peer{s, bufio.NewReader(s)}
}

// A peer is the client's end of a WebSocket, written by hand.
type peer struct {
	*Stream
	r *bufio.Reader
}

const (
	opText, opBinary, opClose, opPing, opPong = 1, 2, 8, 9, 10
)

// frame is a client's frame, masked by a key of zeros.
func frame(op byte, payload []byte) []byte {
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

func (p *peer) send(t testing.TB, op byte, payload string) {
	t.Helper()
	if _, err := p.Write(frame(op, []byte(payload))); err != nil {
		t.Fatal(err)
	}
}

// next reads a frame, which must be whole and not masked.
func (p *peer) next() (op byte, payload []byte, err error) {
	var h [10]byte
	if _, err := io.ReadFull(p.r, h[:2]); err != nil {
		return 0, nil, err
	}
	n := uint64(h[1])
	switch h[1] {
	case 126:
		_, err = io.ReadFull(p.r, h[2:4])
		n = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		_, err = io.ReadFull(p.r, h[2:10])
		n = binary.BigEndian.Uint64(h[2:])
	}
	if err != nil || h[0]&0x80 == 0 || n > 64<<20 {
		return 0, nil, fmt.Errorf("header %x, %v", h, err)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(p.r, payload)
	return h[0] & 15, payload, err
}

func (p *peer) expect(t testing.TB, op byte, payload string) {
	t.Helper()
	got, b, err := p.next()
	if err != nil || got != op || !bytes.Equal(b, []byte(payload)) {
		t.Fatalf("opcode %d, %d bytes %.60q, %v; want opcode %d, %d bytes %.60q", got, len(b), b, err, op, len(payload), payload)
	}
}

// expectClose reads up to a close frame, which must have the code, and returns its reason.
func (p *peer) expectClose(t testing.TB, code int) string {
	t.Helper()
	for {
		op, b, err := p.next()
		switch {
		case err != nil:
			t.Fatalf("%v, want a close frame with code %d", err, code)
		case op == opClose && len(b) >= 2 && int(binary.BigEndian.Uint16(b)) == code:
			return string(b[2:])
		case op == opClose:
			t.Fatalf("close frame %q, want code %d", b, code)
		}
	}
}

// expectEnd wants END_STREAM, and nothing before it. net/http may send RST_STREAM with NO_ERROR behind it.
func (p *peer) expectEnd(t testing.TB) {
	t.Helper()
	if b, err := io.ReadAll(p.r); len(b) > 0 || err != nil {
		t.Fatalf("read %q, %v, want the end of the stream", b, err)
	}
}

// within fails if f takes longer than the patience for what happens at once.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("%s takes longer than %v\n%s", what, patience, buf[:runtime.Stack(buf, true)])
	}
}

// nextPiece is next for a frame that may not be its message's last.
func (p *peer) nextPiece() (fin bool, payload []byte, err error) {
	b, err := p.r.Peek(1)
	if err != nil {
		return false, nil, err
	}
	fin = b[0]&0x80 != 0
	b[0] |= 0x80 // in the buffer of r
	_, payload, err = p.next()
	return fin, payload, err
}

// expectMessage reads a message of any number of frames.
func (p *peer) expectMessage(t testing.TB, want string) {
	t.Helper()
	var got []byte
	for fin := false; !fin; {
		var piece []byte
		var err error
		if fin, piece, err = p.nextPiece(); err != nil {
			t.Errorf("%v after %d bytes of a message of %d", err, len(got), len(want))
			return
		}
		got = append(got, piece...)
	}
	if string(got) != want {
		t.Errorf("a message of %d bytes, %.60q, want %d, %.60q", len(got), got, len(want), want)
	}
}
