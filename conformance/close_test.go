package conformance

// This file tests close frames: every code there is, and payloads that are none (RFC 6455 §5.5.1,
// §7.4).

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestConformanceClosePayload: the payload of a close frame is empty, or a code and a reason in
// UTF-8.
func TestConformanceClosePayload(t *testing.T) {
	var vs []violation
	add := func(name string, code int, payload []byte) {
		vs = append(vs, violate(name, code, frame{op: opClose, payload: payload}),
			violate(name+", within a message", code, started, frame{op: opClose, payload: payload}))
	}
	for b := range 256 {
		add(fmt.Sprintf("one byte %#x", b), 1002, []byte{byte(b)})
	}
	for _, reason := range []string{"\xff", "\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "fine until \xfe", "\xf8\x88\x80\x80\x80"} {
		add(fmt.Sprintf("reason %q", reason), 1007, closePayload(1000, reason))
	}
	for _, whole := range []string{"\u00df", "\u20ac", "\U0001f600"} {
		for cut := 1; cut < len(whole); cut++ { // a reason cannot go on in another frame
			add(fmt.Sprintf("reason cut at %d of %q", cut, whole), 1007, closePayload(1000, "why: "+whole[:cut]))
		}
	}
	add("bad code and bad reason", 1002, closePayload(1005, "\xff"))
	refuse(t, vs)
}

// TestConformanceCloseReason sends good reasons, up to 123 bytes, and expects them to do no harm.
func TestConformanceCloseReason(t *testing.T) {
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		for _, payload := range [][]byte{nil, closePayload(1000, ""), closePayload(1000, strings.Repeat("\u00df", 61)+"."), closePayload(4999, "\x00")} {
			p := s.connect(t)
			p.send(t, wire(frame{op: opClose, payload: payload}))
			code, _ := closeCode(payload)
			p.expectFail(t, code)
		}
	})
}

// TestConformanceCloseLast: after a close frame nothing that the client sends counts, not even a
// mistake (RFC 6455 §5.5.1).
func TestConformanceCloseLast(t *testing.T) {
	closing := frame{op: opClose, payload: closePayload(1001, "")}
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		for _, after := range []frame{closing, {op: opPing}, {op: opText, payload: []byte("late")}, {op: opCont}, {op: 3, rsv: 7}, {op: opText, payload: []byte("\xff")}, {op: opBin, length: 1 << 63}} {
			p := s.connect(t)
			p.send(t, wire(closing, after))
			p.expectFail(t, 1001)
		}
		s.checkHealth(t)
	})
}

// closeAnswer returns the code that must answer a close frame with code. It is the same code if
// that may be on the wire (RFC 6455 §7.4.1, §7.4.2, and 1012 to 1014 of the IANA registry,
// http://www.iana.org/assignments/websocket), and 1002 otherwise.
func closeAnswer(code int) int {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return code
	}
	// The code is unassigned or reserved (1004), or an endpoint says it only to itself (1005, 1006,
	// 1015).
	return 1002
}

// TestConformanceCloseCodes tries every one of the 65,536 codes, each on a connection of its own.
// The connections are pipes in memory, because there are not as many TCP ports. The race detector
// has nothing to find in so many equal sessions and makes each cost ten times as much. With it, as
// with -short, the codes beyond all assigned ranges are sampled.
func TestConformanceCloseCodes(t *testing.T) {
	t.Parallel()
	sample := testing.Short() || raceDetector()
	for _, tg := range targets[:4] {
		t.Run(tg.name, func(t *testing.T) {
			l := newPipeListener()
			tg.startOn(t, l, nil)
			s := &server{addr: "pipe", dial: l.dial}
			var next atomic.Int64
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for code := int(next.Add(1)) - 1; code < 1<<16 && !t.Failed(); code = int(next.Add(1)) - 1 {
						if sample && code > 5100 && code%251 != 0 && code < 65500 {
							continue
						}
						if got, err := s.tryClose(code); err != nil || got != closeAnswer(code) {
							t.Errorf("close code %d is answered with %d, %v, want %d", code, got, err, closeAnswer(code))
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// raceDetector says whether this test was built with -race.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// tryClose sends a close frame with code and returns the code of the answer. It leaves out the slow
// parts that other tests cover.
func (s *server) tryClose(code int) (int, error) {
	nc, err := s.dial()
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	// A deadline would outlive the pipe: its timer cannot be stopped once the other end is closed.
	defer time.AfterFunc(2*patience, func() { nc.Close() }).Stop()
	if _, err := io.WriteString(nc, s.request(sampleKey)); err != nil {
		return 0, err
	}
	p := &peer{nc: nc, br: bufio.NewReaderSize(nc, 512)}
	for line := "."; line != "\r\n"; {
		if line, err = p.br.ReadString('\n'); err != nil {
			return 0, err
		}
	}
	if _, err := nc.Write(wire(frame{op: opClose, payload: closePayload(code, "")})); err != nil {
		return 0, err
	}
	f, err := p.readFrame()
	if err != nil || f.op != opClose {
		return 0, fmt.Errorf("opcode %d, %v", f.op, err)
	}
	if _, err := p.br.ReadByte(); !dropped(err) {
		return 0, fmt.Errorf("the server did not drop the connection: %v", err)
	}
	return closeCode(f.payload)
}

// A pipeListener accepts the other ends of net.Pipe.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
	case <-time.After(patience):
	}
	return nil, net.ErrClosed
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
