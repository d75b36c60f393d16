package websocket

import "math"

// Which frame may come next: RFC 6455 sections 5.1, 5.2, 5.4 and 5.5.
//
// A frame can be well formed and still come at the wrong time. A receiver has to remember very
// little to notice: whether it is inside a message, and a few facts about that message.
//
//	                       text, binary
//	                       without FIN
//	  ┌─► between messages ───────────► inside a message ◄─┐
//	  │     │        ▲                    │          │     │
//	  └─────┘        └────────────────────┘          └─────┘
//	text, binary          continuation            continuation
//	with FIN              with FIN                without FIN
//
// Control frames may come in either state and change nothing. Any other frame is a violation.

// frameRules decides which frame may come next. It holds the state between two frames, and the
// rules that the connection agreed on. It is pure: it sees headers, never payload.
type frameRules struct {
	size         int64 // payload bytes of the message so far, as its frames announced them
	fragments    int32 // frames of the message so far, 0 between messages
	maxFragments int32 // limit for fragments, 0 for none
	wantMasked   bool  // this side is a server: its peer must mask
	deflate      bool  // permessage-deflate was agreed on
	compressed   bool  // the present message, or the last one, is compressed
}

// accept returns an error if a frame with header h must not come now. Otherwise it takes the frame
// into account. limit bounds a message's size, and 0 or less means no limit.
//
// Neither a refused frame nor a control frame changes the state.
func (r *frameRules) accept(h frameHeader, limit int64) error {
	if h.rsv != 0 && !r.isCompressed(h) {
		// "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values"
		// (section 5.2).
		return violation("reserved bit set in a %v frame, but no extension was agreed on that uses it", h.opcode)
	}
	if h.masked != r.wantMasked {
		return maskingViolation(r.wantMasked)
	}
	switch h.opcode {
	case opText, opBinary:
		if r.fragments > 0 {
			return violation("new %v message before the last fragment of the previous message", h.opcode)
		}
	case opContinuation:
		if r.fragments == 0 {
			return violation("continuation frame without a message to continue")
		}
	case opClose, opPing, opPong:
		return acceptControl(h)
	default:
		// "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket
		// Connection_" (section 5.2).
		return violation("%v", h.opcode)
	}
	return r.count(h, limit)
}

// acceptsWhole reports whether h is an uncompressed, unfragmented data frame that accept would
// allow now. Such a frame does not change r.
func (r *frameRules) acceptsWhole(h frameHeader, limit int64) bool {
	return h.fin && h.rsv == 0 && (h.opcode == opText || h.opcode == opBinary) &&
		h.masked == r.wantMasked && r.fragments == 0 && (limit <= 0 || h.length <= limit)
}

// isCompressed reports whether h begins a compressed message, which RSV1 says if permessage-deflate
// was agreed on: "An endpoint MUST NOT set the 'Per-Message Compressed' bit of control frames and
// non-first fragments of a data message" (RFC 7692 section 6.1).
func (r *frameRules) isCompressed(h frameHeader) bool {
	return r.deflate && h.rsv == rsv1 && (h.opcode == opText || h.opcode == opBinary)
}

// maskingViolation returns the error for a frame with the wrong mask bit: "The server MUST close
// the connection upon receiving a frame that is not masked. […] A client MUST close a connection if
// it detects a masked frame" (section 5.1).
func maskingViolation(wantMasked bool) error {
	if wantMasked {
		return violation("frame from a client without a mask")
	}
	return violation("frame from a server with a mask")
}

// acceptControl checks a control frame by the rules of section 5.5: it is short and never
// fragmented.
func acceptControl(h frameHeader) error {
	if h.length > maxControlPayload {
		return violation("%v frame of %d bytes: control frames have at most %d", h.opcode, h.length, maxControlPayload)
	}
	if !h.fin {
		return violation("fragmented %v frame", h.opcode)
	}
	return nil
}

// count adds a data frame to its message, if that stays within the limits.
func (r *frameRules) count(h frameHeader, limit int64) error {
	if r.fragments == 0 {
		r.compressed = h.rsv == rsv1
	}
	if limit > 0 && r.compressed {
		// The limit applies to the inflated size. Compressed data may be larger than that: a stored
		// block adds 5 bytes to its content. Allow a quarter more and 1 KiB, which covers blocks of
		// 20 bytes each. So no message within the limit is refused for its compressed size.
		limit += min(limit/4+1024, math.MaxInt64-limit)
	}
	// Neither number is negative, so the difference cannot overflow.
	if limit > 0 && h.length > limit-r.size {
		return ErrReadLimit
	}
	if h.fin {
		r.fragments, r.size = 0, 0
		return nil
	}
	// An empty fragment costs its sender six bytes, and empty fragments never reach the limit of
	// size. So their number is bounded too. The last fragment does not count, because it ends the
	// message.
	if r.maxFragments > 0 && r.fragments >= r.maxFragments {
		return &ProtocolError{Code: ClosePolicyViolation, Reason: "message in too many fragments"}
	}
	r.fragments++
	r.size += min(h.length, math.MaxInt64-r.size) // without a limit, the sum could overflow
	return nil
}
