package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"testing"
)

// Run the benchmarks with -bench 'Deflate|Inflate' -cpu 1. Each names its codec last, so that own
// and compress/flate stand one below the other. An operation is one message. The ratio is that of
// one pass of the corpus from a fresh start, and counts messages that did not shrink as they are.

// A benchCodec compresses message after message.
type benchCodec struct {
	name     string
	compress func(dst, p []byte) []byte // returns the message as it goes out
	state    func() int                 // returns the bytes kept between messages, -1 if not known
}

func ownCodec(bits int, linked bool) benchCodec {
	if !linked {
		return benchCodec{"own", func(dst, p []byte) []byte {
			if out, ok := Append(dst, p, bits); ok {
				return out
			}
			return append(dst, p...)
		}, func() int { return 0 }}
	}
	d := NewCompressor(bits)
	return benchCodec{"own", func(dst, p []byte) []byte {
		if out, ok := d.Append(dst, p); ok {
			return out
		}
		return append(dst, p...)
	}, d.Size}
}

// stdCodec returns compress/flate at level 1, flushed after every message. It cannot take a
// message back, so all are sent compressed.
func stdCodec(linked bool) benchCodec {
	var buf bytes.Buffer
	w, _ := flate.NewWriter(&buf, flate.BestSpeed)
	return benchCodec{"flate1", func(dst, p []byte) []byte {
		buf.Reset()
		if !linked {
			w.Reset(&buf)
		}
		w.Write(p)
		w.Flush()
		return append(dst, buf.Bytes()[:buf.Len()-4]...)
	}, func() int { return -1 }}
}

func benchmarkCodec(b *testing.B, c corpus, start func() benchCodec) {
	codec, dst, sum := start(), make([]byte, 0, 64<<10), 0
	for _, m := range c.messages {
		sum += len(codec.compress(dst, m))
	}
	b.SetBytes(int64(c.size() / len(c.messages)))
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		codec.compress(dst, c.messages[i%len(c.messages)])
	}
	b.ReportMetric(float64(sum)/float64(c.size()), "ratio")
	if n := codec.state(); n >= 0 {
		b.ReportMetric(float64(n), "B/conn")
	}
}

func BenchmarkDeflate(b *testing.B) {
	for _, c := range corpora() {
		for _, linked := range []bool{true, false} {
			context := map[bool]string{true: "linked", false: "alone"}[linked]
			for _, bits := range []int{9, 12, 15} {
				b.Run(fmt.Sprintf("%s/%s/w%d/own", c.name, context, bits), func(b *testing.B) {
					benchmarkCodec(b, c, func() benchCodec { return ownCodec(bits, linked) })
				})
			}
			b.Run(fmt.Sprintf("%s/%s/w15/flate1", c.name, context), func(b *testing.B) {
				benchmarkCodec(b, c, func() benchCodec { return stdCodec(linked) })
			})
		}
	}
}

// A benchMessage is a compressed message and the bytes before it.
type benchMessage struct{ compressed, past, plain []byte }

// compressedCorpus compresses the messages of a corpus. It leaves out those that do not shrink.
func compressedCorpus(c corpus, bits int, linked bool) (messages []benchMessage) {
	d := NewCompressor(bits)
	var past []byte
	for _, m := range c.messages {
		if !linked {
			if z, ok := Append(nil, m, bits); ok {
				messages = append(messages, benchMessage{z, nil, m})
			}
			continue
		}
		if z, ok := d.Append(nil, m); ok {
			messages = append(messages, benchMessage{z, past, m})
			past = append(past[:len(past):len(past)], m...)
			past = past[max(0, len(past)-1<<bits):]
		}
	}
	return messages
}

func BenchmarkInflate(b *testing.B) {
	for _, c := range corpora() {
		for _, linked := range []bool{true, false} {
			context := map[bool]string{true: "linked", false: "alone"}[linked]
			for _, bits := range []int{9, 12, 15} {
				messages := compressedCorpus(c, bits, linked)
				b.Run(fmt.Sprintf("%s/%s/w%d/own", c.name, context, bits), func(b *testing.B) {
					benchmarkOwnInflate(b, messages, bits, linked)
				})
				b.Run(fmt.Sprintf("%s/%s/w%d/flate", c.name, context, bits), func(b *testing.B) {
					benchmarkStdInflate(b, messages, bits, linked)
				})
			}
		}
	}
}

func benchmarkOwnInflate(b *testing.B, messages []benchMessage, bits int, linked bool) {
	dst, sum := make([]byte, 0, 64<<10), 0
	f := NewDecompressor(bits, linked)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		if k := i % len(messages); k == 0 {
			f = NewDecompressor(bits, linked)
		}
		m := &messages[i%len(messages)]
		f.Feed(m.compressed, true)
		p, status, err := f.Append(dst, 64<<10)
		if status != Done || len(p) != len(m.plain) {
			b.Fatal(status, err)
		}
		sum += len(p)
	}
	b.SetBytes(int64(sum / b.N))
	b.ReportMetric(float64(f.Size()), "B/conn")
}

// A tailedReader gives a message and its tail without a copy, byte by byte, as compress/flate
// likes it.
type tailedReader struct {
	p, tail []byte
}

func (r *tailedReader) ReadByte() (byte, error) {
	if len(r.p) == 0 {
		if r.p, r.tail = r.tail, nil; len(r.p) == 0 {
			return 0, io.EOF
		}
	}
	c := r.p[0]
	r.p = r.p[1:]
	return c, nil
}

func (r *tailedReader) Read(p []byte) (int, error) {
	if len(r.p) == 0 {
		if r.p, r.tail = r.tail, nil; len(r.p) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, r.p)
	r.p = r.p[n:]
	return n, nil
}

// benchmarkStdInflate measures compress/flate as a program would use it that has many peers and
// shares readers among them. It keeps a window for each peer, which is the dictionary of the next
// message.
func benchmarkStdInflate(b *testing.B, messages []benchMessage, bits int, linked bool) {
	dst, sum := make([]byte, 64<<10), 0
	window := make([]byte, 0, 5<<bits/4)
	r := flate.NewReader(nil)
	src, tail := new(tailedReader), []byte("\x00\x00\xff\xff\x01\x00\x00\xff\xff")
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		m := &messages[i%len(messages)]
		if i%len(messages) == 0 {
			window = window[:0]
		}
		src.p, src.tail = m.compressed, tail
		r.(flate.Resetter).Reset(src, window[max(0, len(window)-1<<bits):])
		n, err := readAll(r, dst)
		if err != nil || n != len(m.plain) {
			b.Fatal(n, err)
		}
		if linked {
			window = slide(window, dst[:n], 1<<bits)
		}
		sum += n
	}
	b.SetBytes(int64(sum / b.N))
}

func readAll(r io.Reader, dst []byte) (n int, err error) {
	for {
		k, err := r.Read(dst[n:])
		if n += k; err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// slide adds p to a window that has a quarter of slack.
func slide(window, p []byte, size int) []byte {
	if len(p) >= size {
		return append(window[:0], p[len(p)-size:]...)
	}
	if len(window)+len(p) > cap(window) {
		keep := min(len(window), size-len(p))
		window = window[:copy(window, window[len(window)-keep:])]
	}
	return append(window, p...)
}
