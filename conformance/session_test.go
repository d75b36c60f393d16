package conformance

// This file has the helpers that the tests after the suite's share: a peer that expects, and the
// bytes of a whole session.

import (
	"bytes"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

func (p *peer) send(t testing.TB, b []byte) {
	t.Helper()
	if _, err := p.nc.Write(b); err != nil && !dropped(err) {
		t.Fatalf("write: %v", err)
	}
}

// expect reads frames, which must be those.
func (p *peer) expect(t testing.TB, frames ...frame) {
	t.Helper()
	for i, want := range frames {
		got, err := p.read()
		if err != nil {
			t.Fatalf("frame %d: %v, want opcode %d with %.60q", i, err, want.op, want.payload)
		}
		if got.op != want.op || got.more || !bytes.Equal(got.payload, want.payload) {
			t.Fatalf("frame %d: opcode %d, more %v, %d bytes %.60q, want opcode %d, %d bytes %.60q", i,
				got.op, got.more, len(got.payload), got.payload, want.op, len(want.payload), want.payload)
		}
	}
}

func (p *peer) read() (frame, error) {
	p.nc.SetReadDeadline(time.Now().Add(patience))
	return p.readFrame()
}

// expectClose reads a close frame with code, and returns its reason. Pongs may come before it, and
// nothing else. A message that failed must not reach the application.
func (p *peer) expectClose(t testing.TB, code int) (reason string) {
	t.Helper()
	f, err := p.read()
	for err == nil && f.op == opPong {
		f, err = p.read()
	}
	if err != nil {
		t.Fatalf("%v, want a close frame with code %d", err, code)
	}
	if f.op != opClose {
		t.Fatalf("opcode %d, %.60q, want a close frame with code %d", f.op, f.payload, code)
	}
	got, err := closeCode(f.payload)
	if err != nil || got != code {
		t.Fatalf("close frame with code %d, %v (%.125q), want %d", got, err, f.payload, code)
	}
	return string(f.payload[min(2, len(f.payload)):])
}

// expectEnd expects the other side to drop TCP, without another byte.
func (p *peer) expectEnd(t testing.TB) {
	t.Helper()
	if f, err := p.read(); !dropped(err) {
		t.Fatalf("the connection was not dropped: opcode %d, %.60q, error %v", f.op, f.payload, err)
	}
}

// expectFail expects the other side to fail the connection: close frame, end (RFC 6455 §7.1.7).
func (p *peer) expectFail(t testing.TB, code int) (reason string) {
	t.Helper()
	reason = p.expectClose(t, code)
	p.expectEnd(t)
	return reason
}

// A session is all bytes that a client sends from the handshake to the close, and the answers due.
type session struct {
	key     string
	request []byte
	frames  []byte
	answers []answer
}

// An answer is due once the frames up to after have arrived.
type answer struct {
	after int
	frame frame
}

// newSession has a bit of everything: text, a fragmented message, a ping in its middle, binary with
// a 16-bit length, close.
func newSession(s *server) session {
	ss := session{key: sampleKey, request: []byte(s.request(sampleKey))}
	add := func(f frame, answers ...frame) {
		ss.frames = f.append(ss.frames)
		for _, a := range answers {
			ss.answers = append(ss.answers, answer{len(ss.frames), a})
		}
	}
	long := bytes.Repeat([]byte{0xfe}, 130)
	add(frame{op: opText, payload: []byte("Hello")}, frame{op: opText, payload: []byte("Hello")})
	add(frame{op: opText, more: true, payload: []byte("\xce")})
	add(frame{op: opPing, payload: []byte("now")}, frame{op: opPong, payload: []byte("now")})
	add(frame{op: opCont, payload: []byte("\xba!")}, frame{op: opText, payload: []byte("\xce\xba!")})
	add(frame{op: opBin, payload: long}, frame{op: opBin, payload: long})
	add(frame{op: opClose, payload: closePayload(1000, "bye")}, frame{op: opClose})
	return ss
}

func (ss session) bytes() []byte { return slices.Concat(ss.request, ss.frames) }

// expect reads the answers that are due once n bytes of the session have been sent.
func (ss session) expect(t testing.TB, p *peer, n int) {
	t.Helper()
	if n < len(ss.request) {
		return
	}
	p.nc.SetReadDeadline(time.Now().Add(patience))
	if err := readHandshake(p.br, ss.key); err != nil {
		t.Fatal(err)
	}
	for _, a := range ss.answers {
		switch {
		case len(ss.request)+a.after > n:
			return
		case a.frame.op == opClose:
			p.expectFail(t, 1000)
		default:
			p.expect(t, a.frame)
		}
	}
}

// checkHealth runs a whole good session.
func (s *server) checkHealth(t testing.TB) {
	t.Helper()
	p, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	defer p.nc.Close()
	ss := newSession(s)
	p.send(t, ss.bytes())
	ss.expect(t, p, len(ss.bytes()))
}

func limitTo(n int64) func(*websocket.Upgrader) {
	return func(u *websocket.Upgrader) { u.ReadLimit = n }
}

// reset closes the connection the hard way, with RST.
func (p *peer) reset() {
	p.nc.(*net.TCPConn).SetLinger(0)
	p.nc.Close()
}
