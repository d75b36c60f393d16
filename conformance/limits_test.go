package conformance

// This file limits the costs that a client can cause a server: memory for bytes that never come,
// work for frames that say nothing, time for headers that never end.

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// TestConformanceMemory announces huge frames on many connections and sends next to nothing of
// them. Memory must follow the bytes that arrived, not the length that was announced.
func TestConformanceMemory(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limit  int64
		length uint64
	}{
		{"as much as the default limit allows", 0, 32 << 20},
		{"4 GiB without a limit", -1, 4 << 30},
		{"all that a length can say without a limit", -1, 1<<63 - 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forEachTarget(t, limitTo(tt.limit), func(t *testing.T, s *server) {
				peers := s.connectMany(t, 200)
				checkHeap(t, len(peers), func() {
					for i, p := range peers {
						p.send(t, wire(frame{op: opPing}, announce(byte(opText+i%2), tt.length, strings.Repeat("a", 100))))
					}
					for _, p := range peers {
						p.expect(t, frame{op: opPong})
					}
					time.Sleep(50 * time.Millisecond) // the frame after the ping has been read by then
				})
				runtime.KeepAlive(peers)
			})
		})
	}
}

// TestConformanceMemoryRefused does the same with lengths that are refused.
func TestConformanceMemoryRefused(t *testing.T) {
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		peers := s.connectMany(t, 200)
		checkHeap(t, len(peers), func() {
			for _, p := range peers {
				p.send(t, wire(announce(opBin, 1<<62, "")))
			}
			for _, p := range peers {
				p.expectFail(t, 1009)
			}
		})
	})
}

// checkHeap runs f, which is about n connections, and allows 64 KiB for each: a buffer for the
// bytes that came in the same segment.
func checkHeap(t *testing.T, n int, f func()) {
	t.Helper()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // empties sync.Pool
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	f()
	if after := heap(); after > before+uint64(n)*64<<10 {
		t.Errorf("the heap grew by %d KiB for each connection", (after-before)/uint64(n)>>10)
	}
}

func (s *server) connectMany(t *testing.T, n int) (peers []*peer) {
	for range n {
		peers = append(peers, s.connect(t))
	}
	return peers
}

// TestConformanceFragments: a message may have 64 Ki frames before its last, empty or not. Their
// payload never reaches the read limit, so their number is limited.
func TestConformanceFragments(t *testing.T) {
	const most = 64 << 10
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		open := frame{op: opText, more: true}.append(nil)
		rest := bytes.Repeat(frame{op: opCont, more: true}.append(nil), most-1)
		ended := s.connect(t)
		ended.send(t, slices.Concat(open, rest, wire(frame{op: opCont, payload: []byte("end")})))
		ended.expect(t, frame{op: opText, payload: []byte("end")})

		endless := s.connect(t)
		endless.send(t, slices.Concat(open, rest, wire(frame{op: opPing})))
		endless.expect(t, frame{op: opPong})
		endless.send(t, wire(frame{op: opCont, more: true}))
		endless.expectFail(t, 1008)
	})
}

// TestConformanceMillionFragments does not stop at the limit. The server must, although bytes keep
// coming.
func TestConformanceMillionFragments(t *testing.T) {
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		p := s.connect(t)
		go func() {
			p.nc.Write(wire(frame{op: opBin, more: true}))
			part := bytes.Repeat(frame{op: opCont, more: true}.append(nil), 1000)
			for range 1000 {
				if _, err := p.nc.Write(part); err != nil {
					return
				}
			}
		}()
		p.expectFail(t, 1008)
		s.checkHealth(t)
	})
}

// TestConformanceHeaderFlood sends requests with a header that does not end within any reasonable
// size.
func TestConformanceHeaderFlood(t *testing.T) {
	t.Parallel()
	const start = "GET / HTTP/1.1\r\nHost: a\r\n"
	for _, tt := range []struct{ name, start, unit string }{
		{"request target", "GET /", strings.Repeat("a", 1024)},
		{"method", "", strings.Repeat("A", 1024)},
		{"one field", start + "X: ", strings.Repeat("a", 1024)},
		{"one name", start, strings.Repeat("a", 1024)},
		{"many fields", start, strings.Repeat("X: a\r\n", 170)},
		{"tokens", start + "Connection: ", strings.Repeat("upgrade,", 128)},
		{"spaces", start + "X:", strings.Repeat(" ", 1024)},
		{"no line", "", strings.Repeat("\r", 1024)},
		{"zeros", "", strings.Repeat("\x00", 1024)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forEachTarget(t, nil, func(t *testing.T, s *server) {
				p := s.connectRaw(t)
				go func() {
					for b := []byte(tt.start); ; b = []byte(tt.unit) {
						if _, err := p.nc.Write(b); err != nil {
							return
						}
					}
				}()
				p.expectRefusal(t, 400, 414, 431)
				p.nc.Close()
				s.checkHealth(t)
			})
		})
	}
}

// TestConformanceHeaderSize: a Server reads its own requests, of up to 16 KiB. (In net/http the
// limit is http.Server's.)
func TestConformanceHeaderSize(t *testing.T) {
	s := targets[0].start(t, nil)
	for _, tt := range []struct{ size, status int }{{16 << 10, 101}, {16<<10 + 1, 431}} {
		request, _ := strings.CutSuffix(s.request(sampleKey), "\r\n")
		request += "X-Padding: \r\n\r\n"
		request = strings.Replace(request, "X-Padding: ", "X-Padding: "+strings.Repeat("a", tt.size-len(request)), 1)
		p := s.connectRaw(t)
		p.send(t, []byte(request))
		resp, err := http.ReadResponse(p.br, nil)
		if err != nil || resp.StatusCode != tt.status {
			t.Errorf("header of %d bytes: %v, %v, want status %d", len(request), resp, err, tt.status)
		}
	}
}

// expectRefusal expects one of those statuses, or the end. A client that floods may not get to read
// the reason.
func (p *peer) expectRefusal(t *testing.T, statuses ...int) {
	t.Helper()
	p.nc.SetReadDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(p.br, nil)
	switch {
	case errors.Is(err, net.ErrClosed) || err != nil && isTimeout(err):
		t.Errorf("the server goes on reading: %v", err)
	case err == nil && !slices.Contains(statuses, resp.StatusCode):
		t.Errorf("%s, want one of %v", resp.Status, statuses)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// TestConformanceSlowHandshake: a request that takes its time is cut off when HandshakeTimeout
// ends, however steadily it comes. (In net/http that is http.Server's ReadHeaderTimeout.)
func TestConformanceSlowHandshake(t *testing.T) {
	t.Parallel()
	const timeout = 200 * time.Millisecond
	s := targets[0].start(t, func(u *websocket.Upgrader) { u.HandshakeTimeout = timeout })
	for _, tt := range []struct {
		name    string
		request string
	}{
		{"silence", ""},
		{"half a request", s.request(sampleKey)[:50]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := s.connectRaw(t)
			p.send(t, []byte(tt.request))
			p.expectRefusal(t, 400, 408)
		})
	}
	t.Run("byte by byte", func(t *testing.T) {
		p := s.connectRaw(t)
		go func() {
			for i := 0; ; i++ {
				if _, err := p.nc.Write([]byte{"GET /"[min(i, 4)]}); err != nil {
					return
				}
				time.Sleep(timeout / 20)
			}
		}()
		p.expectRefusal(t, 400, 408)
		p.nc.Close()
	})
	p := s.connect(t)
	time.Sleep(timeout + 50*time.Millisecond) // it ends with the handshake
	p.send(t, wire(frame{op: opPing}))
	p.expect(t, frame{op: opPong})
}
