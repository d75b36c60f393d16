package main

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"io"
	"testing"
)

func TestPlainScript(t *testing.T) {
	s := plainScript(125, 32)
	frame := appendClientFrame(nil, finBinary, s.first)
	for k := 1; k <= 32; k++ {
		if got := s.frames(0, k); !bytes.Equal(got, bytes.Repeat(frame, k)) {
			t.Fatalf("%d frames are %d bytes that are not %d times the same frame", k, len(got), k)
		}
	}
}

func TestScriptCycle(t *testing.T) {
	frames := [][]byte{[]byte("a"), []byte("bb"), []byte("ccc")}
	s := newScript(frames, frames, 2)
	for _, test := range []struct {
		i, k int
		want string
	}{{0, 1, "a"}, {0, 2, "abb"}, {1, 2, "bbccc"}, {2, 1, "ccc"}, {2, 2, "ccca"}} {
		if got := string(s.frames(test.i, test.k)); got != test.want {
			t.Errorf("%d frames from %d on: %q, want %q", test.k, test.i, got, test.want)
		}
	}
}

func TestParseAgreement(t *testing.T) {
	for _, test := range []struct {
		header string
		want   agreement
	}{
		{"", agreement{}},
		{"permessage-deflate", agreement{true, true, true, 15}},
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover", agreement{true, false, false, 15}},
		{"permessage-deflate; server_max_window_bits=12; client_max_window_bits=10", agreement{true, true, true, 10}},
		{`permessage-deflate;client_max_window_bits="9"`, agreement{true, true, true, 9}},
	} {
		if got, err := parseAgreement(test.header); err != nil || got != test.want {
			t.Errorf("%q: %+v, %v; want %+v", test.header, got, err, test.want)
		}
	}
	for _, header := range []string{"x-webkit-deflate-frame", "permessage-deflate; mux", "permessage-deflate; client_max_window_bits=many"} {
		if a, err := parseAgreement(header); err == nil {
			t.Errorf("%q: %+v, want an error", header, a)
		}
	}
}

func TestJSONMessages(t *testing.T) {
	messages := jsonMessages(deflateCycle)
	for i, m := range messages {
		if len(m) != 1024 || !json.Valid(m) {
			t.Errorf("message %d has %d bytes, valid %v", i, len(m), json.Valid(m))
		}
		if i > 0 && bytes.Equal(m, messages[i-1]) {
			t.Errorf("message %d is the one before", i)
		}
	}
}

// Three rounds of the cycle are inflated as a server does it, with a window of
// the size that was agreed on.
func TestDeflateScript(t *testing.T) {
	messages := jsonMessages(deflateCycle)
	for _, bits := range []int{9, 12, 15} {
		s, err := deflateScript(messages, agreement{compressed: true, clientTakeover: true, clientBits: bits})
		if err != nil {
			t.Fatal(err)
		}
		var window []byte
		for i := range 3 * s.cycle {
			payload := unmask(t, s.frames(i%s.cycle, 1))
			tail := []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}
			got, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(append(payload, tail...)), window))
			if err != nil || !bytes.Equal(got, messages[i%s.cycle]) {
				t.Fatalf("%d bits, message %d: %v, %.60q", bits, i, err, got)
			}
			window = append(window, got...)
			window = window[max(0, len(window)-1<<bits):]
		}
	}
}

func TestDeflateScriptWithoutTakeover(t *testing.T) {
	messages := jsonMessages(4)
	s, err := deflateScript(messages, agreement{compressed: true, clientBits: 15})
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.cycle {
		if got, err := inflate(unmask(t, s.frames(i, 1))); err != nil || !bytes.Equal(got, messages[i]) {
			t.Errorf("message %d: %v, %.60q", i, err, got)
		}
	}
}

// unmask is the payload of a client's frame.
func unmask(t *testing.T, frame []byte) []byte {
	t.Helper()
	var c counter
	n := c.takeHeader(frame)
	if c.take(frame[n:]) != 1 {
		t.Fatalf("% x… is not one frame", frame[:n])
	}
	payload := bytes.Clone(frame[n:])
	for i := range payload {
		payload[i] ^= loadKey[i&3]
	}
	return payload
}
