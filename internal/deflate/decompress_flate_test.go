package deflate

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// The tests of this file compare a Decompressor with compress/flate, on valid messages and on
// others.

// flateMessage decompresses a message with compress/flate. past is the data before the message. A
// final block ends a stream, and the next stream follows. ok is false if the message is not
// valid.
func flateMessage(compressed, past []byte) (p []byte, ok bool) {
	// Behind the tail comes a marker, a final stored block. If it is read as such, the message
	// ended with the tail. Something else may swallow the tail and one marker, but not markers of
	// both lengths.
	for _, marker := range []string{"\x01\x02\x00\xfd\xff}{", "\x01\x03\x00\xfc\xff}{}"} {
		if p, ok = flateStreams(compressed, past, marker); !ok {
			return nil, false
		}
	}
	return p, true
}

func flateStreams(compressed, past []byte, marker string) (p []byte, ok bool) {
	in := bytes.NewReader([]byte(string(compressed) + "\x00\x00\xff\xff" + marker))
	dict := bytes.Clone(past)
	// A stream may end with the message, or with the tail.
	for in.Len() != len(marker)+4 && in.Len() != len(marker) {
		stream, err := io.ReadAll(flate.NewReaderDict(in, dict))
		if err != nil {
			return nil, false
		}
		p, dict = append(p, stream...), append(dict, stream...)
		if in.Len() == 0 {
			return bytes.CutSuffix(p, []byte(marker[5:]))
		}
		if in.Len() < len(marker)+4 && in.Len() != len(marker) {
			return nil, false
		}
	}
	return p, true
}

// inflateBoth reads a message with compress/flate, and with a Decompressor, whole and in pieces,
// and checks that they agree. past is the data before the message.
func inflateBoth(t testing.TB, compressed, past []byte, bits int, r *rand.Rand) {
	t.Helper()
	begin := func() *Decompressor {
		f := NewDecompressor(bits, true)
		f.hist.add(past, f.window)
		return f
	}
	past = past[max(0, len(past)-1<<bits):]
	want, ok := flateMessage(compressed, past)
	got, err := inflateWhole(begin(), compressed)
	if err != nil && strings.Contains(err.Error(), "beyond the window") && bits < 15 {
		ok = false // compress/flate knows no smaller window
	}
	if (err == nil) != ok {
		t.Fatalf("compress/flate says %v, the Decompressor %v: %x", ok, err, compressed)
	}
	if ok && !bytes.Equal(got, want) {
		t.Fatalf("got  %x\nwant %x\nfor  %x", got, want, compressed)
	}
	size := 1 << r.IntN(10)
	sizes := func() int { return r.IntN(1 + size) }
	again, err2 := inflatePieces(begin(), compressed, sizes, sizes)
	if err == nil && !bytes.Equal(again, got) {
		t.Fatalf("in pieces:\ngot  %x\nwant %x\nfor  %x", again, got, compressed)
	}
	if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
		t.Fatalf("whole: %v, in pieces: %v: %x", err, err2, compressed)
	}
}

// flateSamples returns compressed messages of all kinds, by compress/flate at several levels and
// by a Compressor.
func flateSamples() (samples [][]byte) {
	plain := [][]byte{nil, []byte("a"), []byte("Hello"), make([]byte, 5000), noise(8, 300)}
	for _, c := range corpora() {
		plain = append(plain, c.messages[0][:min(len(c.messages[0]), 3000)])
	}
	for i, p := range plain {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 6, 9} {
			var b bytes.Buffer
			w, _ := flate.NewWriter(&b, level)
			w.Write(p[:len(p)/2])
			if i%2 == 0 {
				w.Flush()
			}
			w.Write(p[len(p)/2:])
			if i%3 == 0 {
				w.Close()
			} else {
				w.Flush()
				b.Truncate(b.Len() - 4)
			}
			samples = append(samples, b.Bytes())
		}
		samples = append(samples, NewCompressor(15).AppendPiece(nil, p, true))
	}
	return samples
}

// A Decompressor and compress/flate agree about damaged messages.
func TestInflateDamaged(t *testing.T) {
	r, past := corpusRand(12), textMessages(1, 2000)[0]
	samples := flateSamples()
	for _, z := range samples {
		inflateBoth(t, z, past, 15, r)
	}
	rounds := 6000
	if testing.Short() || raceEnabled() {
		rounds = 600
	}
	for range rounds {
		z := bytes.Clone(samples[r.IntN(len(samples))])
		for range 1 + r.IntN(3) {
			// Most can go wrong in headers, so they are damaged more often.
			k := r.IntN(1 + r.IntN(1+r.IntN(len(z)+1)))
			switch {
			case k >= len(z):
				z = append(z, samples[r.IntN(len(samples))]...)
			case r.IntN(4) == 0:
				z = append(z[:k], z[k+1:]...)
			default:
				z[k] ^= 1 << r.IntN(8)
			}
		}
		inflateBoth(t, z, past, 9+r.IntN(7), r)
	}
}

func FuzzInflate(f *testing.F) {
	for i, z := range flateSamples() {
		if len(z) < 1000 {
			f.Add(z, uint16(i*11), uint8(7), uint64(i))
		}
	}
	past := textMessages(1, 40_000)[0]
	f.Fuzz(func(t *testing.T, z []byte, before uint16, bits uint8, seed uint64) {
		if len(z) > 4096 {
			return // nothing new, but slow
		}
		r := rand.New(rand.NewPCG(seed, 2))
		inflateBoth(t, z, past[:int(before)%len(past)], 8+int(bits&7), r)
	})
}
