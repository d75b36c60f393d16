package deflate

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"runtime/debug"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func raceEnabled() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// unhex reads bytes as RFCs print them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	p, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// inflateWhole reads a message that has arrived as a whole.
func inflateWhole(f *Decompressor, compressed []byte) ([]byte, error) {
	f.Feed(compressed, true)
	p, status, err := f.Append(nil, math.MaxInt)
	if (status == Done) != (err == nil) {
		panic("neither complete nor failed")
	}
	return p, err
}

// inflatePieces reads a message that arrives in pieces of any size, into buffers of any size,
// which are overwritten after every call.
func inflatePieces(f *Decompressor, compressed []byte, pieces, buffers func() int) ([]byte, error) {
	var message []byte
	for rest := compressed; ; {
		n := min(pieces(), len(rest))
		piece := bytes.Clone(rest[:n])
		rest = rest[n:]
		f.Feed(piece, len(rest) == 0)
		status := Full
		for status == Full {
			size := buffers()
			var p []byte
			var err error
			p, status, err = f.Append(make([]byte, 3, 3+size), size)
			if err != nil {
				return nil, err
			}
			if len(p) > 3+size || status == Full && len(p) < 3+size {
				panic("the buffer was not used as promised")
			}
			message = append(message, p[3:]...)
			clear(p)
		}
		clear(piece)
		if status == Done {
			return message, nil
		}
	}
}

func TestInflateVectors(t *testing.T) {
	type message struct{ compressed, want string }
	for _, tt := range []struct {
		name     string
		messages []message
	}{
		{"RFC 7692 section 7.2.3.1", []message{{"f2 48 cd c9 c9 07 00", "Hello"}}},
		{"section 7.2.3.2", []message{{"f2 48 cd c9 c9 07 00", "Hello"}, {"f2 00 11 00 00", "Hello"}}},
		{"section 7.2.3.2, no reference", []message{{"f2 48 cd c9 c9 07 00", "Hello"}, {"f2 48 cd c9 c9 07 00", "Hello"}}},
		{"section 7.2.3.3", []message{{"00 05 00 fa ff 48 65 6c 6c 6f 00", "Hello"}}},
		{"section 7.2.3.4", []message{{"f3 48 cd c9 c9 07 00 00", "Hello"}}},
		{"section 7.2.3.4, then a reference", []message{{"f3 48 cd c9 c9 07 00 00", "Hello"}, {"f2 00 11 00 00", "Hello"}}},
		{"section 7.2.3.5", []message{{"f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "Hello"}}},
		{"section 7.2.3.6", []message{{"00", ""}, {"f2 48 cd c9 c9 07 00", "Hello"}}},
		{"empty, fixed code", []message{{"02 00", ""}, {"f2 48 cd c9 c9 07 00", "Hello"}}},
		{"no bytes at all", []message{{"", ""}, {"f2 48 cd c9 c9 07 00", "Hello"}, {"", ""}, {"f2 00 11 00 00", "Hello"}}},
		{"final block at the end", []message{{"f3 48 cd c9 c9 07 00", "Hello"}, {"f2 00 11 00 00", "Hello"}}},
		{"final blocks in the middle", []message{{"f3 48 cd c9 c9 07 00 f3 48 cd c9 c9 07 00 03 00 00", "HelloHello"}}},
		{"reference over a final block", []message{{"f3 48 cd c9 c9 07 00 f2 00 11 00 00", "HelloHello"}}},
		{"final stored block", []message{{"01 05 00 fa ff 48 65 6c 6c 6f", "Hello"}}},
		{"final block of a flush", []message{{"4a 04 04", "a"}}},
		{"a stored block that takes the tail", []message{{"00 04 00 fb ff", "\x00\x00\xff\xff"}}},
	} {
		// Each is read byte by byte, and cut at every place.
		for cut := range 20 {
			f := NewDecompressor(15, true)
			for _, m := range tt.messages {
				first := cut
				pieces := func() int { n := first; first = 100; return n }
				if cut == 0 {
					pieces = func() int { return 1 }
				}
				got, err := inflatePieces(f, unhex(t, m.compressed), pieces, func() int { return 1 + cut })
				if err != nil || string(got) != m.want {
					t.Errorf("%s, cut at %d: %q, %v", tt.name, cut, got, err)
				}
			}
		}
	}
}

func TestInflateCorrupt(t *testing.T) {
	for _, tt := range []struct{ compressed, want string }{
		{"f2 48 cd c9 c9 07", "does not end where a block ends"},
		{"f2 48 cd c9 c9", "does not end where a block ends"},
		{"f2 48 cd c9 c9 07 00 00 00 ff ff", "does not end where a block ends"}, // the tail was sent
		{"00 05 00 fa ff 48 65 6c 6c", "does not end where a block ends"},       // Hell 00 is whole, then 00 ff ff
		{"00 05 00 fa fe", "length 5 does not match its complement"},
		{"07", "block of type 3"},
		{"fc ff", "288 literals and lengths"},
		{"ec 1e", "31 distances"},
		{"04 00 00 00 00 00", "not in the code of code lengths"},
		{"04 c0 81 00 00 00 00 00 10 fe ab 01", "a block without an end"},
		{"62 62 06 21 00", "distance 3 reaches before"},
	} {
		f := NewDecompressor(15, true)
		_, err := inflateWhole(f, unhex(t, tt.compressed))
		if !errors.As(err, new(corruptError)) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.compressed, err, tt.want)
			continue
		}
		if _, again := inflateWhole(f, unhex(t, "f2 48 cd c9 c9 07 00")); again != err {
			t.Errorf("%s: then %v", tt.compressed, again)
		}
		if _, ok := flateMessage(unhex(t, tt.compressed), nil); ok {
			t.Errorf("%s: compress/flate reads it", tt.compressed)
		}
	}
}

// fixedBlock is a message of one block, made by hand.
func fixedBlock(src []byte, seqs ...sequence) []byte {
	w := new(blockWriter)
	w.writeSequences(blockFixed, fixedCode, src, seqs, 9*len(src)+100)
	w.flushMark()
	return w.out
}

// The longest distance is the window's size, within a message and over messages.
func TestInflateWindow(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		window := 1 << bits
		past := noise(7, window+10)
		back := func(dist int) []byte {
			return fixedBlock(make([]byte, 3), sequence{0, 3, uint16(dist)})
		}
		read := func(messages ...[]byte) (p []byte, err error) {
			f := NewDecompressor(bits, true)
			for _, m := range messages {
				if p, err = inflateWhole(f, m); err != nil {
					return nil, err
				}
			}
			return p, nil
		}
		stored := new(blockWriter)
		stored.writeStored(past)
		whole := append(bytes.Clone(stored.out), back(window)...) // one message
		stored.flushMark()

		p, err := read(whole)
		if err != nil || !bytes.Equal(p[len(past):], past[10:13]) {
			t.Errorf("window %d: distance %d within a message: %v", window, window, err)
		}
		p, err = read(stored.out, back(window))
		if err != nil || !bytes.Equal(p, past[10:13]) {
			t.Errorf("window %d: distance %d to another message: %v", window, window, err)
		}
		if bits == 15 {
			continue // no longer distance can be written
		}
		want := "beyond the window"
		whole = append(whole[:5+len(past):5+len(past)], back(window+1)...)
		if _, err = read(whole); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("window %d: distance %d within a message: %v", window, window+1, err)
		}
		if _, err = read(stored.out, back(window+1)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("window %d: distance %d to another message: %v", window, window+1, err)
		}
	}
}

// If messages are not linked, none can refer to the one before.
func TestInflateUnlinked(t *testing.T) {
	for _, pieces := range []int{1, 100} {
		f := NewDecompressor(15, false)
		every := func() int { return pieces }
		for range 2 {
			if p, err := inflatePieces(f, unhex(t, "f2 48 cd c9 c9 07 00"), every, every); string(p) != "Hello" {
				t.Fatal(p, err)
			}
		}
		_, err := inflatePieces(f, unhex(t, "f2 00 11 00 00"), every, every)
		if err == nil || !strings.Contains(err.Error(), "reaches before the first of 1 bytes") {
			t.Errorf("pieces of %d: %v", pieces, err)
		}
	}
}

// A limit of the message's size lets the message pass, and a limit of one byte less does not.
// Append writes nothing beyond the limit.
func TestInflateLimit(t *testing.T) {
	for _, m := range []string{"f2 48 cd c9 c9 07 00", "00 05 00 fa ff 48 65 6c 6c 6f 00", "f3 48 cd c9 c9 07 00"} {
		for limit := range 8 {
			f, dst := NewDecompressor(15, true), make([]byte, 64)
			f.Feed(unhex(t, m), true)
			p, status, err := f.Append(dst[:1], limit)
			want := Full
			if limit >= 5 {
				want = Done
			}
			if err != nil || status != want || string(p[1:]) != "Hello"[:min(limit, 5)] {
				t.Errorf("%s, limit %d: %q, status %d, %v", m, limit, p, status, err)
			}
			if !bytes.Equal(dst[1+limit:], make([]byte, 63-limit)) {
				t.Errorf("%s, limit %d: wrote more: %q", m, limit, dst)
			}
		}
	}
}

func TestInflateBomb(t *testing.T) {
	const size, limit = 256 << 20, 1 << 20
	part := NewCompressor(15).AppendPiece(nil, make([]byte, 1<<20), true)
	bomb := bytes.Repeat(append(part, flushTail...), size>>20)
	bomb = bomb[:len(bomb)-len(flushTail)]
	f := NewDecompressor(15, true)
	f.Feed(bomb, true)
	start := time.Now()
	p, status, err := f.Append(nil, limit)
	if status != Full || err != nil || len(p) != limit || cap(p) > 2*limit {
		t.Errorf("%d bytes, capacity %d, status %d, %v", len(p), cap(p), status, err)
	}
	if d := time.Since(start); d > time.Second { // some ms, with room for slow machines
		t.Errorf("it took %v", d)
	}
}

// A Decompressor that waits for the rest of a message, perhaps for long, takes little memory.
func TestInflateParked(t *testing.T) {
	if n := unsafe.Sizeof(decompressScratch{}); n > 8<<10 {
		t.Errorf("a message in progress holds %d bytes", n)
	}
	if n := unsafe.Sizeof(Decompressor{}); n > 256 {
		t.Errorf("a Decompressor has %d bytes", n)
	}
}

func TestInflateAllocs(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector makes sync.Pool forget")
	}
	for _, linked := range []bool{true, false} {
		for _, piece := range []int{1 << 20, 700} {
			var messages []benchMessage
			for _, c := range corpora() {
				messages = append(messages, compressedCorpus(c, 12, false)[:10]...)
			}
			f, dst, i := NewDecompressor(12, linked), make([]byte, 0, 64<<10), 0
			read := func() {
				rest := messages[i%len(messages)].compressed
				for i++; len(rest) > 0; {
					n := min(piece, len(rest))
					f.Feed(rest[:n], n == len(rest))
					if _, _, err := f.Append(dst, 64<<10); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
			}
			for range 2 * len(messages) {
				read()
			}
			if n := testing.AllocsPerRun(2*len(messages), read); n != 0 {
				t.Errorf("linked %v, pieces of %d: %v allocations per message", linked, piece, n)
			}
		}
	}
}
