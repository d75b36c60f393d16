package websocket

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/plainsocket/websocket/internal/deflate"
)

// Compression on a Conn, RFC 7692 sections 6 and 7.2. The first frame of a compressed
// message has RSV1 set. A message is compressed first and then cut into frames. Control
// frames are never compressed.

// connDeflate is the state of a connection that agreed on permessage-deflate.
type connDeflate struct {
	deflateParams
	threshold int                   // messages shorter than this go out as they are
	off       atomic.Bool           // EnableWriteCompression(false)
	inflater  *deflate.Decompressor // owned by the holder of readLock
	deflater  *deflate.Compressor   // owned by the holder of out.lock, nil without context takeover
}

func newConnDeflate(p deflateParams, threshold int) *connDeflate {
	d := &connDeflate{deflateParams: p, threshold: threshold, inflater: deflate.NewDecompressor(p.receiveBits, p.receiveTakeover)}
	d.forget()
	return d
}

// forget makes the next message refer to nothing before it.
func (d *connDeflate) forget() {
	if d.sendTakeover {
		d.deflater = deflate.NewCompressor(d.sendBits)
	}
}

// EnableWriteCompression sets whether messages are compressed from now on, if the peer
// agreed to it. At first they are. Messages in which a secret stands next to text that
// others choose are better sent uncompressed: their size would tell about the secret.
func (c *Conn) EnableWriteCompression(enable bool) {
	if c.deflate != nil {
		c.deflate.off.Store(!enable)
	}
}

// SetCompressionLevel exists for programs written for gorilla/websocket. It
// accepts the levels of compress/flate, and they make no difference here:
// there is one way to compress. Compression has fields for window and memory.
func (c *Conn) SetCompressionLevel(level int) error {
	if level < -2 || level > 9 {
		return errors.New("websocket: invalid compression level, want -2 to 9")
	}
	return nil
}

// inflateStepSize bounds how much is inflated before it is checked, so that wrong
// UTF-8 and limits are noticed early.
const inflateStepSize = 64 << 10

// appendInflated is appendPayload for a compressed message.
func (c *Conn) appendInflated(dst []byte) ([]byte, error) {
	in := c.in // stays, as a message is open
	for {
		into := in.pieceFor(&dst, in.inflated >= chunkSize)
		step := inflateStepSize
		if room := cap(*into) - len(*into); room > 0 {
			step = min(step, room)
		}
		var done bool
		var err error
		if *into, done, err = c.inflateSome(*into, step); err != nil {
			return dst, err
		}
		if done {
			return in.joinChunks(dst), nil
		}
	}
}

// inflateSome appends up to max bytes of the open message to dst. It returns when it
// has some, or with done at the message's end.
func (c *Conn) inflateSome(dst []byte, max int) (_ []byte, done bool, err error) {
	in, before := c.in, len(dst)
	limit := c.settings.Load().limit
	if limit > 0 {
		max = int(min(int64(max), limit-min(in.inflated, limit)))
	}
	for {
		var status deflate.Status
		dst, status, err = c.deflate.inflater.Append(dst, max)
		fresh := dst[before:]
		in.inflated += int64(len(fresh))
		switch {
		case status == deflate.Failed:
			return dst, false, &ProtocolError{Code: CloseInvalidFramePayloadData, Reason: err.Error()}
		case in.messageType == opText && !in.text.valid(fresh):
			return dst, false, errInvalidUTF8
		case status == deflate.Done:
			return dst, true, c.endMessage()
		case len(fresh) > 0:
			return dst, false, nil
		case status == deflate.Full: // and no room: max has come down to 0
			return dst, false, ErrReadLimit
		}
		if err := c.feedInflater(); err != nil {
			return dst, false, err
		}
	}
}

// feedInflater gives the inflater the next piece of the open message. The piece lies in
// the read buffer, and the inflater has taken it before more is read.
func (c *Conn) feedInflater() error {
	in := c.in
	for in.left == 0 && !in.fin {
		if err := c.nextFrame(); err != nil {
			return err
		}
	}
	if in.left > 0 && len(in.unread) == 0 {
		if err := c.fill(); err != nil {
			return err
		}
	}
	n := min(in.left, int64(len(in.unread)))
	p := in.unread[:n]
	in.unread = in.unread[n:]
	in.unmask(p)
	c.deflate.inflater.Feed(p, in.fin && in.left == 0)
	return nil
}

// skipInflated inflates the open message to its end and drops it. The next one may
// refer to it.
func (c *Conn) skipInflated() error {
	buf := getBuffer()
	defer putBuffer(buf)
	for {
		if _, done, err := c.inflateSome(buf[:0], len(buf)); done || err != nil {
			return err
		}
	}
}

// deflateBuffers hold compressed messages, with room for a header in front.
var deflateBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooledDeflate is the largest buffer that is kept for the next message.
const maxPooledDeflate = 256 << 10

func getDeflateBuffer() *[]byte {
	b := deflateBuffers.Get().(*[]byte)
	if cap(*b) == 0 {
		*b = make([]byte, 0, 4<<10)
	}
	return b
}

func putDeflateBuffer(b *[]byte) {
	if cap(*b) <= maxPooledDeflate {
		deflateBuffers.Put(b)
	}
}

// wants reports whether a message of n bytes is to be compressed.
func (d *connDeflate) wants(n int) bool {
	return d != nil && n >= d.threshold && n > 0 && !d.off.Load()
}

// writeDeflated writes a message in one compressed frame, or as it is if that
// would not be shorter. Its caller holds out.lock.
func (c *Conn) writeDeflated(op opcode, data []byte) error {
	if err := c.writable(); err != nil {
		return err
	}
	frame, buf := c.deflatedFrame(op, data)
	if frame == nil {
		return c.writeFrame(op, true, data)
	}
	defer putDeflateBuffer(buf)
	err := c.writeFrameBytes(frame)
	if err != nil {
		c.deflate.forget() // the peer has not seen this message, so no later one may refer to it
	}
	return err
}

// deflatedFrame returns a message as one compressed frame, which lies in buf, or
// nil if it would not be shorter. The next message may refer to this one then. Its
// caller holds out.lock.
func (c *Conn) deflatedFrame(op opcode, data []byte) (frame []byte, buf *[]byte) {
	d, buf := c.deflate, getDeflateBuffer()
	room := (*buf)[:maxHeaderLen]
	var out []byte
	var ok bool
	if d.deflater != nil {
		out, ok = d.deflater.Append(room, data)
	} else {
		out, ok = deflate.Append(room, data, d.sendBits)
	}
	*buf = out[:0]
	if !ok {
		putDeflateBuffer(buf)
		return nil, nil
	}
	return c.buildFrame(out, frameHeader{frameBits: frameBits{fin: true, rsv: rsv1}, opcode: op}), buf
}
