package conformance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/plainsocket/websocket"
)

// This file tests windows and contexts, of both sides in both roles. Each is as agreed, to the
// byte.

// TestConformancePeersWindow: the window for the peer's messages is as agreed, to the byte, across
// messages. Without takeover it ends at the start of the message.
func TestConformancePeersWindow(t *testing.T) {
	t.Parallel()
	for bits := 8; bits <= 15; bits++ {
		s := targets[0].start(t, compression(websocket.Compression{WindowBits: 15}))
		offer := fmt.Sprintf("permessage-deflate; client_max_window_bits=%d", bits)
		s.connectDeflate(t, offer).useWindow(t, bits)
		s.connectDeflate(t, offer+"; client_no_context_takeover").useNoContext(t, bits)
		if bits == 8 {
			continue // no client of ours asks for that
		}
		with := websocket.Compression{WindowBits: bits}
		startClient(t, websocket.Dialer{Compression: &with}).connectDeflate(t, "").useWindow(t, bits)
		with.NoContextTakeover = true
		startClient(t, websocket.Dialer{Compression: &with}).connectDeflate(t, "").useNoContext(t, bits)
	}
}

// windowNoise returns as many bytes as the largest window holds, and some more.
var windowNoise = sync.OnceValue(func() []byte {
	r := rand.New(rand.NewPCG(8, 15))
	noise := make([]byte, 1<<15+10)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	return noise
})

func compressed(w *bitWriter) frame { return frame{op: opBin, rsv: 4, payload: w.message()} }

// useWindow refers back to the first byte of the window, and then to the byte before it.
func (p *deflatePeer) useWindow(t *testing.T, bits int) {
	t.Helper()
	noise, size := windowNoise(), 1<<bits
	p.send(t, p.wire(compressed(new(bitWriter).stored(noise[:size+10]))))
	p.expectInflated(t, opBin, noise[:size+10])
	p.send(t, p.wire(compressed(new(bitWriter).reference(size))))
	p.expectInflated(t, opBin, noise[10:13])
	if bits < 15 { // more cannot be written down
		p.send(t, p.wire(compressed(new(bitWriter).reference(size+1))))
		p.expectFail(t, 1007)
	}
}

// useNoContext refers to all of the window within a message, and then to the last byte of the
// message before.
func (p *deflatePeer) useNoContext(t *testing.T, bits int) {
	t.Helper()
	noise, size := windowNoise(), 1<<bits
	p.send(t, p.wire(compressed(new(bitWriter).stored(noise[:size+10])), compressed(new(bitWriter).stored(noise[:size]).reference(size))))
	p.expectInflated(t, opBin, noise[:size+10])
	p.expectInflated(t, opBin, append(bytes.Clone(noise[:size]), noise[:3]...))
	p.send(t, p.wire(compressed(new(bitWriter).reference(1))))
	p.expectFail(t, 1007)
}

// TestConformanceOwnWindow: the library's own window is as agreed, and it is used. Bytes that come
// again within the window are referred to, and no reference reaches beyond it. The same holds for
// takeover.
func TestConformanceOwnWindow(t *testing.T) {
	t.Parallel()
	most := websocket.Compression{WindowBits: 15}
	s, c := targets[0].start(t, compression(most)), startClient(t, websocket.Dialer{Compression: &most})
	for bits := 8; bits <= 15; bits++ {
		for _, context := range []bool{true, false} {
			t.Run(fmt.Sprintf("Server, %d bits, context %v", bits, context), func(t *testing.T) {
				offer := fmt.Sprintf("permessage-deflate; server_max_window_bits=%d", bits)
				if !context {
					offer += "; server_no_context_takeover"
				}
				judgeWindow(t, 1<<bits, context, func() *deflatePeer { return s.connectDeflate(t, offer) })
			})
			t.Run(fmt.Sprintf("Dialer, %d bits, context %v", bits, context), func(t *testing.T) {
				demand := fmt.Sprintf("client_max_window_bits=%d", bits)
				if !context {
					demand += "; client_no_context_takeover"
				}
				judgeWindow(t, 1<<bits, context, func() *deflatePeer { return c.connectDeflate(t, demand) })
			})
		}
	}
}

// judgeWindow repeats noise after periods around size.
func judgeWindow(t *testing.T, size int, context bool, connect func() *deflatePeer) {
	t.Helper()
	for _, period := range []int{size / 2, size * 3 / 4, size, size + 1, size + size/4} {
		far, back := connect().repeatNoise(t, period, size)
		switch inside := period <= size*3/4; {
		case far > size || back && !context:
			t.Errorf("bytes that come again after %d: a distance of %d, into earlier messages %v", period, far, back)
		case inside && (far < period || back != context):
			t.Errorf("bytes that come again after %d: the farthest distance is %d, into earlier messages %v", period, far, back)
		}
	}
}

// repeatNoise sends noise that comes again after period bytes, in a message of a few windows and
// then in several small ones, and returns how far the echoes reached.
func (p *deflatePeer) repeatNoise(t *testing.T, period, size int) (far int, back bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(period), uint64(size)))
	noise := make([]byte, period)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	noise = bytes.Repeat(noise, 6*size/period+2)
	sizes := append([]int{3 * size}, slices.Repeat([]int{size / 4}, 8)...)
	for i, n := range sizes {
		p.send(t, p.wire(frame{op: opBin, payload: noise[:n]}))
		f, err := p.readExtended()
		if err != nil || f.op != opBin || f.more {
			t.Fatalf("message %d: %+v, %v", i, f.op, err)
		}
		got := f.payload
		if f.rsv == 4 {
			var z puff
			if got, err = z.inflate(p.history, f.payload); err != nil {
				t.Fatal(err)
			}
			p.history = append(p.history, got...)
			far, back = max(far, z.far), back || z.back
		}
		if !bytes.Equal(got, noise[:n]) {
			t.Fatalf("message %d: %d bytes that differ from the %d sent", i, len(got), n)
		}
		noise = noise[n:]
	}
	return far, back
}
