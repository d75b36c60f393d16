package deflate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// noise returns data that does not shrink.
func noise(seed uint64, n int) []byte {
	r, p := corpusRand(seed), make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// A peer receives messages and checks them, with a Decompressor and with compress/flate.
type peer struct {
	t    testing.TB
	f    *Decompressor
	past []byte
}

func newPeer(t testing.TB, bits int, linked bool) *peer {
	return &peer{t: t, f: NewDecompressor(bits, linked)}
}

func (q *peer) expect(compressed, want []byte) {
	q.t.Helper()
	got, err := inflateWhole(q.f, compressed)
	if err != nil || !bytes.Equal(got, want) {
		q.t.Fatalf("message of %d bytes: %v\ngot  %.100q\nwant %.100q", len(want), err, got, want)
	}
	if got, ok := flateMessage(compressed, q.past); !ok || !bytes.Equal(got, want) {
		q.t.Fatalf("message of %d bytes: compress/flate says %v, %.100q", len(want), ok, got)
	}
	if q.f.linked {
		q.past = append(q.past, want...)
		q.past = q.past[max(0, len(q.past)-q.f.window):]
	}
}

func TestDeflateRoundTrip(t *testing.T) {
	for _, c := range corpora() {
		for bits := 8; bits <= 15; bits++ {
			d := NewCompressor(bits)
			with, without := newPeer(t, bits, true), newPeer(t, bits, false)
			for _, m := range c.messages[:min(len(c.messages), 20)] {
				if z, ok := d.Append(nil, m); ok {
					with.expect(z, m)
				}
				if z, ok := Append(nil, m, bits); ok {
					without.expect(z, m)
				}
			}
		}
	}
}

// Compressing is worth it. The bounds are a little above the measured values.
func TestDeflateRatio(t *testing.T) {
	bounds := map[string]float64{
		"ticks": 0.35, "chat": 0.47, "json1k": 0.30,
		"json16k": 0.25, "text1k": 0.47, "text16k": 0.43,
	}
	for _, c := range corpora() {
		d, sum := NewCompressor(12), 0
		for _, m := range c.messages {
			if z, ok := d.Append(nil, m); ok {
				sum += len(z)
			} else {
				sum += len(m)
			}
		}
		if ratio := float64(sum) / float64(c.size()); ratio > bounds[c.name] {
			t.Errorf("%s: ratio %.3f, want at most %.3f", c.name, ratio, bounds[c.name])
		}
	}
}

func TestDeflateSizes(t *testing.T) {
	text := textMessages(1, 200_000)[0]
	rough := noise(1, 200_000)
	for _, bits := range []int{8, 12, 15} {
		for _, source := range [][]byte{text, rough, make([]byte, 200_000)} {
			d := NewCompressor(bits)
			with, without := newPeer(t, bits, true), newPeer(t, bits, false)
			for _, n := range []int{0, 1, 2, 3, 4, 5, 257, 258, 259, 260, 1024, 1025,
				32768, 32769, 65535, 65536, 98305, 131071, 200_000, 7} {
				// AppendPiece sends noise too.
				with.expect(d.AppendPiece(nil, source[:n], true), source[:n])
				if z, ok := Append(nil, source[:n], bits); ok {
					without.expect(z, source[:n])
				}
			}
		}
	}
}

// A message that does not shrink leaves dst and the window as they were. The sizes make it go
// through the window in every way there is.
func TestDeflateTakesBack(t *testing.T) {
	for _, bits := range []int{8, 12, 15} {
		for _, n := range []int{0, 1, 5, 60, 300, 1100, 5000, 40_000, 70_000, 140_000} {
			d, q := NewCompressor(bits), newPeer(t, bits, true)
			for i, m := range tickMessages(60) {
				if i%3 == 1 {
					dst := append(make([]byte, 0, 10), "before"...)
					out, ok := d.Append(dst, noise(uint64(i), n))
					if ok || string(out) != "before" {
						t.Fatalf("%d bytes of noise became %d, %v", n, len(out), ok)
					}
				}
				z, ok := d.Append([]byte("before"), m)
				if ok {
					q.expect(z[len("before"):], m)
				}
				if i > 30 && !ok {
					t.Fatalf("window %d, noise %d: message %d did not shrink", bits, n, i)
				}
			}
		}
	}
}

func TestDeflatePieces(t *testing.T) {
	r, text := corpusRand(9), textMessages(1, 200_000)[0]
	for _, bits := range []int{8, 10, 12, 15} {
		for _, linked := range []bool{true, false} {
			d, q := NewCompressor(bits), newPeer(t, bits, linked)
			for i := range 42 {
				m := bytes.Clone(text[r.IntN(50_000):][:1+r.IntN(1<<(4+i%14))])
				if i%5 == 0 {
					m = append(m, noise(uint64(i), 1+r.IntN(3000))...)
				}
				if !linked {
					d = Borrow(bits)
				}
				var z []byte
				for rest := m; ; {
					n := min(r.IntN(1+r.IntN(1+len(m))), len(rest))
					z = d.AppendPiece(z, rest[:n], n == len(rest))
					if rest = rest[n:]; len(rest) == 0 {
						break
					}
				}
				if len(m) > 0 && z == nil {
					t.Fatal("nothing was written")
				}
				q.expect(z, m)
				if !linked {
					d.Release()
				}
			}
		}
	}
}

// The output for a message that refers to nothing before it depends on that message only.
func TestDeflateForgets(t *testing.T) {
	messages := chatMessages(20)
	piecewise := func(m []byte) []byte {
		d := Borrow(12)
		defer d.Release()
		return d.AppendPiece(d.AppendPiece(nil, m[:50], false), m[50:], true)
	}
	var alone, pieces [][]byte
	for _, m := range messages {
		z, _ := Append(nil, m, 12)
		alone = append(alone, z)
		pieces = append(pieces, piecewise(m))
	}
	for i, m := range slices.Backward(messages) {
		if z, _ := Append(nil, m, 12); !bytes.Equal(z, alone[i]) {
			t.Errorf("message %d differs the second time", i)
		}
		if !bytes.Equal(piecewise(m), pieces[i]) {
			t.Errorf("message %d in pieces differs the second time", i)
		}
	}
}

// A distance of the window's size is used, and a distance of one byte more is not. So a peer that
// keeps the window reads everything.
func TestDeflateReach(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		for _, beyond := range []int{0, 1} {
			m := make([]byte, 1<<bits+beyond+100)
			copy(m, noise(3, 100))
			copy(m[1<<bits+beyond:], m[:100])
			d, q := NewCompressor(bits), newPeer(t, bits, true)
			z := d.AppendPiece(nil, m, true)
			q.expect(z, m)
			if matched := len(z) < 200; matched != (beyond == 0) {
				t.Errorf("window %d: distance %d used: %v", 1<<bits, 1<<bits+beyond, matched)
			}
		}
	}
}

func TestDeflateBlockTypes(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    []byte
		kind byte
	}{
		{"short", []byte("Hello"), blockFixed},
		{"repetitive", make([]byte, 1000), blockFixed},
		{"text", textMessages(1, 2000)[0], blockDynamic},
		{"two bytes by turns", bytes.Repeat([]byte("ab"), 40_000), blockDynamic},
		{"literals only", []byte(fmt.Sprintf("%x", noise(4, 500))), blockDynamic},
		{"noise", noise(5, 500), blockStored},
	} {
		z := NewCompressor(12).AppendPiece(nil, tt.p, true)
		if kind := z[0] >> 1 & 3; kind != tt.kind {
			t.Errorf("%s: block of type %d, want %d", tt.name, kind, tt.kind)
		}
		newPeer(t, 12, true).expect(z, tt.p)
	}
}

func TestDeflateVectors(t *testing.T) {
	// These are the bytes of RFC 7692 section 7.2.3.1 and 7.2.3.6.
	if z := NewCompressor(15).AppendPiece(nil, []byte("Hello"), true); !bytes.Equal(z, []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}) {
		t.Errorf("Hello: % x", z)
	}
	if z := NewCompressor(15).AppendPiece(nil, nil, true); !bytes.Equal(z, []byte{0x00}) {
		t.Errorf("empty message: % x", z)
	}
}

// Both directions together keep at most 15 KB between messages.
func TestDeflateMemory(t *testing.T) {
	d, f := NewCompressor(12), NewDecompressor(12, true)
	state := func() int { return d.Size() + f.Size() }
	send := func(m []byte) {
		if z, ok := d.Append(nil, m); ok {
			inflateWhole(f, z)
		}
	}
	for _, m := range tickMessages(5) {
		send(m)
	}
	if n := state(); n > 6<<10 {
		t.Errorf("%d bytes after five short messages", n)
	}
	for _, c := range corpora() {
		for _, m := range c.messages[:40] {
			send(m)
		}
	}
	if n := state(); n > 4096*5/4+4096+4096 {
		t.Errorf("%d bytes after long messages", n)
	}
	if f.scratch != nil || f.tables != nil || f.in != nil {
		t.Error("a Decompressor holds more than its history between messages")
	}
}

func TestDeflateAllocs(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector makes sync.Pool forget")
	}
	d, dst, i := NewCompressor(12), make([]byte, 0, 64<<10), 0
	var messages [][]byte
	for _, c := range corpora() {
		messages = append(messages, c.messages[:20]...)
	}
	next := func() []byte {
		i++
		return messages[i%len(messages)]
	}
	for name, compress := range map[string]func(){
		"linked": func() { d.Append(dst, next()) },
		"alone":  func() { Append(dst, next(), 12) },
		"pieces": func() {
			d := Borrow(12)
			d.AppendPiece(dst, next(), false)
			d.AppendPiece(dst, next(), true)
			d.Release()
		},
	} {
		for range 2 * len(messages) {
			compress()
		}
		if n := testing.AllocsPerRun(2*len(messages), compress); n != 0 {
			t.Errorf("%s: %v allocations per message", name, n)
		}
	}
}

// FuzzDeflate cuts some messages from data, and sends them to one peer, some whole and some in
// pieces.
func FuzzDeflate(f *testing.F) {
	f.Add([]byte("the cat, the dog, the fox"), uint8(8), uint64(1))
	f.Add(bytes.Repeat([]byte("a"), 1000), uint8(9), uint64(2))
	f.Add(textMessages(1, 3000)[0], uint8(12), uint64(3))
	f.Add(noise(6, 3000), uint8(10), uint64(4))
	f.Add(orderMessages(1, 20)[0], uint8(15), uint64(5))
	f.Fuzz(func(t *testing.T, data []byte, bits uint8, seed uint64) {
		bits = 8 + bits&7
		r := rand.New(rand.NewPCG(seed, 1))
		d := NewCompressor(int(bits))
		with, without := newPeer(t, int(bits), true), newPeer(t, int(bits), false)
		for len(data) > 0 {
			// Long messages are rare. Now and then one is repeated many times over.
			m := data[:1+r.IntN(len(data))]
			data = data[len(m):]
			if r.IntN(8) == 0 {
				m = bytes.Repeat(m, 1+r.IntN(1+70_000/len(m)))
			}
			if z, ok := Append(nil, m, int(bits)); ok {
				without.expect(z, m)
			}
			if r.IntN(3) > 0 {
				if z, ok := d.Append(nil, m); ok {
					with.expect(z, m)
				}
				continue
			}
			cut := r.IntN(len(m) + 1)
			z := d.AppendPiece(nil, m[:cut], false)
			with.expect(d.AppendPiece(z, m[cut:], true), m)
		}
	})
}
