package websocket

import (
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/plainsocket/websocket/internal/deflate"
)

// Memory follows the bytes that arrived: a message of which little has come holds little, however it came
// and whoever reads.
func TestHalfArrivedMessageHoldsLittle(t *testing.T) {
	const announced, arrived = 32_000, 35
	header := frame(opBinary, true, string(make([]byte, announced)), testKey)[:8]
	for _, style := range []struct {
		name string
		read func(c *Conn)
	}{
		{"ReadMessage", func(c *Conn) { c.ReadMessage() }},
		{"HandleMessages", func(c *Conn) { c.HandleMessages(func(*Conn, int, []byte) {}) }},
	} {
		eachTransport(t, func(t *testing.T, server, client *Conn) {
			done := make(chan bool)
			go func() {
				style.read(server)
				close(done)
			}()
			client.nc.Write(header)
			for range arrived {
				client.nc.Write([]byte{0})
				time.Sleep(time.Millisecond)
			}
			server.SetReadDeadline(longAgo)
			<-done
			if !server.in.open || len(server.in.partial) == 0 {
				t.Fatalf("%s: nothing is kept of the message: %v", style.name, server.readErr)
			}
			if n := cap(server.in.partial); n > worthHolding*arrived {
				t.Errorf("%s: %d bytes of a message are kept in %d", style.name, len(server.in.partial), n)
			}
		})
	}
}

// The same for connections that wait all the time, by the heap.
func TestHalfArrivedMessagesHeap(t *testing.T) {
	const conns = 300
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan bool, conns)
	srv := &Server{OnMessage: func(*Conn, int, []byte) {},
		Upgrader: Upgrader{Trace: &Trace{Handshake: func(*Conn, *http.Request, []byte, error) { opened <- true }}}}
	go srv.Serve(l)
	defer srv.Close()
	var clients []net.Conn
	defer func() {
		for _, nc := range clients {
			nc.Close()
		}
	}()
	for range conns {
		c, _, err := new(Dialer).Dial("ws://"+l.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		<-opened
		clients = append(clients, c.nc)
	}
	before := heapAfterGC()
	begin := frame(opBinary, true, string(make([]byte, 32_000)), testKey)[:8+20]
	for _, piece := range [][]byte{begin, make([]byte, 15), {0}} {
		for _, nc := range clients {
			nc.Write(piece)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if grown := (heapAfterGC() - before) / conns; grown > 1500 {
		t.Errorf("36 of 32,000 bytes came, and each connection holds %d bytes more", grown)
	}
}

func heapAfterGC() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A compressed message beyond the limit costs the limit and one piece, not the copies of a growing slice.
func TestCompressedBeyondLimit(t *testing.T) {
	const limit = 16 << 20
	bomb, _ := deflate.Append(nil, make([]byte, limit+limit/4), 15)
	h := frameHeader{frameBits: frameBits{fin: true, rsv: rsv1}, opcode: opBinary, length: int64(len(bomb))}
	stream := append(appendHeader(nil, h), bomb...)
	for _, style := range []struct {
		name string
		read func(c *Conn) error
	}{
		{"ReadMessage", func(c *Conn) error { _, _, err := c.ReadMessage(); return err }},
		{"AppendMessage", func(c *Conn) error { _, _, err := c.AppendMessage(make([]byte, 0, 1000)); return err }},
		{"HandleMessages", func(c *Conn) error { return c.HandleMessages(func(*Conn, int, []byte) {}) }},
	} {
		nc := &chunkedConn{unread: stream}
		c := newConn(nc, true)
		c.deflate = newConnDeflate(deflateParams{sendBits: 15, receiveBits: 15}, 0)
		c.SetReadLimit(limit)
		before := totalAlloc()
		if err := style.read(c); err != ErrReadLimit {
			t.Errorf("%s: %v, want ErrReadLimit", style.name, err)
		}
		if took := totalAlloc() - before; took > limit+limit/4 {
			t.Errorf("%s: a message beyond the limit of %d took %d bytes", style.name, limit, took)
		}
	}
}

func totalAlloc() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.TotalAlloc)
}

// A large compressed message within the limit arrives whole, by whatever style, and whoever goes on with it.
func TestLargeCompressedMessage(t *testing.T) {
	message := make([]byte, 3*chunkSize+12345)
	for i := range message {
		message[i] = byte(i >> 7)
	}
	compressed, _ := deflate.Append(nil, message, 15)
	h := frameHeader{frameBits: frameBits{fin: true, rsv: rsv1}, opcode: opBinary, length: int64(len(compressed))}
	stream := append(appendHeader(nil, h), compressed...)
	cut := len(stream) - 10
	open := func() (*Conn, net.Conn) {
		a, b := net.Pipe()
		c := newConn(a, true)
		c.deflate = newConnDeflate(deflateParams{sendBits: 15, receiveBits: 15}, 0)
		go b.Write(stream[:cut])
		return c, b
	}
	for _, name := range []string{"ReadMessage", "NextReader"} {
		c, peer := open()
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, _, err := c.ReadMessage(); !isTimeout(err) {
			t.Fatalf("the first part: %v, want a timeout", err)
		}
		c.SetReadDeadline(time.Time{})
		go peer.Write(stream[cut:])
		var got []byte
		var err error
		if name == "ReadMessage" {
			_, got, err = c.ReadMessage()
		} else {
			var r io.Reader
			if _, r, err = c.NextReader(); err == nil {
				got, err = io.ReadAll(r)
			}
		}
		if err != nil || string(got) != string(message) {
			t.Errorf("%s: %d of %d bytes, %v", name, len(got), len(message), err)
		}
		c.Close()
		peer.Close()
	}
}

// noDeadlines is a transport such as an SSH channel.
type noDeadlines struct{ net.Conn }

var errNoDeadlines = errors.New("deadlines are not supported")

func (noDeadlines) SetDeadline(time.Time) error      { return errNoDeadlines }
func (noDeadlines) SetReadDeadline(time.Time) error  { return errNoDeadlines }
func (noDeadlines) SetWriteDeadline(time.Time) error { return errNoDeadlines }
