package conformance

// This file cuts one session in every way TCP can cut it. A server must not depend on bytes that
// come together, nor fail if some do not come.

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"time"
)

// pause gives the server time to read the bytes written so far before the next write.
func pause() { time.Sleep(200 * time.Microsecond) }

// TestConformanceGlued sends frames in the same segment as the request. RFC 6455 §4.1 lets a client
// send only after the response, but proxies and impatient clients do otherwise, and the frames must
// not be lost.
func TestConformanceGlued(t *testing.T) {
	t.Parallel()
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		ss := newSession(s)
		whole := ss.bytes()
		for n := len(ss.request); n <= len(whole); n++ {
			p := s.connectRaw(t)
			p.send(t, whole[:n])
			pause()
			p.send(t, whole[n:])
			ss.expect(t, p, len(whole))
			p.nc.Close()
		}
	})
}

// TestConformanceGluedLong has more behind the request than any buffer for a request holds.
func TestConformanceGluedLong(t *testing.T) {
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		for _, size := range []int{3 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20} {
			p := s.connectRaw(t)
			payload := bytes.Repeat([]byte("0123456789"), size/10)
			if err := p.shake(s, wire(frame{op: opBin, payload: payload}, frame{op: opPing})...); err != nil {
				t.Fatal(err)
			}
			p.expect(t, frame{op: opBin, payload: payload}, frame{op: opPong})
			p.nc.Close()
		}
	})
}

// TestConformanceCutInTwo cuts the session at every byte, those of the request included.
func TestConformanceCutInTwo(t *testing.T) {
	t.Parallel()
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		ss := newSession(s)
		whole := ss.bytes()
		for n := 1; n < len(ss.request); n++ {
			p := s.connectRaw(t)
			p.send(t, whole[:n])
			pause()
			p.send(t, whole[n:])
			ss.expect(t, p, len(whole))
			p.nc.Close()
		}
	})
}

// TestConformanceByteByByte writes a whole session one byte at a time.
func TestConformanceByteByByte(t *testing.T) {
	t.Parallel()
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		p := s.connectRaw(t)
		ss := newSession(s)
		whole := ss.bytes()
		for i := range whole {
			p.send(t, whole[i:i+1])
			time.Sleep(10 * time.Microsecond)
		}
		ss.expect(t, p, len(whole))
	})
}

// TestConformanceCutOff ends the session after every byte, in each way a connection can end. The
// server must end it too, without waiting for a timeout. It must keep no goroutine, and serve the
// next client as if nothing had happened.
func TestConformanceCutOff(t *testing.T) {
	for _, way := range []struct {
		name string
		end  func(p *peer) error
	}{
		{"reset at once", func(p *peer) error { p.reset(); return nil }},
		{"reset later", func(p *peer) error { pause(); p.reset(); return nil }},
		{"close", func(p *peer) error { pause(); return p.nc.Close() }},
		{"half close", halfClose},
	} {
		t.Run(way.name, func(t *testing.T) {
			forEachTarget(t, nil, func(t *testing.T, s *server) {
				s.checkHealth(t)
				before := settle(0)
				s.cutEverywhere(t, way.end)
				s.checkHealth(t)
				if after := settle(before); after > before {
					t.Errorf("%d goroutines, %d before", after, before)
					pprof.Lookup("goroutine").WriteTo(t.Output(), 1)
				}
			})
		})
	}
}

// cutEverywhere sends n bytes of the session, for every n, reads the answers that are due, and ends
// the connection.
func (s *server) cutEverywhere(t *testing.T, end func(*peer) error) {
	ss := newSession(s)
	whole := ss.bytes()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for n := range len(whole) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			p, err := s.open()
			if err != nil {
				t.Error(err)
				return
			}
			defer p.nc.Close()
			p.nc.Write(whole[:n])
			if n%2 == 0 { // the others leave the answers unread
				ss.drain(p, n)
			}
			if err := end(p); err != nil {
				t.Errorf("after %d bytes: %v", n, err)
			}
		})
	}
	wg.Wait()
}

// drain reads the answers that are due after n bytes, as expect does, but does not check them.
// Other tests do that.
func (ss session) drain(p *peer, n int) {
	if n < len(ss.request) || readHandshake(p.br, ss.key) != nil {
		return
	}
	for _, a := range ss.answers {
		if len(ss.request)+a.after <= n {
			p.read()
		}
	}
}

// halfClose sends FIN and waits for the server's. The server has to notice the FIN, because it
// would wait without end for the client's next byte.
func halfClose(p *peer) error {
	p.nc.(*net.TCPConn).CloseWrite()
	p.nc.SetReadDeadline(time.Now().Add(patience))
	var buf [512]byte
	for {
		if _, err := p.br.Read(buf[:]); err != nil {
			if !dropped(err) {
				return fmt.Errorf("the server keeps a half-closed connection: %w", err)
			}
			return nil
		}
	}
}

// settle waits until no more than limit goroutines are left, or their number has been the same for
// a while.
func settle(limit int) int {
	n, same := runtime.NumGoroutine(), 0
	for deadline := time.Now().Add(patience); n > limit && time.Now().Before(deadline); {
		time.Sleep(3 * time.Millisecond)
		last := n
		if n = runtime.NumGoroutine(); n != last {
			same = 0
		} else if same++; limit == 0 && same >= 10 {
			break
		}
	}
	return n
}
