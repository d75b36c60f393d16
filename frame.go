package websocket

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The frame header, RFC 6455 section 5.2.
//
// TCP carries a stream of bytes and knows of no messages. A frame header says where a message ends:
// it announces the length of the bytes behind it, and their kind. This file alone knows how a
// header lies on the wire:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-------+-+-------------+-------------------------------+
//	|F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//	|I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
//	|N|V|V|V|       |S|             |   (if payload len==126/127)   |
//	| |1|2|3|       |K|             |                               |
//	+-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
//	|     Extended payload length continued, if payload len == 127  |
//	+ - - - - - - - - - - - - - - - +-------------------------------+
//	|                               | Masking-key, if MASK set to 1 |
//	+-------------------------------+-------------------------------+
//	| Masking-key (continued)       |          Payload Data         |
//	+-------------------------------- - - - - - - - - - - - - - - - +
//
// A message is one frame with FIN, or several frames: the first without FIN, then continuation
// frames, of which the last has FIN. inbound.go decides which frame may follow which.
//
// Why has a length three forms? Most messages are short: up to 125 bytes, the header of a server's
// frame takes two bytes. If every length took eight bytes, it would take at least nine. Yet one
// frame can hold up to 2^63-1 bytes, so a file of any size can be sent without being divided. The
// form in the middle adds two bytes, and covers lengths up to 65,535.
//
//	length             7-bit field   bytes that follow   header, without a masking key
//	0 to 125           the length    none                 2 bytes
//	126 to 65,535      126           2                    4 bytes
//	65,536 to 2^63-1   127           8                   10 bytes

// An opcode is the kind of a frame.
type opcode uint8

const (
	opContinuation opcode = 0x0
	opText         opcode = 0x1
	opBinary       opcode = 0x2
	opClose        opcode = 0x8
	opPing         opcode = 0x9
	opPong         opcode = 0xa
)

// isControl reports whether o is a control frame's opcode: "Control frames are identified by
// opcodes where the most significant bit of the opcode is 1" (section 5.5).
func (o opcode) isControl() bool { return o&0x8 != 0 }

// String returns the name of o for error texts and traces.
func (o opcode) String() string {
	switch o {
	case opContinuation:
		return "continuation"
	case opText:
		return "text"
	case opBinary:
		return "binary"
	case opClose:
		return "close"
	case opPing:
		return "ping"
	case opPong:
		return "pong"
	}
	return fmt.Sprintf("reserved opcode %#x", uint8(o))
}

// The reserved bits, as they lie in the first byte.
const (
	rsv1 = 0x40 // "this message is compressed", if permessage-deflate was agreed on
	rsv2 = 0x20
	rsv3 = 0x10
)

const (
	// maxControlPayload is the limit for control frames: "All control frames MUST have a payload
	// length of 125 bytes or less and MUST NOT be fragmented" (section 5.5).
	maxControlPayload = 125

	// maxHeaderLen counts two bytes, a 64-bit length and a masking key.
	maxHeaderLen = 2 + 8 + 4

	// Values of the 7-bit length that announce a longer one.
	length16 = 126
	length64 = 127
)

// A frameHeader is a frame header, parsed. The single bits are a struct of their own because the
// compiler keeps a struct in registers only if it has at most four fields. An echo of 125 bytes
// then takes a fifth less time outside of the kernel.
type frameHeader struct {
	length int64  // of the payload, in bytes
	key    uint32 // the masking key, its first byte lowest, or zero if masked is false
	opcode opcode
	frameBits
}

// frameBits holds the single bits of a header.
type frameBits struct {
	rsv    uint8 // any of rsv1, rsv2 and rsv3
	fin    bool  // this frame is the last of its message
	masked bool  // the header ends with a masking key
}

// consumeHeader parses the frame header at the front of b and returns its length n in bytes. If b
// ends inside the header, n is 0 and err is nil: more bytes have to come.
//
// It refuses the headers that are wrong at any time: a length that is not in its shortest form, or
// has its top bit set. inbound.go refuses those that come at the wrong time.
//
// Numbers on the wire begin with their highest byte. A masking key is four bytes, not a number. It
// is loaded with its first byte lowest, because that byte meets the first byte of the payload.
func consumeHeader(b []byte) (h frameHeader, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.fin = b[0]&0x80 != 0
	h.rsv = b[0] & (rsv1 | rsv2 | rsv3)
	h.opcode = opcode(b[0] & 0x0f)
	h.masked = b[1]&0x80 != 0
	h.length = int64(b[1] & 0x7f)
	n = 2
	if h.length >= length16 {
		if h.length, n, err = consumeLength(b); n == 0 || err != nil {
			return h, 0, err
		}
	}
	if h.masked {
		if len(b) < n+4 {
			return h, 0, nil
		}
		h.key = binary.LittleEndian.Uint32(b[n:])
		n += 4
	}
	return h, n, nil
}

// consumeLength parses an extended length. It returns the number n of header bytes before the
// masking key, or 0 if b is too short.
func consumeLength(b []byte) (length int64, n int, err error) {
	var v uint64
	var maxShorter uint64 // the largest length that has a shorter form
	switch b[1] & 0x7f {
	case length16:
		if len(b) < 4 {
			return 0, 0, nil
		}
		v, n, maxShorter = uint64(binary.BigEndian.Uint16(b[2:])), 4, length16-1
	default:
		if len(b) < 10 {
			return 0, 0, nil
		}
		v, n, maxShorter = binary.BigEndian.Uint64(b[2:]), 10, math.MaxUint16
	}
	if v > math.MaxInt64 {
		// "the most significant bit MUST be 0"
		return 0, 0, violation("frame length %#x has its most significant bit set", v)
	}
	if v <= maxShorter {
		// "in all cases, the minimal number of bytes MUST be used to encode the length"
		return 0, 0, violation("frame length %d is not in its shortest form", v)
	}
	return int64(v), n, nil
}

// appendHeader appends h to b in its form on the wire.
func appendHeader(b []byte, h frameHeader) []byte {
	first := byte(h.opcode) | h.rsv
	if h.fin {
		first |= 0x80
	}
	var maskBit byte
	if h.masked {
		maskBit = 0x80
	}
	switch {
	case h.length < length16:
		b = append(b, first, maskBit|byte(h.length))
	case h.length <= math.MaxUint16:
		b = append(b, first, maskBit|length16)
		b = binary.BigEndian.AppendUint16(b, uint16(h.length))
	default:
		b = append(b, first, maskBit|length64)
		b = binary.BigEndian.AppendUint64(b, uint64(h.length))
	}
	if h.masked {
		b = binary.LittleEndian.AppendUint32(b, h.key)
	}
	return b
}
