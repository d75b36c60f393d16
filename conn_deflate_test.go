package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/plainsocket/websocket/internal/deflate"
)

// deflatePair is a pair that agreed on permessage-deflate, both ways alike.
func deflatePair(t *testing.T, bits int, takeover bool) (server, client *Conn) {
	server, client = pipePair(t)
	for _, c := range []*Conn{server, client} {
		p := deflateParams{sendBits: bits, receiveBits: bits, sendTakeover: takeover, receiveTakeover: takeover}
		c.deflate = newConnDeflate(p, 1)
	}
	return server, client
}

// eachDeflate runs a test for every window, with and without takeover.
func eachDeflate(t *testing.T, test func(t *testing.T, server, client *Conn)) {
	for bits := 8; bits <= 15; bits++ {
		for _, takeover := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bits, takeover %v", bits, takeover), func(t *testing.T) {
				server, client := deflatePair(t, bits, takeover)
				test(t, server, client)
			})
		}
	}
}

// deflateMessages returns messages of many sizes, some alike, some that do not shrink.
func deflateMessages() (list []string) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 40_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for i := range 61 { // the last is read whole, so that its writer ends
		switch i % 4 {
		case 0:
			list = append(list, fmt.Sprintf(`{"id":%d,"price":%d,"name":"instrument %d"}`, i, r.IntN(1000), r.IntN(9)))
		case 1:
			list = append(list, strings.Repeat(fmt.Sprintf("again and again %d, ", i%7), r.IntN(3000)))
		case 2:
			list = append(list, string(noise[:r.IntN(len(noise))]))
		case 3:
			list = append(list, strings.Repeat("x", i%3))
		}
	}
	return list
}

// Every way to write, every way to read, mixed.
func TestDeflateBothWays(t *testing.T) {
	messages := deflateMessages()
	eachDeflate(t, func(t *testing.T, server, client *Conn) {
		for _, pair := range [][2]*Conn{{server, client}, {client, server}} {
			from, to := pair[0], pair[1]
			go func() {
				for i, m := range messages {
					var err error
					switch i % 3 {
					case 0:
						err = from.WriteMessage(BinaryMessage, []byte(m))
					case 1:
						err = writeInPieces2(from, m, 1+i*97)
					case 2:
						var pm *PreparedMessage
						if pm, err = NewPreparedMessage(BinaryMessage, []byte(m)); err == nil {
							err = from.WritePreparedMessage(pm)
						}
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			}()
			for i, want := range messages {
				var got []byte
				var err error
				switch i % 5 {
				case 0, 3:
					_, got, err = to.ReadMessage()
				case 1:
					_, got, err = to.AppendMessage([]byte("before"))
					got = bytes.TrimPrefix(got, []byte("before"))
				case 2:
					got, err = readInPieces(to, 1+i)
				case 4: // leave it after its first bytes
					var r io.Reader
					if _, r, err = to.NextReader(); err == nil {
						got = make([]byte, min(len(want), 3))
						_, err = io.ReadFull(r, got)
						want = want[:len(got)]
					}
				}
				if err != nil || string(got) != want {
					t.Fatalf("message %d: %d bytes, %v; want %d", i, len(got), err, len(want))
				}
			}
		}
	})
}

func writeInPieces2(c *Conn, m string, n int) error {
	w, err := c.NextWriter(BinaryMessage)
	if err != nil {
		return err
	}
	for len(m) > 0 {
		k := min(n, len(m))
		if _, err := io.WriteString(w, m[:k]); err != nil {
			return err
		}
		m = m[k:]
	}
	return w.Close()
}

func readInPieces(c *Conn, n int) (got []byte, err error) {
	_, r, err := c.NextReader()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, n)
	for {
		k, err := r.Read(buf)
		got = append(got, buf[:k]...)
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

// The frames on the wire are as they should be: RSV1 is set on the first frame of a message only,
// not on control frames, and not on messages that did not shrink.
func TestDeflateFrames(t *testing.T) {
	b := wire(t, func(c *Conn) {
		c.deflate = newConnDeflate(deflateParams{12, 12, true, true}, 32)
		c.WriteMessage(TextMessage, []byte("short"))
		c.WriteMessage(TextMessage, bytes.Repeat([]byte("long "), 20))
		c.WriteControl(PingMessage, bytes.Repeat([]byte("p"), 100), time.Time{})
		w, _ := c.NextWriter(BinaryMessage)
		noise := rand.New(rand.NewPCG(1, 2))
		for range 5000 {
			fmt.Fprintf(w, "%016x", noise.Uint64())
		}
		w.Close()
		c.EnableWriteCompression(false)
		c.WriteMessage(TextMessage, bytes.Repeat([]byte("long "), 20))
		c.EnableWriteCompression(true)
		c.WriteMessage(BinaryMessage, []byte("no pair here: 0123456789abcdefghijklm"))
	})
	var shape []string
	for len(b) > 0 {
		h, n, err := consumeHeader(b)
		if err != nil || n == 0 {
			t.Fatal(err)
		}
		shape = append(shape, fmt.Sprintf("%v %d", h.opcode, h.rsv/rsv1))
		b = b[n+int(h.length):]
	}
	want := "[text 0 text 1 ping 0 binary 1 continuation 0 continuation 0 text 0 binary 0]"
	if fmt.Sprint(shape) != want {
		t.Errorf("frames, with RSV1: %v\nwant               %v", shape, want)
	}
}

// The same with the words of RFC 7692 section 7.2.3.
func TestConnDeflateVectors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		frames []byte // unmasked, as a server sends them
	}{
		{"one block", []byte{0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}},
		{"two frames", []byte{0x41, 0x03, 0xf2, 0x48, 0xcd, 0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00}},
		{"a block without compression", []byte{0xc1, 0x0b, 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}},
		{"a block with BFINAL", []byte{0xc1, 0x08, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}},
		{"two blocks", []byte{0xc1, 0x0d, 0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}},
	} {
		_, client := deflatePair(t, 15, true)
		peer := client.nc
		_ = peer
		c := newConn(&memoryConn{r: bytes.NewReader(append(tt.frames, 0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00))}, true)
		c.deflate = client.deflate
		for i := range 2 { // the second refers to the first
			if _, p, err := c.ReadMessage(); string(p) != "Hello" || err != nil {
				t.Errorf("%s, message %d: %q, %v", tt.name, i, p, err)
				break
			}
		}
	}
}

func TestDeflateRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		frames []byte
		code   int
	}{
		{"RSV1 on a ping", []byte{0xc9, 0x80, 0, 0, 0, 0}, CloseProtocolError},
		{"RSV1 on a close", []byte{0xc8, 0x80, 0, 0, 0, 0}, CloseProtocolError},
		{"RSV1 on a continuation", []byte{0x41, 0x80, 0, 0, 0, 0, 0xc0, 0x80, 0, 0, 0, 0}, CloseProtocolError},
		{"RSV2 too", []byte{0xe1, 0x80, 0, 0, 0, 0}, CloseProtocolError},
		{"not DEFLATE", []byte{0xc1, 0x81, 0, 0, 0, 0, 0x07}, CloseInvalidFramePayloadData},
		{"a distance before the start", []byte{0xc1, 0x85, 0, 0, 0, 0, 0xf2, 0x00, 0x11, 0x00, 0x00}, CloseInvalidFramePayloadData},
		{"cut short", []byte{0xc1, 0x83, 0, 0, 0, 0, 0xf2, 0x48, 0xcd}, CloseInvalidFramePayloadData},
		{"text that is no UTF-8", []byte{0xc1, 0x87, 0, 0, 0, 0, 0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00}, CloseInvalidFramePayloadData},
	} {
		server, _ := deflatePair(t, 15, true)
		c := newConn(&memoryConn{r: bytes.NewReader(tt.frames)}, false)
		c.deflate = server.deflate
		_, _, err := c.ReadMessage()
		if e, ok := errors.AsType[*ProtocolError](err); !ok || e.Code != tt.code {
			t.Errorf("%s: %v, want code %d", tt.name, err, tt.code)
		}
	}
}

// Reading also goes on after a timeout at every byte of compressed, fragmented messages.
func TestDeflateResumes(t *testing.T) {
	messages := deflateMessages()[:12]
	for _, takeover := range []bool{false, true} {
		b := wire(t, func(c *Conn) {
			c.deflate = newConnDeflate(deflateParams{10, 10, takeover, takeover}, 1)
			for i, m := range messages {
				if i%2 == 0 {
					c.WriteMessage(BinaryMessage, []byte(m))
				} else {
					writeInPieces2(c, m, 5000)
				}
				c.WriteControl(PingMessage, nil, time.Time{})
			}
		})
		for _, n := range []int{1, 3, 100} {
			c := newConn(&trickle{wire: b, n: n}, true)
			c.deflate = newConnDeflate(deflateParams{10, 10, takeover, takeover}, 1)
			for i := 0; i < len(messages); {
				_, p, err := c.ReadMessage()
				if isTimeout(err) {
					continue
				}
				if err != nil || string(p) != messages[i] {
					t.Fatalf("takeover %v, pieces of %d: message %d: %d bytes, %v; want %d", takeover, n, i, len(p), err, len(messages[i]))
				}
				i++
			}
		}
	}
}

// A write that ended before its first byte leaves both windows alike.
func TestDeflateWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := deflatePair(t, 12, true)
		got := make(chan string)
		say := func(text string) {
			go server.WriteMessage(TextMessage, []byte(text))
			_, p, err := client.ReadMessage()
			if string(p) != text {
				t.Errorf("got %q, %v; want %q", p, err, text)
			}
		}
		_ = got
		say("the quick brown fox jumps over the lazy dog")
		server.SetWriteDeadline(time.Now().Add(time.Second))
		if err := server.WriteMessage(TextMessage, []byte("lost lost lost lost lost lost lost")); !isTimeout(err) {
			t.Fatal(err)
		}
		server.SetWriteDeadline(time.Time{})
		say("lost lost lost, and the quick brown fox jumps again")
		say("lost lost lost, and the quick brown fox jumps again and again")
	})
}

// Bombs: 40 MiB of zeros in 50 KB, in one frame and in a thousand. Memory
// stays with the limit, and the peer gets 1009.
func TestDeflateBomb(t *testing.T) {
	const limit = 1 << 20
	bomb, ok := deflate.Append(nil, make([]byte, 40<<20), 15)
	if !ok || len(bomb) > 60_000 {
		t.Fatalf("40 MiB of zeros make %d bytes", len(bomb))
	}
	for _, fragments := range []int{1, 1000} {
		var b []byte
		for i, rest := 0, bomb; i < fragments; i++ {
			n := (len(bomb) + fragments - 1) / fragments
			n = min(n, len(rest))
			h := frameHeader{frameBits: frameBits{fin: i == fragments-1, masked: true}, opcode: opContinuation, length: int64(n)}
			if i == 0 {
				h.opcode, h.rsv = opBinary, rsv1
			}
			b = append(appendHeader(b, h), rest[:n]...)
			rest = rest[n:]
		}
		for _, takeover := range []bool{false, true} {
			c := newConn(&memoryConn{r: bytes.NewReader(b)}, false)
			c.deflate = newConnDeflate(deflateParams{15, 15, takeover, takeover}, 1)
			c.SetReadLimit(limit)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := c.ReadMessage()
			runtime.ReadMemStats(&after)
			if err != ErrReadLimit {
				t.Errorf("%d fragments, takeover %v: %v, want ErrReadLimit", fragments, takeover, err)
			}
			// ^Growing to the limit passes through smaller slices. They take twice the limit in
			// all, and the codec has its working set.
			if used := after.TotalAlloc - before.TotalAlloc; used > 7*limit {
				t.Errorf("%d fragments, takeover %v: allocated %d for a limit of %d", fragments, takeover, used, limit)
			}
			c = newConn(&memoryConn{r: bytes.NewReader(b)}, false)
			c.deflate = newConnDeflate(deflateParams{15, 15, takeover, takeover}, 1)
			c.SetReadLimit(limit)
			if _, r, err := c.NextReader(); err != nil {
				t.Error(err)
			} else if n, err := io.Copy(io.Discard, r); n != limit || err != ErrReadLimit {
				t.Errorf("%d fragments, takeover %v, streamed: %d bytes, %v", fragments, takeover, n, err)
			}
		}
	}
}

// A message of exactly the limit's size is allowed.
func TestDeflateLimit(t *testing.T) {
	eachDeflate(t, func(t *testing.T, server, client *Conn) {
		server.SetReadLimit(1000)
		client.deflate.threshold = 1
		go client.WriteMessage(BinaryMessage, make([]byte, 1000))
		if _, p, err := server.ReadMessage(); len(p) != 1000 || err != nil {
			t.Fatalf("message of the limit's size: %d bytes, %v", len(p), err)
		}
		go client.WriteMessage(BinaryMessage, make([]byte, 1001))
		go io.Copy(io.Discard, client.nc)
		if _, _, err := server.ReadMessage(); err != ErrReadLimit {
			t.Errorf("message over the limit: %v, want ErrReadLimit", err)
		}
	})
}

func TestDeflateAllocations(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		p := deflateParams{12, 12, takeover, takeover}
		message := []byte(strings.Repeat(`{"id":1,"price":2}`, 20))
		var sent bytes.Buffer
		out := newConn(&recorder{w: &sent}, false)
		out.deflate = newConnDeflate(p, 1)
		if n := testing.AllocsPerRun(500, func() { out.WriteMessage(TextMessage, message) }); n != 0 {
			t.Errorf("takeover %v: writing: %v allocations, want 0", takeover, n)
		}
		in := newConn(&memoryConn{r: &sent}, true)
		in.deflate = newConnDeflate(p, 1)
		var buf []byte
		if n := testing.AllocsPerRun(400, func() { _, buf, _ = in.AppendMessage(buf[:0]) }); n != 0 {
			t.Errorf("takeover %v: reading: %v allocations, want 0", takeover, n)
		}
		if string(buf) != string(message) {
			t.Errorf("takeover %v: read %q", takeover, buf)
		}
	}
}

type recorder struct {
	net.Conn
	w io.Writer
}

func (r *recorder) Write(p []byte) (int, error) { return r.w.Write(p) }

func TestSetCompressionLevel(t *testing.T) {
	var c Conn
	for level := -4; level <= 11; level++ {
		if err := c.SetCompressionLevel(level); (err == nil) != (level >= -2 && level <= 9) {
			t.Errorf("level %d: %v", level, err)
		}
	}
}

// The memory between messages is as Compression's documentation says.
func TestCompressionMemory(t *testing.T) {
	documented := map[int]int{9: 2600, 10: 3800, 11: 7100, 12: 13800, 13: 27100, 14: 53700, 15: 90600}
	for bits, most := range documented {
		p := deflateParams{bits, bits, true, true}
		var sent bytes.Buffer
		out, in := newConn(&recorder{w: &sent}, false), newConn(&memoryConn{r: &sent}, true)
		out.deflate, in.deflate = newConnDeflate(p, 1), newConnDeflate(p, 1)
		for i := range 2000 {
			out.WriteMessage(TextMessage, fmt.Appendf(nil, "message %d of two thousand, %x", i, i*i*i))
			if _, _, err := in.ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
		d, f := out.deflate.deflater, in.deflate.inflater
		used := d.Size() + f.Size() +
			int(unsafe.Sizeof(*d)+unsafe.Sizeof(*f)+unsafe.Sizeof(*out.deflate))
		if used > most || used < most*9/10 {
			t.Errorf("%d bits: %d bytes between messages, documented %d", bits, used, most)
		}
	}
}

// A message within the limit may be longer than it on the wire. Here it is cut into stored blocks
// of 20 bytes, with 5 bytes of header each.
func TestCompressedLongerThanLimit(t *testing.T) {
	const limit = 10_000
	server, client := pipePair(t)
	server.deflate = newConnDeflate(deflateParams{15, 15, true, true}, 1)
	server.SetReadLimit(limit)
	go io.Copy(io.Discard, client.nc)
	var payload []byte
	for n := 0; n < limit; n += 20 {
		payload = append(payload, 0, 20, 0, 235, 255)
		payload = append(payload, "twenty bytes, alike!"...)
	}
	payload = append(payload, 0) // and the tail 00 00 ff ff, which is not sent
	message := frame(opText, true, string(payload), testKey)
	message[0] |= rsv1
	clientSends(client, message)
	if _, p, err := server.ReadMessage(); len(p) != limit || err != nil {
		t.Errorf("%d bytes, %v", len(p), err)
	}
	message = frame(opText, true, string(payload[:25])+string(payload), testKey)
	message[0] |= rsv1
	clientSends(client, message)
	if _, _, err := server.ReadMessage(); err != ErrReadLimit {
		t.Errorf("20 bytes more than the limit: %v", err)
	}
}
