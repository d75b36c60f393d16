package main

// This file has the frames that the load generator sends and receives, RFC 6455 section 5.2. They
// are composed by hand, so that the generator depends on none of the libraries it measures.

import "encoding/binary"

// The opcodes that are used here, with FIN and without reserved bits.
const (
	finText   = 0x81
	finBinary = 0x82
	rsv1      = 0x40 // the message is compressed (RFC 7692 section 6)
	masked    = 0x80
)

// loadKey masks everything that the load generator sends. A client has to draw an unpredictable key
// for each frame (section 10.3), because a hostile page could use its messages to mislead a proxy.
// Here is neither a page nor a proxy. A server cannot tell, and unmasking costs it the same with
// every key, so the frames are masked once, before the clock runs.
var loadKey = [4]byte{0x5a, 0xc3, 0x17, 0x8e}

func appendHeader(dst []byte, first, maskBit byte, n int) []byte {
	switch {
	case n < 126:
		return append(dst, first, maskBit|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, first, maskBit|126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, maskBit|127), uint64(n))
	}
}

// appendClientFrame appends a frame as a client sends it.
func appendClientFrame(dst []byte, first byte, payload []byte) []byte {
	dst = append(appendHeader(dst, first, masked, len(payload)), loadKey[:]...)
	for i, b := range payload {
		dst = append(dst, b^loadKey[i&3])
	}
	return dst
}

// appendServerFrame appends a frame as a server sends it.
func appendServerFrame(dst []byte, first byte, payload []byte) []byte {
	return append(appendHeader(dst, first, 0, len(payload)), payload...)
}

// header returns a client's frame header with a masking key of zeros, so the payload follows
// unchanged.
func header(first byte, n int) []byte {
	return append(appendHeader(nil, first, masked, n), 0, 0, 0, 0)
}

// frame returns a client's frame with FIN.
func frame(op byte, payload []byte) []byte {
	return appendClientFrame(nil, 0x80|op, payload)
}

// A counter counts the messages in a server's stream, which may be cut anywhere. It looks at
// headers only.
type counter struct {
	dataBytes int64 // of data frames, headers included
	closed    bool  // a close frame came

	head [14]byte // the header of the current frame
	have int      // number of its bytes that are here
	left int64    // bytes of the frame's payload that have not come yet
}

// take counts the messages that end in b.
func (c *counter) take(b []byte) (messages int) {
	for len(b) > 0 {
		if c.left == 0 {
			n := c.takeHeader(b)
			b = b[n:]
			if c.have < c.headerLen() {
				return messages
			}
		}
		n := min(c.left, int64(len(b)))
		b, c.left = b[n:], c.left-n
		if !c.isControl() {
			c.dataBytes += n
		}
		if c.left == 0 {
			messages += c.endFrame()
		}
	}
	return messages
}

// takeHeader takes the bytes of the header that b has, and returns their number.
func (c *counter) takeHeader(b []byte) (n int) {
	for n < len(b) && c.have < c.headerLen() {
		c.head[c.have] = b[n]
		c.have++
		n++
	}
	if c.have == c.headerLen() {
		c.left = c.length()
		if !c.isControl() {
			c.dataBytes += int64(c.have)
		}
	}
	return n
}

// headerLen returns the length of the header as far as it is known. The first two bytes decide it.
func (c *counter) headerLen() int {
	n := 2
	if c.have < 2 {
		return n
	}
	switch c.head[1] &^ masked {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if c.head[1]&masked != 0 { // a raw TCP server's echo
		n += len(loadKey)
	}
	return n
}

func (c *counter) length() int64 {
	switch n := c.head[1] &^ masked; n {
	case 126:
		return int64(binary.BigEndian.Uint16(c.head[2:]))
	case 127:
		return int64(binary.BigEndian.Uint64(c.head[2:]))
	default:
		return int64(n)
	}
}

func (c *counter) isControl() bool { return c.head[0]&0x08 != 0 }

// endFrame reports, as 1, that the frame was the last of a message.
func (c *counter) endFrame() int {
	fin := c.head[0]&0x80 != 0
	c.have = 0
	if c.isControl() {
		c.closed = c.closed || c.head[0]&0x0f == 8
		return 0
	}
	if fin {
		return 1
	}
	return 0
}

// joinFrames returns the payload of a message's frames, and whether the first
// says that it is compressed.
func joinFrames(b []byte) (payload []byte, compressed bool) {
	compressed = len(b) > 0 && b[0]&rsv1 != 0
	for len(b) > 0 {
		var c counter
		n := c.takeHeader(b)
		b = b[n:]
		n = int(min(c.left, int64(len(b))))
		if !c.isControl() {
			payload = append(payload, b[:n]...)
		}
		b = b[n:]
	}
	return payload, compressed
}
