package websocket

import (
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// A message of which little has come holds little, in however many pieces that
// came: heap per connection, in each style, over each transport, behind a large
// message or as the first.
func TestPartialMessageMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("some hundred connections")
	}
	styles := map[string]func(c *Conn){
		"ReadMessage": func(c *Conn) {
			for {
				if _, _, err := c.ReadMessage(); err != nil {
					return
				}
			}
		},
		"HandleMessages": func(c *Conn) { c.HandleMessages(func(*Conn, int, []byte) {}) },
		"OnMessage": func(c *Conn) {
			srv := &Server{OnMessage: func(*Conn, int, []byte) {}}
			srv.join(c)
			srv.drive(c, false)
		},
	}
	for name, pair := range transports {
		for style, serve := range styles {
			t.Run(name+" "+style, func(t *testing.T) { testPartialMemory(t, pair, serve) })
		}
	}
}

func testPartialMemory(t *testing.T, pair func(t testing.TB) (server, client net.Conn), serve func(*Conn)) {
	const n, most = 100, 1500
	message := make([]byte, 32_000)
	clients := make([]net.Conn, n)
	done := make(chan bool)
	for i := range clients {
		s, client := pair(t)
		defer func() { client.Close(); <-done }()
		clients[i] = client
		c := newConn(s, false)
		go func() { serve(c); c.Close(); done <- true }()
		client.Write(frame(opBinary, true, string(message), testKey)) // the pools have large buffers then
	}
	h := appendHeader(nil, frameHeader{frameBits: frameBits{fin: true, masked: true}, opcode: opBinary, length: int64(len(message))})
	send := func(p []byte) {
		for _, client := range clients {
			client.Write(p)
		}
		time.Sleep(10 * time.Millisecond)
	}
	before, _ := memory()
	for range n { // which are there in practice, if the garbage collector was not just called three times
		buf := make([]byte, 0, 64<<10)
		messageBuffers.Put(&buf)
	}
	send(append(h, message[:5]...))
	for range 6 {
		send(message[:5])
	}
	after, _ := memory()
	if held := (after - before) / n; held > most {
		t.Errorf("35 bytes of a message hold %d bytes on the heap, want at most %d", held, most)
	}
}

// A compressed message that was begun holds room for what was inflated.
func TestPartialCompressedMemory(t *testing.T) {
	s, client := tcpPair(t)
	defer client.Close()
	server := newConn(s, false)
	defer server.Close()
	server.deflate = newConnDeflate(deflateParams{15, 15, true, true}, 1)
	text, rng := make([]byte, 1000), rand.New(rand.NewPCG(5, 6))
	for i := range text {
		text[i] = "abcdefg"[rng.IntN(7)]
	}
	wire := longMessage(text, true, 1000)
	for _, end := range []int{60, 30, 40} {
		client.Write(wire[:end])
		wire = wire[end:]
		server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if err := server.HandleMessages(handleEcho); !isTimeout(err) {
			t.Fatal(err)
		}
		if n := len(server.in.partial); cap(server.in.partial) > 16*n {
			t.Errorf("%d bytes are held in %d", n, cap(server.in.partial))
		}
	}
}
