package websocket

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// transports are the ways in which a Conn meets the network: sockets that can
// be waited for, and those that are no sockets.
var transports = map[string]func(t testing.TB) (server, client net.Conn){
	"pipe": func(t testing.TB) (server, client net.Conn) { return net.Pipe() },
	"tcp":  tcpPair,
	"tls":  tlsPair,
}

// tlsPair has done its handshake: a deadline that ends that is final.
func tlsPair(t testing.TB) (server, client net.Conn) {
	s, c := tcpPair(t)
	ts, tc := tls.Server(s, testTLS()), tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	go ts.Handshake()
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := ts.Handshake(); err != nil {
		t.Fatal(err)
	}
	return ts, tc
}

func tcpPair(t testing.TB) (server, client net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// testTLS has a certificate that was made on the spot.
var testTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// eachTransport runs a test with a connected pair of Conns over each transport.
func eachTransport(t *testing.T, test func(t *testing.T, server, client *Conn)) {
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) {
			s, c := pair(t)
			server, client := newConn(s, false), newConn(c, true)
			defer server.Close()
			defer client.Close()
			test(t, server, client)
		})
	}
}

// pipePair is a pair for tests in which the transport does not matter.
func pipePair(t *testing.T) (server, client *Conn) {
	s, c := net.Pipe()
	server, client = newConn(s, false), newConn(c, true)
	t.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

// frame is a frame as a client sends it, or, without a key, a server.
func frame(op opcode, fin bool, payload string, key uint32) []byte {
	h := frameHeader{frameBits: frameBits{fin: fin, masked: key != 0}, opcode: op, length: int64(len(payload)), key: key}
	b := appendHeader(nil, h)
	n := len(b)
	b = append(b, payload...)
	mask(b[n:], key)
	return b
}

const testKey = 0x3d21fa37

// clientSends writes raw bytes to a server's transport, in a goroutine.
func clientSends(client *Conn, b []byte) {
	go client.nc.Write(b)
}

func TestHandlers(t *testing.T) {
	server, client := pipePair(t)
	var got []string
	server.SetPingHandler(func(data string) error { got = append(got, "ping "+data); return nil })
	server.SetPongHandler(func(data string) error { got = append(got, "pong "+data); return nil })
	var stop = errors.New("stop here")
	server.SetCloseHandler(func(code int, text string) error {
		got = append(got, "close "+closeName(code)+" "+text)
		return stop
	})
	go func() {
		client.WriteControl(PingMessage, []byte("a"), time.Time{})
		client.WriteControl(PongMessage, []byte("b"), time.Time{})
		client.WriteControl(CloseMessage, FormatCloseMessage(1001, "bye"), time.Time{})
	}()
	if _, _, err := server.ReadMessage(); err != stop {
		t.Errorf("ReadMessage: %v, want the close handler's error", err)
	}
	want := []string{"ping a", "pong b", "close 1001 (going away) bye"}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("handlers were called with %q, want %q", got, want)
	}
}

// A close handler that sends nothing is followed by the echo that section
// 5.5.1 demands; one that sends a close frame is not.
func TestCloseHandlerAndEcho(t *testing.T) {
	for _, replies := range []bool{false, true} {
		server, client := pipePair(t)
		server.SetCloseHandler(func(int, string) error {
			if replies {
				return server.WriteControl(CloseMessage, FormatCloseMessage(4001, "mine"), time.Time{})
			}
			return nil
		})
		go client.WriteControl(CloseMessage, FormatCloseMessage(4000, ""), time.Time{})
		go server.ReadMessage()
		want := 4000
		if replies {
			want = 4001
		}
		if _, _, err := client.ReadMessage(); !IsCloseError(err, want) {
			t.Errorf("handler replies %v: client got %v, want code %d", replies, err, want)
		}
	}
}

func TestDefaultHandlersCanBeCalled(t *testing.T) {
	server, client := pipePair(t)
	pongs := make(chan string, 1)
	client.SetPongHandler(func(data string) error { pongs <- data; return nil })
	go client.ReadMessage()
	if err := server.PingHandler()("x"); err != nil {
		t.Error(err)
	}
	if got := <-pongs; got != "x" {
		t.Errorf("pong %q, want x", got)
	}
	if err := server.PongHandler()("x"); err != nil {
		t.Error(err)
	}
	if err := server.CloseHandler()(1000, ""); err != nil {
		t.Error(err)
	}
	if err := server.WriteMessage(TextMessage, nil); err != ErrCloseSent {
		t.Errorf("write after the close handler: %v, want ErrCloseSent", err)
	}
}

func TestAccessors(t *testing.T) {
	s, c := tcpPair(t)
	defer c.Close()
	conn := newConn(s, false)
	defer conn.Close()
	if conn.NetConn() != s || conn.UnderlyingConn() != s || conn.LocalAddr() != s.LocalAddr() || conn.RemoteAddr() != s.RemoteAddr() {
		t.Error("NetConn, UnderlyingConn, LocalAddr or RemoteAddr is not the transport's")
	}
}

func TestReadMessageContext(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, _, err := server.ReadMessageContext(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("canceled read: %v, want context.Canceled", err)
		}
		if _, _, err := server.ReadMessageContext(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("read with a context that has ended: %v", err)
		}
		go client.WriteMessageContext(t.Context(), TextMessage, []byte("still there"))
		if _, p, err := server.ReadMessageContext(t.Context()); err != nil || string(p) != "still there" {
			t.Errorf("read after the canceled one: %q, %v", p, err)
		}
	})
}

// A context interrupts; the deadline that the user set holds again after it.
func TestContextRestoresDeadline(t *testing.T) {
	server, _ := pipePair(t)
	server.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if _, _, err := server.ReadMessageContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("first read: %v, want the context's error", err)
	}
	if _, _, err := server.ReadMessageContext(t.Context()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("second read: %v, want the deadline's error", err)
	}
}

// A deadline that is set while a context interrupts takes effect after it.
func TestDeadlineSetDuringOverride(t *testing.T) {
	server, client := pipePair(t)
	ctx, cancel := context.WithCancel(t.Context())
	restore := server.interruptWhenDone(ctx, readSide)
	cancel()
	for server.deadlines.mu.Lock(); !server.deadlines.isOverridden(readSide); server.deadlines.mu.Lock() {
		server.deadlines.mu.Unlock()
	}
	server.deadlines.mu.Unlock()
	server.SetReadDeadline(time.Now().Add(time.Hour))
	if _, _, err := server.ReadMessage(); !isTimeout(err) {
		t.Fatalf("read under the override: %v, want a timeout", err)
	}
	restore(nil)
	go client.WriteMessage(TextMessage, []byte("x"))
	if _, _, err := server.ReadMessage(); err != nil {
		t.Errorf("read after the override: %v", err)
	}
}

func TestWriteMessageContext(t *testing.T) {
	server, client := pipePair(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	// Nobody reads: the write cannot begin.
	if err := server.WriteMessageContext(ctx, TextMessage, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Fatalf("canceled write: %v, want context.Canceled", err)
	}
	if err := server.WriteMessageContext(ctx, TextMessage, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Fatalf("write with a context that has ended: %v", err)
	}
	go server.WriteMessageContext(t.Context(), TextMessage, []byte("usable"))
	if _, p, err := client.ReadMessage(); err != nil || string(p) != "usable" {
		t.Errorf("after a write that did not begin: %q, %v", p, err)
	}
}
