package websocket

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"
)

// An idle connection has a Conn and the state that waits for its socket. The test compares its cost
// with a goroutine that waits in net.Conn's Read, which is as little as a connection can cost in
// Go. Each connection has had a message.
func TestIdleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("some hundred connections")
	}
	const n = 400
	idleCost(t, n, serveRaw) // the runtime keeps its memory for goroutines after the first time
	rawHeap, rawStack := idleCost(t, n, serveRaw)
	t.Run("Handler", func(t *testing.T) {
		testIdleMemory(t, n, rawHeap, rawStack, func() *Server { return &Server{Handler: echo} })
	})
	t.Run("AppendMessage", func(t *testing.T) {
		testIdleMemory(t, n, rawHeap, rawStack, func() *Server { return &Server{Handler: echoInto} })
	})
	t.Run("OnMessage", func(t *testing.T) {
		testIdleMemory(t, n, rawHeap, rawStack, func() *Server { return &Server{OnMessage: handleDeep} })
	})
}

// testIdleMemory takes the best of three measurements. A connection's own memory is there each
// time. Memory that the runtime keeps for others, and a stack that no garbage collection has shrunk
// yet, are not.
func testIdleMemory(t *testing.T, n, rawHeap, rawStack int, newServer func() *Server) {
	const heapMargin, stackMargin = 320, 1200 // they are some 210 and 60
	for range 3 {
		srv := newServer()
		heap, stack := idleCost(t, n, func(l net.Listener) { srv.Serve(l) })
		srv.Close()
		t.Logf("heap %d, stack %d; raw TCP: heap %d, stack %d", heap, stack, rawHeap, rawStack)
		if heap <= rawHeap+heapMargin && stack <= rawStack+stackMargin {
			return
		}
	}
	t.Errorf("an idle connection has more than %d bytes more on the heap than a raw one, or %d more of stack", heapMargin, stackMargin)
}

// echoInto answers messages as a program does that has a buffer for long ones.
func echoInto(c *Conn, _ *http.Request) {
	var buf []byte
	for {
		messageType, p, err := c.AppendMessage(buf[:0])
		if err != nil || c.WriteMessage(messageType, p) != nil {
			return
		}
		if len(p) > 1000 {
			buf = p
		}
	}
}

// handleDeep needs 8 KiB of stack for a message.
func handleDeep(c *Conn, messageType int, data []byte) {
	var room [4096]byte
	c.WriteMessage(messageType, room[:copy(room[:], data)])
}

// idleCost holds n connections to a server, and returns the bytes that each added to the process.
// They include the client's end, in all cases alike.
func idleCost(t *testing.T, n int, serve func(net.Listener)) (heap, stack int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go serve(l)
	message, answer := frame(opText, true, "hello", testKey), make([]byte, len(goodResponse)+7)
	heap0, stack0 := memory()
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
		io.WriteString(c, goodRequest)
		c.Write(message)
		if _, err := io.ReadFull(c, answer); err != nil {
			t.Fatal(err)
		}
	}
	heap1, stack1 := memory()
	runtime.KeepAlive(conns)
	return (heap1 - heap0) / n, (stack1 - stack0) / n
}

// memory returns the memory in use when the pools are empty, and all goroutines that are ending
// have ended.
func memory() (heap, stack int) {
	time.Sleep(100 * time.Millisecond)
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc), int(m.StackInuse)
}

// serveRaw is the raw TCP server.
func serveRaw(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer nc.Close()
			rawHandshake(nc)
			waitRaw(nc)
		}()
	}
}

// rawHandshake answers as a Server would, without looking.
func rawHandshake(nc net.Conn) {
	b := make([]byte, 4096)
	nc.Read(b)
	io.WriteString(nc, goodResponse+"\x81\x05hello")
}

func waitRaw(nc net.Conn) {
	var b [1]byte
	p := b[:]
	for {
		if _, err := nc.Read(p); err != nil {
			return
		}
	}
}
