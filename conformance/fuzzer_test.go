package conformance

// The fuzzing peer, client or server, takes the steps of one case, in order, and records the
// answers.

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"time"
)

// A fuzzer runs one case on one connection. The goroutine of the case owns every field. Another
// goroutine reads the frames of the side under test, because that side must be able to write while
// the fuzzer does.
type fuzzer struct {
	c        autobahnCase
	p        *peer
	inbound  chan inbound
	out      []byte // frames that go out back to back with the next one
	key      [4]byte
	masked   int // number of bytes of D steps masked with key so far
	patience time.Duration
	ended    bool // the other side dropped TCP, or the fuzzer did
	o        outcome
}

// inbound is one thing that the other side did: an event, a close frame, or the end.
type inbound struct {
	event event
	close []byte // payload of the close frame, not nil
	end   error
}

// run plays c on a new connection.
func run(c autobahnCase, connect func() (*peer, error)) outcome {
	p, err := connect()
	if err != nil {
		return outcome{fault: err}
	}
	return play(c, p, patience)
}

func play(c autobahnCase, p *peer, patience time.Duration) outcome {
	f := &fuzzer{c: c, p: p, inbound: make(chan inbound, 64), patience: patience, o: outcome{opened: true, events: []event{}}}
	go p.listen(f.inbound)
	for _, s := range c.steps {
		f.take(s)
	}
	f.finish(c.steps[len(c.steps)-1])
	p.nc.Close()
	return f.o
}

// listen reads until the other side drops TCP, sends something it must not, or the fuzzer closes.
func (p *peer) listen(in chan<- inbound) {
	defer close(in)
	var message []byte
	var kind string
	for {
		f, err := p.readFrame()
		if err != nil {
			in <- inbound{end: err}
			return
		}
		switch {
		case f.op == opPong:
			in <- inbound{event: event{"pong", literal(f.payload)}}
		case f.op == opClose:
			in <- inbound{close: f.payload}
		// This is the keepalive of the server under test. No case waits as long as that.
		case f.op == opPing:
		case (f.op == opCont) != (kind != ""):
			in <- inbound{end: fmt.Errorf("opcode %d out of order", f.op)}
			return
		default:
			if f.op != opCont {
				kind = map[byte]string{opText: "text", opBin: "bin"}[f.op]
			}
			if message == nil {
				message = f.payload
			} else {
				message = append(message, f.payload...)
			}
			if !f.more {
				in <- inbound{event: event{kind, literal(message)}}
				message, kind = nil, ""
			}
		}
	}
}

// take performs one step. Nothing is sent on a connection that the other side closed.
func (f *fuzzer) take(s step) {
	f.drain()
	switch {
	case f.ended || f.o.closeGot:
	case s.verb == "wait":
		f.flush()
		f.wait(s)
	case s.verb == "kill" || s.verb == "close": // the last step: see finish
		f.flush()
	case s.times > 1:
		f.repeat(s)
	case s.chop > 0:
		f.flush()
		f.add(s)
		f.chop(s.chop)
	case s.sync:
		f.flush()
		f.add(s)
		f.flush()
		time.Sleep(10 * time.Microsecond)
	default:
		f.add(s)
	}
}

// add appends the bytes of s to the pending bytes.
func (f *fuzzer) add(s step) {
	switch s.verb {
	case "F":
		f.addFrame(frame{op: s.op, rsv: s.rsv, more: !s.fin, payload: s.data.bytes()})
	case "C":
		f.addFrame(frame{op: opClose, payload: s.data.bytes()})
		f.o.closeSent, f.o.closedByMe = true, !f.o.closeGot
	case "H":
		f.out, f.key = frame{op: s.op, rsv: s.rsv, more: !s.fin, length: uint64(s.length), server: f.p.server}.appendHeader(f.out)
		f.masked = 0
	case "D":
		part := slices.Clone(s.data.bytes())
		mask(part, f.key, f.masked) // a server's key is zero
		f.masked += len(part)
		f.out = append(f.out, part...)
	case "M":
		f.addMessage(s)
	}
}

// addMessage cuts a message into frames. If the size divides the length, the last frame is empty,
// which is the suite's way.
func (f *fuzzer) addMessage(s step) {
	data, op := s.data.bytes(), s.op
	if s.frag > 0 {
		f.out = slices.Grow(f.out, len(data)+(len(data)/s.frag+1)*14) // a header is no longer
	}
	for s.frag > 0 && len(data) >= s.frag && s.data.n > s.frag {
		f.addFrame(frame{op: op, more: true, payload: data[:s.frag]})
		data, op = data[s.frag:], opCont
	}
	f.addFrame(frame{op: op, payload: data})
}

func (f *fuzzer) addFrame(fr frame) {
	fr.server = f.p.server
	f.out = fr.append(f.out)
}

// repeat takes s many times, each after the echo of the one before.
func (f *fuzzer) repeat(s step) {
	for range s.times {
		want := len(f.o.events) + 1
		f.add(s)
		f.flush()
		for len(f.o.events) < want {
			if in, ok := f.next(f.patience); !ok {
				return // finish will say so
			} else {
				f.note(in)
			}
		}
	}
}

// flush writes the pending bytes. It ignores errors, because the reading side sees the end.
func (f *fuzzer) flush() {
	if len(f.out) > 0 {
		f.p.nc.Write(f.out)
		f.out = f.out[:0]
	}
}

// chop writes the pending bytes in parts of n bytes, each in a segment of its own (Go sets
// TCP_NODELAY). It sleeps between writes as the suite does, so that the other side meets every cut.
// In the 1 MiB messages of section 9 it only yields, and the other side meets some.
func (f *fuzzer) chop(n int) {
	nap := len(f.out)/n < 1000
	parts := slices.Chunk(f.out, n)
	f.out = nil
	for part := range parts {
		if _, err := f.p.nc.Write(part); err != nil {
			return
		}
		if nap {
			time.Sleep(10 * time.Microsecond)
		} else {
			runtime.Gosched()
		}
	}
}

// wait lets time pass, until the other side ends the connection. Some waits only prove that nothing
// was failed, or answered, too early. Those prove after 100 ms the same as after a second. A wait
// in which the other side must act is not cut, and a good one never lets it pass.
func (f *fuzzer) wait(s step) {
	passed := event{"wait", literal(s.tag)}
	nap := f.patience
	if s.tag == "" || slices.ContainsFunc(f.c.ok, passed.equal) {
		nap = 100 * time.Millisecond
	}
	deadline := time.Now().Add(nap)
	for !f.ended && !f.o.closeGot {
		in, ok := f.next(time.Until(deadline))
		if !ok {
			if s.tag != "" {
				f.o.events = append(f.o.events, passed)
			}
			return
		}
		f.note(in)
	}
}

// finish waits for the end. It waits first for the other side's close or the events that let the
// fuzzer close, and then for TCP to be dropped. Only bad sides reach the limits, so raising the
// short ones changes no verdict on a good one.
func (f *fuzzer) finish(last step) {
	deadline := time.Now().Add(min(max(last.wait, f.patience), 10*f.patience))
	for f.maybeClose(); !f.ended; f.maybeClose() {
		closing := f.o.closeSent
		in, ok := f.next(time.Until(deadline))
		switch {
		case ok:
			f.note(in)
		case closing:
			f.drop()
		case last.verb == "kill":
			f.sendClose(closePayload(1001, ""))
		default:
			f.sendClose(nil)
		}
		if closing != f.o.closeSent {
			deadline = time.Now().Add(f.patience)
		}
	}
}

// maybeClose closes as soon as the events are those that the case waits for.
func (f *fuzzer) maybeClose() {
	if f.c.closer != "fuzzer" || f.c.closesItself() || f.o.closeSent || f.ended {
		return
	}
	if slices.EqualFunc(f.o.events, f.c.ok, event.equal) {
		f.sendClose(closePayload(1000, ""))
	}
}

func (f *fuzzer) sendClose(payload []byte) {
	f.add(step{verb: "C", data: literal(payload)})
	f.flush()
}

func (f *fuzzer) drop() {
	f.o.droppedByMe, f.ended = true, true
	f.p.nc.Close()
	for range f.inbound { // listen ends as well
	}
}

func (f *fuzzer) drain() {
	for {
		in, ok := f.next(0)
		if !ok {
			return
		}
		f.note(in)
	}
}

// next returns the next inbound of the other side, if one comes within d.
func (f *fuzzer) next(d time.Duration) (in inbound, ok bool) {
	select {
	case in, ok = <-f.inbound:
		return in, ok
	default:
	}
	if d <= 0 {
		return in, false
	}
	select {
	case in, ok = <-f.inbound:
		return in, ok
	case <-time.After(d):
		return in, false
	}
}

// note takes in an inbound of the other side. After both close frames a server ends TCP. It still
// hears anything that a client might send against the rules, up to the client's own end.
func (f *fuzzer) note(in inbound) {
	switch {
	case in.end != nil:
		f.ended = true
		if !dropped(in.end) {
			f.o.fault = in.end
		}
	case f.o.closeGot:
		f.o.fault = errors.New("a frame after the close frame")
	case in.close != nil:
		f.o.closeGot = true
		f.o.code, f.o.fault = closeCode(in.close)
		if !f.o.closeSent {
			f.sendClose(in.close)
		}
		if half, ok := f.p.nc.(*net.TCPConn); ok && f.p.server {
			half.CloseWrite()
		}
	default:
		f.o.events = append(f.o.events, in.event)
	}
}

// dropped reports whether err is the other side's end of the connection. A side that closes TCP
// with unread bytes resets it.
func dropped(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return err == io.EOF || err == io.ErrClosedPipe || ok && !op.Timeout()
}
