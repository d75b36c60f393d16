package websocket

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// An inboundStep is a frame's header and the verdict that it must get.
type inboundStep struct {
	h    frameHeader
	code int // the close code that it is refused with, 0 if it is accepted
}

// Headers for the tables below. Clients and servers send such headers. The mask bit is missing,
// because inboundTest sets it.
func headFirst(op opcode, length int64) frameHeader { return frameHeader{opcode: op, length: length} }
func headFull(op opcode, length int64) frameHeader {
	return frameHeader{frameBits: frameBits{fin: true}, opcode: op, length: length}
}
func headCont(length int64) frameHeader { return headFirst(opContinuation, length) }
func headLast(length int64) frameHeader { return headFull(opContinuation, length) }

// inboundRefusal returns the close code of a refusal, 0 for no error, or -1 for an error without a
// close code.
func inboundRefusal(err error) int {
	if err == nil {
		return 0
	}
	if broken, ok := errors.AsType[*ProtocolError](err); ok {
		return broken.Code
	}
	return -1
}

// inboundTest takes the steps in both roles. A refused step must leave no trace: the sequence goes on
// as if the step had not been.
func inboundTest(t *testing.T, name string, in frameRules, limit int64, steps ...inboundStep) {
	t.Helper()
	for _, in.wantMasked = range []bool{true, false} {
		role := map[bool]string{true: "server", false: "client"}[in.wantMasked]
		for i, s := range steps {
			before := in
			s.h.masked = in.wantMasked
			err := in.accept(s.h, limit)
			if got := inboundRefusal(err); got != s.code {
				t.Errorf("%s, %s, step %d (%v frame): refused with %d (%v), want %d", name, role, i+1, s.h.opcode, got, err, s.code)
			}
			if (err != nil || s.h.opcode.isControl()) && in != before {
				t.Errorf("%s, %s, step %d (%v frame): left %+v of %+v", name, role, i+1, s.h.opcode, in, before)
			}
		}
		in.size, in.fragments = 0, 0
	}
}

// Section 5.4: the fragments of a message come in order, and only control frames come between them.
func TestInboundSequences(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []inboundStep
	}{
		{"messages of one frame", []inboundStep{
			{headFull(opText, 5), 0}, {headFull(opBinary, 0), 0}, {headFull(opText, 1<<20), 0}}},
		{"fragments", []inboundStep{
			{headFirst(opText, 3), 0}, {headLast(2), 0}, {headFirst(opBinary, 0), 0}, {headCont(0), 0}, {headLast(0), 0}}},
		{"control frames between fragments", []inboundStep{
			{headFirst(opText, 3), 0}, {headFull(opPing, 0), 0}, {headCont(1), 0}, {headFull(opPong, 125), 0},
			{headFull(opClose, 2), 0}, {headLast(2), 0}}},
		{"control frames between messages", []inboundStep{
			{headFull(opPing, 125), 0}, {headFull(opPong, 0), 0}, {headFull(opText, 1), 0}, {headFull(opClose, 0), 0}}},
		{"continuation of nothing", []inboundStep{
			{headCont(1), 1002}, {headLast(1), 1002}, {headFull(opText, 1), 0}, {headLast(1), 1002}}},
		{"continuation after the last fragment", []inboundStep{
			{headFirst(opText, 1), 0}, {headLast(1), 0}, {headLast(1), 1002}, {headCont(1), 1002}, {headFull(opText, 1), 0}}},
		{"message in a message", []inboundStep{
			{headFirst(opText, 1), 0}, {headFull(opText, 1), 1002}, {headFull(opBinary, 1), 1002},
			{headFirst(opBinary, 1), 1002}, {headLast(1), 0}, {headFull(opBinary, 1), 0}}},
		{"an empty first fragment opens a message too", []inboundStep{
			{headFirst(opText, 0), 0}, {headFull(opText, 0), 1002}, {headLast(0), 0}}},
	} {
		inboundTest(t, tt.name, frameRules{}, 0, tt.steps...)
	}
}

// Every opcode, with and without FIN, between messages and inside one.
func TestInboundOpcodes(t *testing.T) {
	for op := range opcode(16) {
		for _, fin := range []bool{true, false} {
			between, inside := 1002, 1002
			switch {
			case op == opText || op == opBinary:
				between = 0
			case op == opContinuation:
				inside = 0
			case (op == opClose || op == opPing || op == opPong) && fin:
				between, inside = 0, 0
			}
			h := frameHeader{frameBits: frameBits{fin: fin}, opcode: op, length: 7}
			name := fmt.Sprintf("opcode %#x, FIN %v", uint8(op), fin)
			inboundTest(t, name+", first", frameRules{}, 0, inboundStep{h, between})
			inboundTest(t, name+", in a message", frameRules{}, 0, inboundStep{headFirst(opText, 3), 0}, inboundStep{h, inside})
		}
	}
}

// Section 5.2: a reserved bit "MUST be 0 unless an extension is negotiated".
func TestInboundReservedBits(t *testing.T) {
	for rsv := uint8(rsv3); rsv <= rsv1|rsv2|rsv3; rsv += rsv3 {
		for op := range opcode(16) {
			h := frameHeader{frameBits: frameBits{fin: true, rsv: rsv}, opcode: op}
			name := fmt.Sprintf("reserved bits %#x, opcode %#x", rsv, uint8(op))
			inboundTest(t, name+", first", frameRules{}, 0, inboundStep{h, 1002})
			inboundTest(t, name+", in a message", frameRules{}, 0, inboundStep{headFirst(opText, 3), 0}, inboundStep{h, 1002}, inboundStep{headLast(0), 0})
		}
	}
}

// Section 5.1: clients mask and servers do not. The rule holds for every frame, also for one without
// payload.
func TestInboundMasking(t *testing.T) {
	for _, wantMasked := range []bool{true, false} {
		for _, masked := range []bool{true, false} {
			for _, op := range []opcode{opText, opBinary, opClose, opPing, opPong} {
				for _, length := range []int64{0, 5} {
					in := frameRules{wantMasked: wantMasked}
					err := in.accept(frameHeader{frameBits: frameBits{fin: true, masked: masked}, opcode: op, length: length}, 0)
					want := map[bool]int{true: 0, false: 1002}[masked == wantMasked]
					if got := inboundRefusal(err); got != want || in != (frameRules{wantMasked: wantMasked}) {
						t.Errorf("%v frame of %d bytes, masked %v, wanted %v: refused with %d, want %d", op, length, masked, wantMasked, got, want)
					}
				}
			}
			in := frameRules{wantMasked: wantMasked, fragments: 1}
			if got := in.accept(frameHeader{frameBits: frameBits{fin: true, masked: masked}}, 0); (got == nil) != (masked == wantMasked) {
				t.Errorf("continuation frame, masked %v, wanted %v: %v", masked, wantMasked, got)
			}
		}
	}
}

// Section 5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
// fragmented."
func TestInboundControlFrames(t *testing.T) {
	for _, op := range []opcode{opClose, opPing, opPong} {
		for _, open := range []bool{false, true} {
			var in frameRules
			if open {
				in.fragments = 1
			}
			for _, tt := range []inboundStep{
				{headFull(op, 0), 0},
				{headFull(op, 124), 0},
				{headFull(op, 125), 0},
				{headFull(op, 126), 1002},
				{headFull(op, 65535), 1002},
				{headFull(op, 65536), 1002},
				{headFull(op, math.MaxInt64), 1002},
				{headFirst(op, 0), 1002},
				{headFirst(op, 125), 1002},
				{headFirst(op, 126), 1002},
			} {
				// The limit for messages does not apply to control frames.
				for _, limit := range []int64{0, 1} {
					step := in
					inboundTest(t, fmt.Sprintf("%d bytes, FIN %v, limit %d", tt.h.length, tt.h.fin, limit), step, limit, tt)
				}
			}
		}
	}
}

// The limit counts a message, not a frame.
func TestInboundLimit(t *testing.T) {
	const max = math.MaxInt64
	for _, tt := range []struct {
		name  string
		limit int64
		steps []inboundStep
	}{
		{"just fits", 100, []inboundStep{{headFull(opText, 100), 0}, {headFull(opText, 100), 0}}},
		{"one over", 100, []inboundStep{{headFull(opText, 101), 1009}, {headFull(opBinary, 101), 1009}, {headFull(opText, 100), 0}}},
		{"one over in the first fragment", 100, []inboundStep{{headFirst(opText, 101), 1009}, {headFull(opText, 1), 0}}},
		{"fragments that just fit", 100, []inboundStep{
			{headFirst(opText, 60), 0}, {headCont(39), 0}, {headLast(1), 0}, {headFirst(opText, 100), 0}, {headLast(0), 0}}},
		{"fragments one over", 100, []inboundStep{
			{headFirst(opText, 60), 0}, {headCont(41), 1009}, {headCont(40), 0}, {headLast(1), 1009}, {headCont(1), 1009}, {headLast(0), 0}}},
		{"the next message starts from nothing", 100, []inboundStep{
			{headFirst(opText, 60), 0}, {headLast(40), 0}, {headFirst(opBinary, 100), 0}, {headLast(1), 1009}}},
		{"control frames do not count", 3, []inboundStep{
			{headFirst(opText, 3), 0}, {headFull(opPing, 125), 0}, {headFull(opPong, 125), 0}, {headLast(0), 0}}},
		{"of one byte", 1, []inboundStep{{headFull(opText, 0), 0}, {headFull(opText, 1), 0}, {headFull(opText, 2), 1009}}},
		{"none", 0, []inboundStep{{headFull(opText, max), 0}, {headFirst(opText, max), 0}, {headLast(0), 0}}},
		{"less than none", -1, []inboundStep{{headFull(opText, max), 0}, {headFirst(opText, 1), 0}, {headLast(max), 0}}},
		{"largest", max, []inboundStep{{headFull(opText, max), 0}, {headFirst(opText, max), 0}, {headLast(1), 1009}, {headLast(max), 1009}}},
		{"announced sizes do not overflow", 100, []inboundStep{
			{headFull(opText, max), 1009}, {headFirst(opText, 100), 0}, {headCont(max), 1009}, {headLast(max), 1009}, {headLast(0), 0}}},
	} {
		inboundTest(t, "limit "+tt.name, frameRules{}, tt.limit, tt.steps...)
	}
}

// SetReadLimit may come between two fragments. The new limit then applies to the whole message,
// including the fragments that came before.
func TestInboundLimitChanges(t *testing.T) {
	for _, tt := range []struct {
		name          string
		first, second frameHeader
		before, after int64 // limits
		code          int   // for the second
	}{
		{"raised", headFirst(opText, 100), headLast(50), 100, 150, 0},
		{"raised too little", headFirst(opText, 100), headLast(51), 100, 150, 1009},
		{"removed", headFirst(opText, 100), headLast(1 << 40), 100, 0, 0},
		{"lowered, still fits", headFirst(opText, 10), headLast(10), 100, 20, 0},
		{"lowered", headFirst(opText, 10), headLast(11), 100, 20, 1009},
		{"lowered below the fragments that came", headFirst(opText, 10), headLast(0), 100, 9, 1009},
		{"set", headFirst(opText, 10), headLast(11), 0, 20, 1009},
		{"set below the largest that came", headFirst(opText, math.MaxInt64), headLast(1), 0, 20, 1009},
	} {
		in := frameRules{}
		if err := in.accept(tt.first, tt.before); err != nil {
			t.Errorf("%s: first fragment refused: %v", tt.name, err)
		}
		if got := inboundRefusal(in.accept(tt.second, tt.after)); got != tt.code {
			t.Errorf("%s: refused with %d, want %d", tt.name, got, tt.code)
		}
	}
}

// Without a limit, the sizes may add up to more than an int64 holds. A limit that is set after that
// still refuses the message.
func TestInboundSizeDoesNotOverflow(t *testing.T) {
	in := frameRules{}
	for i, h := range []frameHeader{headFirst(opText, math.MaxInt64), headCont(math.MaxInt64), headCont(5)} {
		if err := in.accept(h, 0); err != nil {
			t.Fatalf("frame %d without a limit: %v", i+1, err)
		}
	}
	if err := in.accept(headLast(1), 100); err == nil {
		t.Errorf("a limit of 100 accepts the last frame of a message of 2^64+4 bytes; size counts %d", in.size)
	}
}

func TestInboundMaxFragments(t *testing.T) {
	in := frameRules{maxFragments: 3}
	inboundTest(t, "three before the last", in, 0, inboundStep{headFirst(opText, 0), 0}, inboundStep{headCont(0), 0},
		inboundStep{headCont(1), 0}, inboundStep{headLast(0), 0},
		inboundStep{headFirst(opText, 0), 0}, inboundStep{headCont(0), 0})
	inboundTest(t, "four before the last", in, 0, inboundStep{headFirst(opText, 0), 0}, inboundStep{headCont(0), 0},
		inboundStep{headCont(1), 0}, inboundStep{headCont(1), 1008}, inboundStep{headFull(opPing, 1), 0},
		inboundStep{headCont(0), 1008}, inboundStep{headLast(1), 0}, inboundStep{headFirst(opBinary, 1), 0})

	// Less than 0 means no limit (Upgrader.MaxFragments), and so does 0 here.
	for _, none := range []int32{0, -1} {
		in := frameRules{maxFragments: none}
		for i := range 200_000 {
			h := headCont(0)
			if i == 0 {
				h = headFirst(opText, 0)
			}
			if err := in.accept(h, 1); err != nil {
				t.Fatalf("maxFragments %d: fragment %d: %v", none, i+1, err)
			}
		}
	}
}

// The reason goes to the peer in a close frame. It names the rule, and the frame's kind if that
// matters.
func TestInboundReasons(t *testing.T) {
	for _, tt := range []struct {
		h    frameHeader
		want string
	}{
		{frameHeader{frameBits: frameBits{rsv: rsv1, masked: true}, opcode: opText}, "reserved bit set in a text frame"},
		{frameHeader{opcode: opText}, "without a mask"},
		{frameHeader{frameBits: frameBits{masked: true}, opcode: 0x3}, "reserved opcode 0x3"},
		{frameHeader{frameBits: frameBits{masked: true, fin: true}, opcode: opPing, length: 126}, "ping frame of 126 bytes"},
		{frameHeader{frameBits: frameBits{masked: true}, opcode: opClose}, "fragmented close frame"},
		{frameHeader{frameBits: frameBits{masked: true}, opcode: opContinuation}, "without a message to continue"},
	} {
		in := frameRules{wantMasked: true}
		if err := in.accept(tt.h, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want a reason with %q", tt.h, err, tt.want)
		} else if reason := err.(*ProtocolError).Reason; cutReason(reason) != reason {
			t.Errorf("%+v: the reason is too long for a close frame: %q", tt.h, reason)
		}
	}
}

// An inboundModel is section 5's rules for a sequence of frames, written another way. It keeps the
// list of the frames of the present message instead of a state.
type inboundModel struct {
	message      []int64 // lengths
	maxFragments int
	server       bool
}

// verdict returns the close code for a frame, or 0 if the frame may come.
func (m *inboundModel) verdict(h frameHeader, limit int64) int {
	known := strings.ContainsRune("\x00\x01\x02\x08\x09\x0a", rune(h.opcode))
	control := h.opcode >= 8
	starts := h.opcode == 1 || h.opcode == 2
	switch {
	case !known, h.rsv > 0, h.masked != m.server:
		return 1002
	case control && (!h.fin || h.length > 125):
		return 1002
	case control:
		return 0
	case starts != (len(m.message) == 0):
		return 1002
	}
	// A uint64 cannot overflow here, because there are few fragments.
	total := uint64(h.length)
	for _, n := range m.message {
		total = min(total, math.MaxInt64) + uint64(n)
	}
	switch {
	case limit > 0 && total > uint64(limit):
		return 1009
	case !h.fin && m.maxFragments > 0 && len(m.message) == m.maxFragments:
		return 1008
	}
	if m.message = append(m.message, h.length); h.fin {
		m.message = nil
	}
	return 0
}

// FuzzInbound reads three bytes as one header: the frame's first byte, a change to the length, and the
// length.
func FuzzInbound(f *testing.F) {
	f.Add([]byte("\x01\x80\x03\x89\x80\x05\x00\x80\x00\x80\x80\x02"), uint8(0), uint16(0), true)
	f.Add([]byte("\x01\x00\x03\x80\x00\x02\x80\x00\x02\x82\x00\x7d"), uint8(0), uint16(5), false)
	f.Add([]byte("\x01\x80\x00\x00\x80\x00\x00\x80\x00\x00\x80\x00\x80\x80\x00"), uint8(3), uint16(9), true)
	f.Add([]byte("\x01\x80\x40\x80\x83\x00\x88\x80\x7d\x88\x80\x7e\xc1\x80\x00"), uint8(1), uint16(64), true)
	f.Fuzz(func(t *testing.T, frames []byte, maxFragments uint8, limit uint16, server bool) {
		in := frameRules{maxFragments: int32(maxFragments), wantMasked: server}
		m := inboundModel{maxFragments: int(maxFragments), server: server}
		for ; len(frames) >= 3; frames = frames[3:] {
			first, how := frames[0], frames[1]
			h := frameHeader{
				frameBits: frameBits{fin: first&0x80 != 0, rsv: first & 0x70, masked: how&0x80 != 0},
				opcode:    opcode(first & 0x0f), length: int64(frames[2]),
			}
			switch how & 3 {
			case 1:
				h.length <<= 55 // up to nearly 2^63
			case 2:
				h.length = math.MaxInt64 - h.length
			case 3:
				limit ^= uint16(frames[2]) // the limit changes
			}
			before, model := in, m
			whole := in.acceptsWhole(h, int64(limit))
			got, want := inboundRefusal(in.accept(h, int64(limit))), m.verdict(h, int64(limit))
			if got != want {
				t.Fatalf("%+v with limit %d after %+v: refused with %d, want %d", h, limit, model, got, want)
			}
			if got != 0 && in != before {
				t.Fatalf("%+v was refused and changed %+v to %+v", h, before, in)
			}
			isWhole := got == 0 && h.fin && !h.opcode.isControl() && h.opcode != opContinuation
			if whole != isWhole || whole && in != before {
				t.Fatalf("%+v after %+v: acceptsWhole is %v, and accept leaves %+v", h, before, whole, in)
			}
		}
	})
}
