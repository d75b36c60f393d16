package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// readAll reads for nobody until the connection ends.
func readAll(c *Conn) {
	for range c.Messages() {
	}
}

func checkNoPings(t *testing.T) {
	t.Helper()
	pinging.mu.Lock()
	defer pinging.mu.Unlock()
	if n := len(pinging.of); n != 0 {
		t.Errorf("%d connections are still remembered", n)
	}
}

// Any number of Pings at once, in both directions, with messages between.
func TestPing(t *testing.T) {
	eachTransport(t, func(t *testing.T, server, client *Conn) {
		go readAll(server)
		go readAll(client)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for _, c := range []*Conn{server, client} {
			for range 8 {
				wg.Go(func() {
					for range 20 {
						c.WriteMessage(TextMessage, []byte("hello"))
						if rtt, err := c.Ping(ctx); err != nil || rtt <= 0 {
							t.Errorf("Ping: %v, %v", rtt, err)
						}
					}
				})
			}
		}
		wg.Wait()
	})
	checkNoPings(t)
}

// pingPair is a server that reads, and the bare transport of its peer.
func pingPair(t *testing.T) (server *Conn, peer net.Conn) {
	s, peer := net.Pipe()
	server = newConn(s, false)
	go readAll(server)
	t.Cleanup(func() { server.Close(); peer.Close() })
	return server, peer
}

// readPing reads one frame of Ping's, and returns its payload.
func readPing(t *testing.T, peer net.Conn) string {
	t.Helper()
	b := make([]byte, 2+pingLength)
	if _, err := io.ReadFull(peer, b); err != nil || b[0] != 0x80|byte(opPing) || b[1] != pingLength {
		t.Fatalf("the peer got % x, %v; want a ping", b, err)
	}
	return string(b[2:])
}

type pingResult struct {
	rtt time.Duration
	err error
}

// goPing calls Ping, and waits until it waits.
func goPing(ctx context.Context, c *Conn) <-chan pingResult {
	result := make(chan pingResult, 1)
	go func() {
		rtt, err := c.Ping(ctx)
		result <- pingResult{rtt, err}
	}()
	synctest.Wait()
	return result
}

func wantPing(t *testing.T, result <-chan pingResult, rtt time.Duration, err error) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-result:
		if got.rtt != rtt || !errors.Is(got.err, err) {
			t.Errorf("Ping: %v, %v; want %v, %v", got.rtt, got.err, rtt, err)
		}
	default:
		t.Error("Ping still waits")
	}
}

// A peer may answer the latest of several pings only (RFC 6455 section 5.5.3). A pong
// answers no later ping.
func TestPingAnsweredByALaterPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, peer := pingPair(t)
		var results [4]<-chan pingResult
		var payloads [4]string
		for i := range results {
			results[i] = goPing(t.Context(), server)
			payloads[i] = readPing(t, peer)
			time.Sleep(time.Second)
		}
		peer.Write(frame(opPong, true, payloads[2], testKey))
		wantPing(t, results[0], 4*time.Second, nil)
		wantPing(t, results[1], 3*time.Second, nil)
		wantPing(t, results[2], 2*time.Second, nil)
		synctest.Wait()
		if len(results[3]) != 0 {
			t.Error("the pong answered a later ping")
		}
		peer.Write(frame(opPong, true, payloads[1], testKey)) // late, and nobody's
		peer.Write(frame(opPong, true, payloads[3], testKey))
		wantPing(t, results[3], time.Second, nil)
	})
	checkNoPings(t)
}

// The pong of a ping that was given up answers the earlier ones.
func TestPingAnsweredByThePongOfOneGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, peer := pingPair(t)
		first := goPing(t.Context(), server)
		readPing(t, peer)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second := goPing(ctx, server)
		payload := readPing(t, peer)
		time.Sleep(3 * time.Second)
		wantPing(t, second, 0, context.DeadlineExceeded)
		peer.Write(frame(opPong, true, payload, testKey))
		wantPing(t, first, 3*time.Second, nil)
	})
	checkNoPings(t)
}

// The latest ping may be the program's own. Its pong has Ping's sent once more.
func TestPingBesideTheProgramsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, peer := pingPair(t)
		var pongs []string // of the reading goroutine, read after it has ended
		server.SetPongHandler(func(data string) error { pongs = append(pongs, data); return nil })
		result := goPing(t.Context(), server)
		lost := readPing(t, peer)
		go server.WriteControl(PingMessage, []byte("own"), time.Time{})
		io.ReadFull(peer, make([]byte, 2+3))
		peer.Write(frame(opPong, true, "own", testKey))
		if again := readPing(t, peer); again != lost {
			t.Errorf("%x was sent after %x", again, lost)
		}
		peer.Write(frame(opPong, true, lost, testKey))
		wantPing(t, result, 0, nil)
		server.Close()
		synctest.Wait()
		if len(pongs) != 2 || pongs[0] != "own" || pongs[1] != lost {
			t.Errorf("the handler got %q", pongs)
		}
	})
	checkNoPings(t)
}

// A peer that answers every ping with another payload does not get one ping after the
// other without end.
func TestPingAnsweredWronglyForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipePair(t)
		pings := 0 // of the reading goroutine, read after it has ended
		client.SetPingHandler(func(string) error {
			pings++
			time.Sleep(time.Millisecond)
			return client.WriteControl(PongMessage, []byte("wrong"), time.Time{})
		})
		go server.ReadMessage()
		go client.ReadMessage()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := server.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ping: %v", err)
		}
		server.Close()
		synctest.Wait()
		if pings > 20 {
			t.Errorf("the peer got %d pings in 10 s", pings)
		}
	})
	checkNoPings(t)
}

// The latest ping may be keepalive's.
func TestPingBesideKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, peer := pingPair(t)
		server.startKeepalive(newPingSchedule(8*time.Second, time.Minute))
		result := goPing(t.Context(), server)
		readPing(t, peer)
		payload := readPing(t, peer) // keepalive's
		peer.Write(frame(opPong, true, payload, testKey))
		wantPing(t, result, 8*time.Second, nil)
		// With nobody waiting it is empty, as ever.
		b := make([]byte, 2)
		if _, err := io.ReadFull(peer, b); err != nil || b[0] != 0x80|byte(opPing) || b[1] != 0 {
			t.Errorf("keepalive sent % x, %v; want an empty ping", b, err)
		}
	})
	checkNoPings(t)
}

// ctx bounds the wait for a write that is stuck, and nothing is broken by it. Pings that
// nobody waits for any more do not pile up.
func TestPingBehindAStuckWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, peer := pingPair(t)
		written := make(chan error, 1)
		go func() { written <- server.WriteMessage(BinaryMessage, make([]byte, 100)) }()
		synctest.Wait() // net.Pipe takes nothing that is not read
		for range 1000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, err := server.Ping(ctx)
			if cancel(); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("Ping: %v, want %v", err, context.DeadlineExceeded)
			}
		}
		last := goPing(t.Context(), server)
		if _, err := io.ReadFull(peer, make([]byte, 2+100)); err != nil {
			t.Fatal(err)
		}
		peer.Write(frame(opPong, true, readPing(t, peer), testKey))
		wantPing(t, last, 0, nil)
		if err := <-written; err != nil {
			t.Errorf("the write: %v", err)
		}
		peer.SetReadDeadline(time.Now().Add(time.Hour))
		if n, err := peer.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("something was sent behind the last ping: %v", err)
		}
	})
	checkNoPings(t)
}

// Ping ends with the connection, whichever way that ends, and says which.
func TestPingEndsWithTheConnection(t *testing.T) {
	closed := func(err error) bool { return IsCloseError(err, 4321) }
	for _, tt := range []struct {
		name string
		end  func(server *Conn, peer net.Conn)
		want func(error) bool
	}{
		{"this side closes", func(server *Conn, _ net.Conn) { server.Close() },
			func(err error) bool { return errors.Is(err, net.ErrClosed) }},
		{"the peer closes", func(_ *Conn, peer net.Conn) {
			go io.Copy(io.Discard, peer)
			peer.Write(frame(opClose, true, string(FormatCloseMessage(4321, "")), testKey))
		}, closed},
		{"the transport ends", func(_ *Conn, peer net.Conn) { peer.Close() },
			func(err error) bool { return IsCloseError(err, CloseAbnormalClosure) }},
		{"a handler fails", func(server *Conn, peer net.Conn) {
			server.SetPingHandler(func(string) error { return io.ErrNoProgress })
			peer.Write(frame(opPing, true, "", testKey))
		}, func(err error) bool { return err == io.ErrNoProgress }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, peer := pingPair(t)
				result := goPing(t.Context(), server)
				readPing(t, peer)
				tt.end(server, peer)
				if err := (<-result).err; !tt.want(err) {
					t.Errorf("while it waits: %v", err)
				}
				synctest.Wait()
				if _, err := server.Ping(t.Context()); !tt.want(err) {
					t.Errorf("afterwards: %v", err)
				}
			})
			checkNoPings(t)
		})
	}
}

// If nothing more can be sent, Ping does not wait for a pong that cannot come.
func TestPingAfterTheCloseFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, peer := pingPair(t)
		go server.WriteControl(CloseMessage, nil, time.Time{})
		synctest.Wait()
		waiting := goPing(t.Context(), server) // behind the close frame, which nobody has read yet
		io.ReadFull(peer, make([]byte, 2))
		wantPing(t, waiting, 0, ErrCloseSent)
		if _, err := server.Ping(t.Context()); err != ErrCloseSent {
			t.Errorf("Ping: %v, want %v", err, ErrCloseSent)
		}
	})
	checkNoPings(t)
}

// A context that has ended sends nothing.
func TestPingWithAnEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	server, _ := pingPair(t) // a write would wait for ever
	if _, err := server.Ping(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Ping: %v", err)
	}
	if server.out.lock.isHeld() {
		t.Error("something is being sent")
	}
}
