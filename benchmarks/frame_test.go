package main

import (
	"bytes"
	"fmt"
	"testing"
)

func TestAppendClientFrame(t *testing.T) {
	for _, test := range []struct {
		n      int
		header []byte
	}{
		{0, []byte{0x82, 0x80}},
		{125, []byte{0x82, 0xfd}},
		{126, []byte{0x82, 0xfe, 0, 126}},
		{65535, []byte{0x82, 0xfe, 0xff, 0xff}},
		{65536, []byte{0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0}},
	} {
		payload := bytes.Repeat([]byte("plain"), test.n/5+1)[:test.n]
		got := appendClientFrame(nil, finBinary, payload)
		header, rest := got[:len(test.header)], got[len(test.header):]
		if !bytes.Equal(header, test.header) || !bytes.Equal(rest[:4], loadKey[:]) {
			t.Errorf("%d bytes: the frame begins with % x", test.n, got[:len(test.header)+4])
		}
		body := rest[4:]
		for i := range body {
			body[i] ^= rest[i%4]
		}
		if !bytes.Equal(body, payload) {
			t.Errorf("%d bytes: unmasked, the payload is another one", test.n)
		}
	}
}

// counted is a stream and the right counts for it.
type counted struct {
	name      string
	stream    []byte
	messages  int
	dataBytes int // of data frames
	closed    bool
}

func countedStreams() []counted {
	small := appendServerFrame(nil, finBinary, []byte("small"))
	medium := appendServerFrame(nil, finText, make([]byte, 300))
	large := appendServerFrame(nil, finBinary, make([]byte, 70000))
	empty := appendServerFrame(nil, finBinary, nil)
	ping := appendServerFrame(nil, 0x89, []byte("ping"))
	closing := appendServerFrame(nil, 0x88, []byte{3, 232})
	sent := appendClientFrame(nil, finBinary, []byte("came back masked"))
	fragments := bytes.Join([][]byte{
		appendServerFrame(nil, 0x02, []byte("frag")), ping,
		appendServerFrame(nil, 0x00, nil), appendServerFrame(nil, 0x80, []byte("ments")),
	}, nil)
	return []counted{
		{"nothing", nil, 0, 0, false},
		{"a small message", small, 1, len(small), false},
		{"an empty message", empty, 1, 2, false},
		{"all lengths", bytes.Join([][]byte{medium, large, small}, nil), 3, len(medium) + len(large) + len(small), false},
		{"a ping between", bytes.Join([][]byte{small, ping, small}, nil), 2, 2 * len(small), false},
		{"fragments", fragments, 1, len(fragments) - len(ping), false},
		{"masked", bytes.Join([][]byte{sent, sent}, nil), 2, 2 * len(sent), false},
		{"a close frame", bytes.Join([][]byte{small, closing}, nil), 1, len(small), true},
		{"a message that has not ended", large[:60000], 0, 60000, false},
	}
}

func TestCounter(t *testing.T) {
	for _, test := range countedStreams() {
		for _, step := range []int{1, 2, 3, 7, 1000, 1 << 20} {
			var c counter
			messages := 0
			for b := range bytesIn(test.stream, step) {
				messages += c.take(b)
			}
			if messages != test.messages || c.dataBytes != int64(test.dataBytes) || c.closed != test.closed {
				t.Errorf("%s, %d bytes at a time: %d messages, %d bytes, closed %v; want %d, %d, %v",
					test.name, step, messages, c.dataBytes, c.closed, test.messages, test.dataBytes, test.closed)
			}
		}
	}
}

// bytesIn cuts b into pieces of n bytes.
func bytesIn(b []byte, n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			k := min(n, len(b))
			if !yield(b[:k]) {
				return
			}
			b = b[k:]
		}
	}
}

func TestJoinFrames(t *testing.T) {
	b := appendServerFrame(nil, 0x01|rsv1, []byte("one, "))
	b = appendServerFrame(b, 0x89, []byte("ping"))
	b = appendServerFrame(b, 0x80, []byte("two"))
	if payload, compressed := joinFrames(b); string(payload) != "one, two" || !compressed {
		t.Errorf("got %q, compressed %v", payload, compressed)
	}
	if payload, compressed := joinFrames(appendServerFrame(nil, finText, []byte("x"))); string(payload) != "x" || compressed {
		t.Errorf("got %q, compressed %v", payload, compressed)
	}
}

// BenchmarkCounter measures the load generator's work for each answer.
func BenchmarkCounter(b *testing.B) {
	for _, n := range []int{125, 16 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			frame := appendServerFrame(nil, finBinary, make([]byte, n))
			var c counter
			for b.Loop() {
				c.take(frame)
			}
		})
	}
}
