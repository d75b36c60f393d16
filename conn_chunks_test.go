package websocket

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"

	"github.com/plainsocket/websocket/internal/deflate"
)

// longMessage is the wire form of message, compressed or in fragments of size
// bytes, of which a last one may be longer.
func longMessage(message []byte, compressed bool, size int) (wire []byte) {
	h := frameHeader{frameBits: frameBits{masked: true}, opcode: opBinary}
	if compressed {
		message, _ = deflate.Append(nil, message, 15)
		h.rsv = rsv1
	}
	for {
		n := min(size, len(message))
		h.fin, h.length = n == len(message), int64(n)
		wire = append(appendHeader(wire, h), message[:n]...)
		message = message[n:]
		if h.fin {
			return wire
		}
		h.opcode, h.rsv = opContinuation, 0
	}
}

// A message past the limit costs the limit and a chunk, not the copies of a slice
// that grows: compressed, and in fragments of any size, in each style that
// assembles messages.
func TestMessagePastLimitCostsTheLimit(t *testing.T) {
	const limit = 8 << 20
	styles := map[string]func(c *Conn) error{
		"ReadMessage":    func(c *Conn) error { _, _, err := c.ReadMessage(); return err },
		"AppendMessage":  func(c *Conn) error { _, _, err := c.AppendMessage(make([]byte, 10, 100_000)); return err },
		"HandleMessages": func(c *Conn) error { return c.HandleMessages(func(*Conn, int, []byte) {}) },
	}
	const all = 64 << 20
	for _, tt := range []struct {
		name       string
		compressed bool
		size       int
	}{
		{"compressed", true, all},
		{"compressed in fragments", true, 1000},
		{"small fragments", false, 1000},
		{"fragments", false, 20_000},
		{"large fragments", false, 3 << 20},
		{"a fragment as large as the limit", false, limit},
	} {
		wire := longMessage(make([]byte, 10<<20), tt.compressed, tt.size)
		for style, read := range styles {
			for _, takeover := range []bool{false, true} {
				if takeover && !tt.compressed {
					continue
				}
				c := newConn(&memoryConn{r: bytes.NewReader(wire)}, false)
				c.deflate = newConnDeflate(deflateParams{15, 15, takeover, takeover}, 1)
				c.SetReadLimit(limit)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := read(c)
				runtime.ReadMemStats(&after)
				if err != ErrReadLimit {
					t.Errorf("%s by %s: %v, want ErrReadLimit", tt.name, style, err)
				}
				const most = limit + 3*(1<<20) // and what is allocated on the way there
				if used := after.TotalAlloc - before.TotalAlloc; used > most {
					t.Errorf("%s by %s: %d allocated for a limit of %d", tt.name, style, used, limit)
				}
			}
		}
	}
}

// hiccup is a transport on which every so many reads a deadline has passed.
type hiccup struct {
	memoryConn
	every, reads int
}

func (c *hiccup) Read(p []byte) (int, error) {
	if c.reads++; c.every > 0 && c.reads%c.every == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return c.memoryConn.Read(p)
}

// Long messages arrive as they were sent, whatever interrupts their reading, and
// whoever goes on with it.
func TestLongMessagesWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	text := make([]byte, 3*chunkSize)
	for i := range text {
		text[i] = byte(rng.IntN(7)) // compresses to a third
	}
	handled := []byte(nil)
	ways := map[string]func(c *Conn) ([]byte, error){
		"ReadMessage": func(c *Conn) ([]byte, error) { _, p, err := c.ReadMessage(); return p, err },
		"AppendMessage": func(c *Conn) ([]byte, error) {
			_, p, err := c.AppendMessage(append(make([]byte, 0, 300_000), "before "...))
			return bytes.TrimPrefix(p, []byte("before ")), err
		},
		"HandleMessages": func(c *Conn) ([]byte, error) {
			handled = nil
			err := c.HandleMessages(func(_ *Conn, _ int, data []byte) { handled = bytes.Clone(data) })
			if handled != nil {
				err = nil
			}
			return handled, err
		},
		"NextReader": func(c *Conn) ([]byte, error) {
			_, r, err := c.NextReader()
			if err != nil {
				return nil, err
			}
			var p []byte
			for {
				q, err := io.ReadAll(r)
				if p = append(p, q...); !isTimeout(err) {
					return p, err
				}
			}
		},
	}
	begins := []string{"ReadMessage", "AppendMessage", "HandleMessages"}
	for _, size := range []int{chunkSize + 1, len(text)} {
		for _, compressed := range []bool{false, true} {
			for _, fragment := range []int{7000, len(text)} {
				for _, every := range []int{0, 20} {
					wire := longMessage(text[:size], compressed, fragment)
					for _, begin := range begins {
						for end, read := range ways {
							if every == 0 && end != begin {
								continue // nothing is interrupted
							}
							c := newConn(&hiccup{memoryConn: memoryConn{r: bytes.NewReader(wire)}, every: every}, false)
							c.deflate = newConnDeflate(deflateParams{15, 15, true, true}, 1)
							got, err := ways[begin](c)
							for i := 0; isTimeout(err); i++ {
								if i < 8 {
									got, err = ways[begin](c)
								} else {
									got, err = read(c)
								}
							}
							if err != nil || !bytes.Equal(got, text[:size]) {
								t.Fatalf("%d bytes, compressed %v, fragments of %d, interrupted every %d reads, %s and then %s: %d bytes, %v",
									size, compressed, fragment, every, begin, end, len(got), err)
							}
						}
					}
				}
			}
		}
	}
}
