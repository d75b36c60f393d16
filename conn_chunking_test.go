package websocket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// chunkedConn is a transport that delivers bytes in pieces of given sizes, over and over, then
// io.EOF, and records all writes.
type chunkedConn struct {
	unread  []byte
	sizes   []int // none means as much as there is room for
	reads   int
	written bytes.Buffer
}

func (c *chunkedConn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		return 0, io.EOF
	}
	if len(c.sizes) > 0 {
		p = p[:min(len(p), c.sizes[c.reads%len(c.sizes)])]
		c.reads++
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

func (c *chunkedConn) Write(p []byte) (int, error)      { return c.written.Write(p) }
func (c *chunkedConn) Close() error                     { return nil }
func (c *chunkedConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *chunkedConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *chunkedConn) SetDeadline(time.Time) error      { return nil }
func (c *chunkedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *chunkedConn) SetWriteDeadline(time.Time) error { return nil }

// chunkedResult is everything that the two ends of a connection can see of a stream.
type chunkedResult struct {
	messages []string
	err      string // the last
	written  string // to the peer
}

// readChunked lets a server's Conn read a stream by read until an error. The
// Conn unmasks in place, so it gets a copy.
func readChunked(t *testing.T, stream []byte, limit int64, sizes []int, read func(*Conn) (int, []byte, error)) (r chunkedResult) {
	nc := &chunkedConn{unread: bytes.Clone(stream), sizes: sizes}
	c := newConn(nc, false)
	c.SetReadLimit(limit)
	pong := c.PingHandler()
	c.SetPingHandler(func(data string) error {
		err := pong(data)
		settle(c) // otherwise a later ping's pong may take the place of this one
		return err
	})
	for {
		messageType, p, err := read(c)
		settle(c)
		if err != nil {
			r.err, r.written = err.Error(), nc.written.String()
			if _, _, again := read(c); again != err {
				t.Errorf("read after error %v: %v", err, again)
			}
			if nc.written.Len() != len(r.written) {
				t.Errorf("read after error %v: wrote %x", err, nc.written.Bytes()[len(r.written):])
			}
			return r
		}
		r.messages = append(r.messages, fmt.Sprint(messageType, " ", string(p)))
	}
}

// settle waits until everything in c's outbox has gone out. There is no socket here that could take
// it at once.
func settle(c *Conn) {
	c.out.lock.lock(context.Background(), time.Time{})
	c.unlockWrite()
}

// readByTurns returns a function that reads in one way and then in the other. It reads a reader's
// message, but not its end. The next call does that.
func readByTurns() func(*Conn) (int, []byte, error) {
	calls := 0
	return func(c *Conn) (int, []byte, error) {
		if calls++; calls%2 == 0 {
			return readByReader(c)
		}
		messageType, p, err := c.AppendMessage([]byte("before"))
		return messageType, bytes.TrimPrefix(p, []byte("before")), err
	}
}

// readByReader is ReadMessage by way of NextReader, in small pieces.
func readByReader(c *Conn) (int, []byte, error) {
	messageType, r, err := c.NextReader()
	if err != nil {
		return messageType, nil, err
	}
	var message []byte
	piece := make([]byte, 7)
	for {
		n, err := r.Read(piece)
		message = append(message, piece[:n]...)
		if err == io.EOF {
			return messageType, message, nil
		}
		if err != nil {
			return noMessage, nil, err
		}
	}
}

// chunkedFrame is a client's frame with a given key, written without the library.
func chunkedFrame(first byte, key string, payload string) string {
	n := len(payload)
	head := []byte{first, 0x80 | byte(n)}
	switch {
	case n > 65535:
		head = []byte{first, 0xff, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	case n > 125:
		head = []byte{first, 0xfe, byte(n >> 8), byte(n)}
	}
	body := []byte(payload)
	for i := range body {
		body[i] ^= key[i%4]
	}
	return string(head) + key + string(body)
}

// FuzzConnChunking: TCP has no pieces. If the transport's reads are cut in other places, the
// application still gets the same messages and the same error, and the peer the same answers.
func FuzzConnChunking(f *testing.F) {
	const plain = "\x00\x00\x00\x00" // a key that lets the fuzzer see and change the text
	const key = "\x37\xfa\x21\x3d"
	hello := chunkedFrame(0x81, key, "Hello")
	f.Add([]byte(hello+chunkedFrame(0x82, plain, "")+chunkedFrame(0x88, plain, "\x03\xe8bye")), []byte{1, 2, 3}, uint32(0))
	f.Add([]byte(chunkedFrame(0x01, plain, "Hel")+chunkedFrame(0x89, key, "ping")+chunkedFrame(0x80, key, "lo")+hello[:7]), []byte{4}, uint32(5))
	f.Add([]byte(chunkedFrame(0x01, plain, "\xe2\x82")+chunkedFrame(0x8a, plain, "")+chunkedFrame(0x80, plain, "\xac")), []byte{2}, uint32(100))
	f.Add([]byte(chunkedFrame(0x81, plain, "wrong \xf4\x90 text")+hello), []byte{8, 1}, uint32(100))
	f.Add([]byte(chunkedFrame(0x02, plain, "six...")+chunkedFrame(0x00, plain, "six...")+hello), []byte{13}, uint32(11))
	f.Add([]byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00memory follows what arrives"), []byte{5}, uint32(0))
	f.Add([]byte("\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05"+key+"Hello"), []byte{11}, uint32(0))
	f.Add([]byte("\xc1\x85"+key+"Hello"), []byte{1}, uint32(0))
	f.Add([]byte(chunkedFrame(0x88, plain, "\x03")), []byte{7}, uint32(0))
	f.Add([]byte(chunkedFrame(0x89, key, strings.Repeat("p", 125))+chunkedFrame(0x89, key, strings.Repeat("q", 126))), []byte{131, 1}, uint32(0))
	f.Fuzz(func(t *testing.T, stream, cuts []byte, limit uint32) {
		var sizes []int
		for _, cut := range cuts {
			sizes = append(sizes, int(cut)+1)
		}
		checkChunking(t, stream, limit, sizes)
	})
}

// The messages are larger than any buffer, and are read straight to their destination. They are too
// slow for the fuzzer.
func TestConnChunkingLong(t *testing.T) {
	const key = "\x37\xfa\x21\x3d"
	long := strings.Repeat("Ein Text, der länger ist. ", 4000) // above 100 KB
	stream := chunkedFrame(0x81, key, long) + chunkedFrame(0x89, key, "ping") + chunkedFrame(0x82, key, long[:1500]) +
		chunkedFrame(0x01, key, long[:40000]) + chunkedFrame(0x00, key, long[40000:40001]) + chunkedFrame(0x80, key, long[40001:90000])
	for _, end := range []string{
		"",
		chunkedFrame(0x88, key, "\x03\xe8"),
		chunkedFrame(0x81, key, long[:70000])[:60000],     // cut off
		chunkedFrame(0x81, key, long[:70000]+"\xff"+long), // invalid far inside
	} {
		for _, sizes := range [][]int{{1000}, {32 << 10, 1, 5}, {17 << 10, 40 << 10}} {
			if r := checkChunking(t, []byte(stream+end), 0, sizes); len(r.messages) != 3 {
				t.Errorf("%d messages and %s, want 3", len(r.messages), r.err)
			}
		}
	}
}

// checkChunking reads a stream in several ways and compares them with the
// first, which it returns.
func checkChunking(t *testing.T, stream []byte, limit uint32, sizes []int) (want chunkedResult) {
	t.Helper()
	want = readChunked(t, stream, int64(limit), nil, (*Conn).ReadMessage)
	for _, tt := range []struct {
		name  string
		sizes []int
		read  func(*Conn) (int, []byte, error)
	}{
		{"ReadMessage, byte by byte", []int{1}, (*Conn).ReadMessage},
		{"ReadMessage in pieces", sizes, (*Conn).ReadMessage},
		{"NextReader, all at once", nil, readByReader},
		{"NextReader in pieces", sizes, readByReader},
		{"both by turns", nil, readByTurns()},
		{"both by turns, in pieces", sizes, readByTurns()},
	} {
		got := readChunked(t, stream, int64(limit), tt.sizes, tt.read)
		if !slices.Equal(got.messages, want.messages) || got.err != want.err {
			t.Errorf("%.100x by %s (%v):\nmessages %.200q, %s\nwant     %.200q, %s", stream, tt.name, tt.sizes, got.messages, got.err, want.messages, want.err)
		}
		if got.written != want.written {
			t.Errorf("%.100x by %s (%v): answered %x, want %x", stream, tt.name, tt.sizes, got.written, want.written)
		}
	}
	return want
}

// The comparison of the fuzz target is made once by hand.
func TestConnChunkingSees(t *testing.T) {
	const key = "\x37\xfa\x21\x3d"
	stream := chunkedFrame(0x01, key, "Hel") + chunkedFrame(0x89, key, "?") + chunkedFrame(0x80, key, "lo") +
		chunkedFrame(0x88, key, "\x0f\xa0bye")
	got := readChunked(t, []byte(stream), 0, []int{1}, (*Conn).ReadMessage)
	want := chunkedResult{
		messages: []string{"1 Hello"},
		err:      "websocket: close 4000: bye",
		written:  "\x8a\x01?" + "\x88\x02\x0f\xa0",
	}
	if !slices.Equal(got.messages, want.messages) || got.err != want.err || got.written != want.written {
		t.Errorf("read %+q, want %+q", got, want)
	}
}
