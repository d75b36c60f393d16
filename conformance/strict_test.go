package conformance

// This file tests strictness on the level of frames, beyond the suite's cases. A handful of its
// cases show that RSV bits, opcodes and lengths are checked. These show that they are checked
// everywhere.

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/plainsocket/websocket"
)

// A violation is a sequence of frames that no endpoint may send, and the code with which the other
// side must fail the connection.
type violation struct {
	name   string
	code   int
	frames []frame
}

func violate(name string, code int, frames ...frame) violation { return violation{name, code, frames} }

// started opens a fragmented message, so that a continuation frame is in order.
var started = frame{op: opText, more: true, payload: []byte("a")}

// onEveryOpcode builds one violation per opcode. A continuation comes both out of order and in
// order.
func onEveryOpcode(name string, build func(op byte) frame, code func(op byte, inMessage bool) int) (vs []violation) {
	for op := range byte(16) {
		vs = append(vs, violate(fmt.Sprintf("%s opcode %d", name, op), code(op, false), build(op)))
	}
	return append(vs, violate(name+" continuation of a message", code(opCont, true), started, build(opCont)))
}

func always1002(byte, bool) int { return 1002 }

// samplePayload is one that the opcode allows.
func samplePayload(op byte) []byte {
	if op == opClose {
		return closePayload(1000, "")
	}
	return []byte("Hi")
}

// TestConformanceRSV: no extension is negotiated, so no reserved bit means anything on any frame
// (RFC 6455 §5.2). RSV1 in particular belongs to the first frame of a message alone (RFC 7692
// §6.1).
func TestConformanceRSV(t *testing.T) {
	var vs []violation
	for rsv := byte(1); rsv < 8; rsv++ {
		vs = append(vs, onEveryOpcode(fmt.Sprintf("RSV %03b", rsv), func(op byte) frame {
			return frame{op: op, rsv: rsv, payload: samplePayload(op)}
		}, always1002)...)
	}
	refuse(t, vs)
}

// TestConformanceMisMasked: every frame of a client is masked, and none of a server (RFC 6455
// §5.1).
func TestConformanceMisMasked(t *testing.T) {
	vs := onEveryOpcode("mis-masked", func(op byte) frame {
		return frame{op: op, misMasked: true, payload: samplePayload(op)}
	}, always1002)
	vs = append(vs, onEveryOpcode("mis-masked and empty", func(op byte) frame {
		return frame{op: op, misMasked: true}
	}, always1002)...)
	refuse(t, vs)
}

// TestConformanceLengthForm: "the minimal number of bytes MUST be used to encode the length" (RFC
// 6455 §5.2).
func TestConformanceLengthForm(t *testing.T) {
	var vs []violation
	for _, tt := range []struct{ bits, size int }{{16, 0}, {16, 2}, {16, 125}, {64, 0}, {64, 2}, {64, 125}, {64, 126}, {64, 65535}} {
		vs = append(vs, onEveryOpcode(fmt.Sprintf("%d bytes in %d bits", tt.size, tt.bits), func(op byte) frame {
			return frame{op: op, bits: tt.bits, payload: bytes.Repeat([]byte("a"), tt.size)}
		}, always1002)...)
	}
	refuse(t, vs)
}

// TestConformanceHugeLength announces lengths that are never sent. Data beyond the limit is too big
// (1009). A length with the top bit set is no length (§5.2), and no control frame is longer than
// 125 bytes (§5.5).
func TestConformanceHugeLength(t *testing.T) {
	var vs []violation
	for _, length := range []uint64{32<<20 + 1, 1 << 31, 1 << 32, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		code := func(op byte, inMessage bool) int {
			if data := op == opText || op == opBin || inMessage; data && length < 1<<63 {
				return 1009
			}
			return 1002
		}
		for _, more := range []bool{false, true} {
			vs = append(vs, onEveryOpcode(fmt.Sprintf("length %#x, more %v,", length, more), func(op byte) frame {
				return frame{op: op, more: more, length: length}
			}, code)...)
		}
	}
	refuse(t, vs)
}

// TestConformanceControl: a control frame is whole and short (RFC 6455 §5.5), also between the
// frames of a message.
func TestConformanceControl(t *testing.T) {
	var vs []violation
	for _, op := range []byte{opClose, opPing, opPong} {
		for _, before := range [][]frame{nil, {started}} {
			add := func(name string, f frame) {
				name = fmt.Sprintf("opcode %d, %s, message started %v", op, name, before != nil)
				vs = append(vs, violate(name, 1002, append(slices.Clip(before), f)...))
			}
			add("no FIN", frame{op: op, more: true, payload: samplePayload(op)})
			add("no FIN, empty", frame{op: op, more: true})
			for _, size := range []int{126, 127, 65535, 65536} {
				add(fmt.Sprint(size, " bytes"), frame{op: op, payload: append(closePayload(1000, ""), make([]byte, size-2)...)})
			}
		}
	}
	refuse(t, vs)
}

// TestConformanceOrder: which data frame may follow which (RFC 6455 §5.4).
func TestConformanceOrder(t *testing.T) {
	first := func(op byte) frame { return frame{op: op, more: true, payload: []byte("a")} }
	last := func(op byte) frame { return frame{op: op, payload: []byte("a")} }
	var vs []violation
	for _, op := range []byte{opText, opBin} {
		for _, next := range []byte{opText, opBin} {
			name := fmt.Sprintf("opcode %d within a message of opcode %d", next, op)
			vs = append(vs,
				violate(name, 1002, first(op), last(next)),
				violate(name+", not the last", 1002, first(op), first(next)),
				violate(name+", after a continuation", 1002, first(op), first(opCont), last(next)),
				violate(name+", after a ping", 1002, first(op), frame{op: opPong}, last(next)))
		}
	}
	vs = append(vs,
		violate("continuation of nothing", 1002, last(opCont)),
		violate("continuation of nothing, not the last", 1002, first(opCont)),
		violate("continuation of nothing, empty", 1002, frame{op: opCont}))
	refuse(t, vs)
}

// TestConformanceReadLimit: the limit applies to a message, over all its frames, and the answer
// names it.
func TestConformanceReadLimit(t *testing.T) {
	forEachTarget(t, limitTo(4096), func(t *testing.T, s *server) {
		part := func(op byte, more bool, n int) frame {
			return frame{op: op, more: more, payload: bytes.Repeat([]byte("a"), n)}
		}
		p := s.connect(t)
		whole := wire(part(opText, false, 4096))
		inPieces := wire(part(opText, true, 4000), part(opCont, true, 96), part(opCont, false, 0))
		for _, fits := range [][]byte{whole, inPieces, whole, inPieces} { // each starts from nothing
			p.send(t, fits)
			p.expect(t, frame{op: opText, payload: bytes.Repeat([]byte("a"), 4096)})
		}
		for _, tooBig := range [][]byte{
			wire(part(opText, false, 4097)),
			wire(part(opBin, false, 4097)),
			wire(part(opText, true, 4096), part(opCont, false, 1)),
			wire(part(opText, true, 4000), frame{op: opPing}, part(opCont, true, 96), part(opCont, true, 1)),
		} {
			p := s.connect(t)
			p.send(t, tooBig)
			if reason := p.expectFail(t, 1009); !strings.Contains(reason, "4096") {
				t.Errorf("reason %q does not name the limit of 4096", reason)
			}
		}
	})
}

// refuse runs every violation on a connection of its own, on every target, and then finds the
// server in good health. It also runs it on every connection of a client.
func refuse(t *testing.T, vs []violation) {
	t.Parallel()
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		refuseOn(t, s.connect, vs)
		s.checkHealth(t)
	})
	t.Run("Dialer", func(t *testing.T) { refuseOn(t, startClient(t, websocket.Dialer{}).connect, vs) })
}

func refuseOn(t *testing.T, connect func(testing.TB) *peer, vs []violation) {
	for _, v := range vs {
		t.Run(v.name, func(t *testing.T) {
			p := connect(t)
			p.send(t, p.wire(v.frames...))
			p.expectFail(t, v.code)
			p.nc.Close()
		})
	}
}
