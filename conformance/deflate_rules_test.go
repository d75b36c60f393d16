package conformance

import (
	"bytes"
	"compress/flate"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/plainsocket/websocket"
)

// This file tests the rules of RFC 7692 on a connection that agreed on it: the frames that a peer
// may not send, and odd ones that it may.

// takeoverOffer leaves the client its context, as none of the suite's offers does.
const takeoverOffer = "permessage-deflate; client_max_window_bits"

func compression(c websocket.Compression) func(*websocket.Upgrader) {
	return func(u *websocket.Upgrader) { u.Compression = &c }
}

// refuseDeflated is refuse on connections that agreed on compression.
func refuseDeflated(t *testing.T, vs []violation) {
	t.Parallel()
	forEachTarget(t, compression(websocket.Compression{}), func(t *testing.T, s *server) {
		refuseOn(t, func(t testing.TB) *peer { return s.connectDeflate(t, takeoverOffer).peer }, vs)
		s.checkHealth(t)
	})
	t.Run("Dialer", func(t *testing.T) {
		c := startClient(t, websocket.Dialer{Compression: &websocket.Compression{}})
		refuseOn(t, func(t testing.TB) *peer { return c.connectDeflate(t, "").peer }, vs)
	})
}

// TestConformanceDeflateRSV: RSV1 is allowed on the first frames of data messages only (section
// 6.1). RSV2 and RSV3 are still never allowed.
func TestConformanceDeflateRSV(t *testing.T) {
	var vs []violation
	for rsv := byte(1); rsv < 8; rsv++ {
		for op := range byte(16) {
			if f := (frame{op: op, rsv: rsv, payload: hello}); rsv != 4 || op != opText && op != opBin {
				vs = append(vs, violate(fmt.Sprintf("RSV %03b opcode %d", rsv, op), 1002, f))
			}
		}
		for _, first := range []byte{0, 4} { // within a message that is compressed, and within one that is not
			for _, op := range []byte{opCont, opPing, opPong, opClose} {
				name := fmt.Sprintf("RSV %03b opcode %d within a message of RSV %03b", rsv, op, first)
				start := frame{op: opBin, rsv: first, more: true, payload: hello[:3]}
				vs = append(vs, violate(name, 1002, start, frame{op: op, rsv: rsv}))
			}
		}
	}
	refuseDeflated(t, vs)
}

// TestConformanceDeflateCorrupt sends data that is not DEFLATE. It is refused with 1007, also in
// two frames, and also if good messages came before it.
func TestConformanceDeflateCorrupt(t *testing.T) {
	var vs []violation
	for _, m := range corruptMessages() {
		half := len(m.payload) / 2
		vs = append(vs,
			violate(m.name, 1007, frame{op: opBin, rsv: 4, payload: m.payload}),
			violate(m.name+", in two frames", 1007, frame{op: opBin, rsv: 4, more: true, payload: m.payload[:half]}, frame{op: opCont, payload: m.payload[half:]}))
	}
	refuseDeflated(t, vs)
}

// TestConformanceDeflateJudge shows that the judge accepts the odd messages and refuses most of the
// corrupt ones. The judge does not notice sets of codes that are larger or smaller than they should
// be, nor symbols that must not be there.
func TestConformanceDeflateJudge(t *testing.T) {
	lenient := []string{"too many", "too few", "no codes", "no end", "more lengths", "287", "288", "31", "32", "nothing to repeat", "distance symbol", "length symbol"}
	for _, m := range corruptMessages() {
		if slices.ContainsFunc(lenient, func(s string) bool { return strings.HasPrefix(m.name, s) }) {
			continue
		}
		if got, err := new(puff).inflate([]byte("before"), m.payload); err == nil {
			t.Errorf("%s: %q", m.name, got)
		}
	}
	for _, tt := range []struct {
		payload []byte
		far     int
		back    bool
	}{
		{hello, 0, false},
		{[]byte("\xf2\x00\x11\x00\x00"), 5, true}, // RFC 7692 §7.2.3.2
		{new(bitWriter).stored([]byte("Hello")).reference(5).message(), 5, false},
		{new(bitWriter).stored([]byte("Hello")).reference(6).message(), 6, true},
		{new(bitWriter).stored(make([]byte, 40_000)).reference(32768).message(), 32768, false},
	} {
		var z puff
		if _, err := z.inflate([]byte("Hello"), tt.payload); err != nil || z.far != tt.far || z.back != tt.back {
			t.Errorf("%.20x: %v, distance %d, into earlier messages %v; want %d, %v", tt.payload, err, z.far, z.back, tt.far, tt.back)
		}
	}
}

// TestConformanceDeflateOdd sends messages that are odd and right, each after all the others. After
// each comes the RFC's "Hello" that refers five bytes back: BFINAL ends a block, not the context
// (section 7.2.3.4).
func TestConformanceDeflateOdd(t *testing.T) {
	t.Parallel()
	forEachTarget(t, compression(websocket.Compression{}), func(t *testing.T, s *server) {
		p := s.connectDeflate(t, takeoverOffer)
		for _, m := range oddMessages() {
			for _, cut := range []int{0, 1, len(m.payload)} {
				p.send(t, p.wire(frame{op: opText, rsv: 4, more: true, payload: m.payload[:cut]}, frame{op: opCont, payload: m.payload[cut:]}))
				p.expectInflated(t, opText, []byte(m.says))
				p.send(t, p.wire(frame{op: opBin, rsv: 4, payload: hello}, frame{op: opText, payload: []byte("not compressed")},
					frame{op: opBin, rsv: 4, payload: []byte("\xf2\x00\x11\x00\x00")}))
				p.expectInflated(t, opBin, []byte("Hello"))
				p.expectInflated(t, opText, []byte("not compressed")) // and so in no window
				p.expectInflated(t, opBin, []byte("Hello"))
			}
		}
	})
}

// TestConformanceDeflateUTF8: text is checked after inflating, as soon as it is there. A wrong byte
// fails the connection although the message goes on.
func TestConformanceDeflateUTF8(t *testing.T) {
	block := func(s string) []byte { return new(bitWriter).stored([]byte(s)).message() }
	part := func(s string) []byte { return new(bitWriter).stored([]byte(s)).b }
	first := func(s string) frame { return frame{op: opText, rsv: 4, more: true, payload: part(s)} }
	last := func(s string) frame { return frame{op: opCont, payload: block(s)} }
	var vs []violation
	for _, wrong := range []string{"\xff", "\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "fine until \xfe"} {
		vs = append(vs,
			violate(fmt.Sprintf("%q", wrong), 1007, frame{op: opText, rsv: 4, payload: block(wrong)}),
			violate(fmt.Sprintf("%q, and no end", wrong), 1007, first(wrong)),
			violate(fmt.Sprintf("%q in the second frame", wrong), 1007, first("fine"), last(wrong)))
	}
	for _, whole := range []string{"\u00df", "\u20ac", "\U0001f600"} {
		vs = append(vs, violate(fmt.Sprintf("%q cut off", whole), 1007, frame{op: opText, rsv: 4, payload: block(whole[:len(whole)-1])}),
			violate(fmt.Sprintf("%q cut off in two frames", whole), 1007, first(whole[:1]), last(whole[1:len(whole)-1])))
	}
	t.Run("refused", func(t *testing.T) { refuseDeflated(t, vs) })
	forEachTarget(t, compression(websocket.Compression{}), func(t *testing.T, s *server) {
		p := s.connectDeflate(t, takeoverOffer)
		for _, whole := range []string{"\u00df", "\u20ac", "\U0001f600"} {
			for cut := 1; cut < len(whole); cut++ { // between frames and between blocks
				p.send(t, wire(first(whole[:cut]), frame{op: opPing}, last(whole[cut:])))
				p.expect(t, frame{op: opPong})
				p.expectInflated(t, opText, []byte(whole))
			}
		}
		p.send(t, wire(frame{op: opBin, rsv: 4, payload: block("\xff\xfe")}))
		p.expectInflated(t, opBin, []byte("\xff\xfe"))
	})
}

// TestConformanceDeflateBomb: the read limit applies to the inflated size. The test sends bombs of
// 1 GiB in 1.1 MB, in one frame and in a thousand frames that each begin well, and messages that
// are just too large.
func TestConformanceDeflateBomb(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	w.Write(make([]byte, 1<<20))
	w.Flush()
	mebibyte := b.Bytes() // blocks that refer to nothing before them, so they can follow each other
	const limit = 3 << 20
	zeros := func(more int) []byte {
		return slices.Concat(bytes.Repeat(mebibyte, 3), new(bitWriter).stored(make([]byte, more)).message())
	}
	var thousand []byte
	for i := range 1000 {
		f := frame{op: opCont, more: i < 999, payload: mebibyte}
		if i == 0 {
			f.op, f.rsv = opBin, 4
		}
		thousand = f.append(thousand)
	}
	configure := func(u *websocket.Upgrader) { u.Compression, u.ReadLimit = &websocket.Compression{}, limit }
	forEachTarget(t, configure, func(t *testing.T, s *server) {
		p := s.connectDeflate(t, takeoverOffer)
		for range 2 { // each starts from nothing
			p.send(t, wire(frame{op: opBin, rsv: 4, payload: zeros(0)}))
			p.expectInflated(t, opBin, make([]byte, limit))
		}
		for _, bomb := range [][]byte{
			wire(frame{op: opBin, rsv: 4, payload: bytes.Repeat(mebibyte, 1000)}),
			thousand,
			wire(frame{op: opBin, rsv: 4, payload: zeros(1)}),
			wire(frame{op: opText, rsv: 4, more: true, payload: bytes.Repeat(mebibyte, 3)}, frame{op: opPing}, frame{op: opCont, more: true, payload: new(bitWriter).stored([]byte("a")).b}),
		} {
			p := s.connectDeflate(t, takeoverOffer)
			go p.nc.Write(bomb) // the server need not read all of it
			if reason := p.expectFail(t, 1009); !strings.Contains(reason, strconv.Itoa(limit)) {
				t.Errorf("reason %q does not name the limit of %d", reason, limit)
			}
			p.nc.Close()
		}
		s.checkHealth(t)
	})
}

// TestConformanceDeflatePings sends a message in frames of one byte each, with a ping after every
// one.
func TestConformanceDeflatePings(t *testing.T) {
	t.Parallel()
	forEachTarget(t, compression(websocket.Compression{}), func(t *testing.T, s *server) {
		p := s.connectDeflate(t, takeoverOffer)
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, 6)
		text := deflateCorpora()[0].message(4000, 1) // not larger than the window
		w.Write(text)
		w.Flush()
		payload := bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
		var all []byte
		for i := range payload {
			f := frame{op: opCont, more: i < len(payload)-1, payload: payload[i : i+1]}
			if i == 0 {
				f.op, f.rsv = opText, 4
			}
			all = append(f.append(all), wire(frame{op: opPing, payload: strconv.AppendInt(nil, int64(i), 10)})...)
		}
		go p.nc.Write(all)
		for i := range len(payload) - 1 {
			p.expect(t, frame{op: opPong, payload: strconv.AppendInt(nil, int64(i), 10)})
		}
		p.expectInflated(t, opText, text)
	})
}
