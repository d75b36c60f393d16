package main

import (
	"net/http"
	"sync"
	"time"

	"github.com/plainsocket/websocket"
)

// A recorder makes events from the reports of a Trace about one side of one connection.
type recorder struct {
	hub  *hub
	conn int
	side string

	// The library reads in one goroutine, writes in others, and may find the end in any. mu guards
	// the fields below.
	mu             sync.Mutex
	received, sent direction
}

// A direction is the state of the frames of one direction.
type direction struct {
	frame   *event // the frame whose payload is still to come, or nil
	count   int    // of messages
	part    int    // of the current message
	kind    int    // its opcode
	deflate bool   // it is compressed
	whole   message
	packed  []byte // the payloads of its frames, if it is compressed
	inflater
}

// trace returns the Trace for an Upgrader or Dialer.
func (rec *recorder) trace() *websocket.Trace {
	return &websocket.Trace{
		Handshake: func(_ *websocket.Conn, r *http.Request, response []byte, err error) {
			e := rec.event("handshake")
			e.Handshake = newHandshake(r, response, err)
			rec.hub.publish(e)
		},
		Frame:   func(_ *websocket.Conn, f websocket.Frame) { rec.header(f) },
		Payload: func(_ *websocket.Conn, sent bool, p []byte) { rec.payload(sent, p) },
		Closed:  func(_ *websocket.Conn, err error) { rec.closed(err) },
	}
}

func (rec *recorder) event(kind string) *event {
	return &event{Kind: kind, Conn: rec.conn, Side: rec.side, Time: time.Now()}
}

func (rec *recorder) direction(sent bool) *direction {
	if sent {
		return &rec.sent
	}
	return &rec.received
}

// header begins a frame. One without a payload is complete.
func (rec *recorder) header(h websocket.Frame) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	f := &frame{
		Sent: h.Sent, Header: append(hexBytes(nil), h.Header...), Opcode: h.Opcode,
		Masked: h.Masked, Length: h.Length, Missing: h.Length,
	}
	if h.Masked {
		f.Key = append(f.Key, h.MaskingKey[:]...)
	}
	d := rec.direction(h.Sent)
	if isData(h.Opcode) {
		d.enter(f, h.Compressed)
	}
	d.frame = rec.event("frame")
	d.frame.Frame = f
	if h.Length == 0 {
		rec.finish(d)
	}
}

// isData tells text, binary and continuation frames from control frames, which
// have the highest bit of the opcode (RFC 6455 section 5.2).
func isData(opcode int) bool { return opcode&8 == 0 }

// enter finds out which message a data frame belongs to.
func (d *direction) enter(f *frame, compressed bool) {
	if f.Opcode != 0 {
		// RSV1 is on the first frame, and speaks for all (RFC 7692 section 6).
		d.count, d.part, d.kind, d.deflate = d.count+1, 0, f.Opcode, compressed
		d.whole, d.packed = message{}, d.packed[:0]
	}
	d.part++
	f.Message, f.Part, f.Type, f.Compressed = d.count, d.part, d.kind, d.deflate
}

// payload takes the next bytes of a frame, which come without their mask.
func (rec *recorder) payload(sent bool, p []byte) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	d := rec.direction(sent)
	if d.frame == nil {
		return
	}
	f := d.frame.Frame
	f.Missing -= int64(len(p))
	f.Payload = f.Payload.keep(p)
	if isData(f.Opcode) {
		d.gather(p)
	}
	if f.Missing == 0 {
		rec.finish(d)
	}
}

// gather takes bytes of a message.
func (d *direction) gather(p []byte) {
	d.whole.Packed += len(p)
	if !d.deflate {
		d.whole.Bytes = d.whole.Bytes.keep(p)
		d.whole.Length += len(p)
	} else if d.whole.Packed <= maxPacked {
		d.packed = append(d.packed, p...)
	}
}

// finish publishes the frame of d.
func (rec *recorder) finish(d *direction) {
	e := d.frame
	d.frame = nil
	f := e.Frame
	f.Wire = append(hexBytes(nil), f.Payload...)
	if f.Masked {
		mask(f.Wire, f.Key)
	}
	if fin := f.Header[0]&0x80 != 0; fin && isData(f.Opcode) && f.Missing == 0 {
		f.Whole = d.message()
	}
	rec.hub.publish(e)
}

// mask is RFC 6455 section 5.3 word for word. The library's mask.go has a fast version.
func mask(p, key []byte) {
	for i := range p {
		p[i] ^= key[i%4]
	}
}

// message returns a complete message, or nil if its only frame shows the same.
func (d *direction) message() *message {
	if !d.deflate && d.part == 1 {
		return nil
	}
	m := d.whole
	if d.deflate {
		var err error
		if m.Packed > maxPacked {
			d.lost, err = true, errTooLarge
		} else {
			m.Bytes, m.Length, err = d.inflate(d.packed)
		}
		if err != nil {
			m.Error = err.Error()
		}
	}
	return &m
}

// closed reports the end, and before it any frames that were cut short.
func (rec *recorder) closed(err error) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, d := range []*direction{&rec.received, &rec.sent} {
		if d.frame != nil {
			rec.finish(d)
		}
	}
	e := rec.event("end")
	e.Text = err.Error()
	rec.hub.publish(e)
}
