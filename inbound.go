package websocket

import "math"

// Which frame may come next: RFC 6455 sections 5.1, 5.2, 5.4 and 5.5.
//
// A receiver needs to remember very little between two frames: whether a
// message is open, and what its first frame said.
//
//	           text, binary (no FIN)
//	  closed ─────────────────────────► open ─┐ continuation (no FIN)
//	    ▲ │ text, binary (FIN)           │ ◄──┘
//	    └─┘◄─────────────────────────────┘
//	                continuation (FIN)
//
// Control frames may come in either state and change nothing.

// inbound is the state of the receiving side between frames, and the rules
// that the connection has agreed on. It is pure: it sees headers, never bytes.
type inbound struct {
	size         int64 // payload octets of the open message, as announced by its frames so far
	fragments    int32 // frames of the open message so far; 0 where none is open
	maxFragments int32 // limit for fragments; 0 for none
	wantMasked   bool  // this side is a server: its peer must mask
	deflate      bool  // permessage-deflate was agreed on
	compressed   bool  // the open message, or the last one, is compressed
}

// accept says whether a frame with header h may come now, and takes it into
// account. limit bounds a message's size; 0 or less means no limit.
//
// A frame that is refused leaves the state as it was. So does a control frame.
func (in *inbound) accept(h frameHeader, limit int64) error {
	if h.rsv != 0 && !in.isCompressed(h) {
		// "MUST be 0 unless an extension is negotiated that defines meanings
		// for non-zero values" (section 5.2).
		return violation("reserved bit set in a %v frame, but no extension was agreed on that uses it", h.opcode)
	}
	if h.masked != in.wantMasked {
		return maskingViolation(in.wantMasked)
	}
	switch h.opcode {
	case opText, opBinary:
		if in.fragments > 0 {
			return violation("new %v message before the last fragment of the one before", h.opcode)
		}
	case opContinuation:
		if in.fragments == 0 {
			return violation("continuation frame without a message to continue")
		}
	case opClose, opPing, opPong:
		return acceptControl(h)
	default:
		// "If an unknown opcode is received, the receiving endpoint MUST
		// _Fail the WebSocket Connection_" (section 5.2).
		return violation("%v", h.opcode)
	}
	return in.count(h, limit)
}

// acceptsWhole reports, of a frame that is a message by itself and not compressed,
// that it may come now. accept would agree, and remember nothing of it.
func (in *inbound) acceptsWhole(h frameHeader, limit int64) bool {
	return h.fin && h.rsv == 0 && (h.opcode == opText || h.opcode == opBinary) &&
		h.masked == in.wantMasked && in.fragments == 0 && (limit <= 0 || h.length <= limit)
}

// isCompressed reports whether RSV1 says, as agreed, that h begins a compressed
// message: "An endpoint MUST NOT set the 'Per-Message Compressed' bit of control
// frames and non-first fragments of a data message" (RFC 7692 section 6.1).
func (in *inbound) isCompressed(h frameHeader) bool {
	return in.deflate && h.rsv == rsv1 && (h.opcode == opText || h.opcode == opBinary)
}

// maskingViolation: "The server MUST close the connection upon receiving a
// frame that is not masked. […] A client MUST close a connection if it detects
// a masked frame" (section 5.1).
func maskingViolation(wantMasked bool) error {
	if wantMasked {
		return violation("frame from a client without a mask")
	}
	return violation("frame from a server with a mask")
}

// acceptControl holds the rules of section 5.5: control frames are short and
// never fragmented.
func acceptControl(h frameHeader) error {
	if h.length > maxControlPayload {
		return violation("%v frame of %d octets; control frames have at most %d", h.opcode, h.length, maxControlPayload)
	}
	if !h.fin {
		return violation("fragmented %v frame", h.opcode)
	}
	return nil
}

// count takes a data frame into account, if it stays within the limits.
func (in *inbound) count(h frameHeader, limit int64) error {
	if in.fragments == 0 {
		in.compressed = h.rsv == rsv1
	}
	if limit > 0 && in.compressed {
		// What counts is the size after inflating. Of what is compressed no more
		// need come than a message of that size that did not shrink, even if its
		// sender cut it into blocks of some 20 octets with 5 of header each.
		limit += min(limit, math.MaxInt64/2)/4 + 1024
	}
	// Both are not negative, so the difference cannot overflow.
	if limit > 0 && h.length > limit-in.size {
		return ErrReadLimit
	}
	if h.fin {
		in.fragments, in.size = 0, 0
		return nil
	}
	// Empty fragments cost their sender six octets and would never reach the
	// limit of size, so their number is bounded too. The last does not count:
	// it ends what is bounded.
	if in.maxFragments > 0 && in.fragments >= in.maxFragments {
		return &ProtocolError{Code: ClosePolicyViolation, Reason: "message in too many fragments"}
	}
	in.fragments++
	in.size += min(h.length, math.MaxInt64-in.size) // without a limit, the sum could overflow
	return nil
}
