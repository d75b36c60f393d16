package conformance

// This file is the fuzzing peer's end of the wire. It writes bytes, right or wrong, and reads the
// library's, which must be right. The peer is a client or a server. The only differences are the
// masking and the side that ends TCP.

import (
	"bufio"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const (
	opCont  = 0
	opText  = 1
	opBin   = 2
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// A frame as the peer sends it: every field as given, whether the RFC allows it or not.
type frame struct {
	op, rsv   byte
	more      bool // FIN is 0
	payload   []byte
	length    uint64 // announced instead of len(payload), unless 0
	bits      int    // bits of the length field: 16 or 64, or 0 for the shortest form
	server    bool   // a server sends it, so it is not masked
	misMasked bool   // it is masked if it must not be, and not if it must
}

func (f frame) masked() bool { return f.server == f.misMasked }

// append adds f to dst (RFC 6455 §5.2).
func (f frame) append(dst []byte) []byte {
	dst, key := f.appendHeader(dst)
	from := len(dst)
	dst = append(dst, f.payload...)
	if f.masked() {
		mask(dst[from:], key, 0)
	}
	return dst
}

func (f frame) appendHeader(dst []byte) ([]byte, [4]byte) {
	first := f.rsv<<4 | f.op
	if !f.more {
		first |= 0x80
	}
	length := f.length
	if length == 0 {
		length = uint64(len(f.payload))
	}
	dst = appendLength(append(dst, first), f.bits, length)
	var key [4]byte
	if f.masked() {
		dst[len(dst)-lengthSize(f.bits, length)] |= 0x80
		binary.BigEndian.PutUint32(key[:], rand.Uint32())
		dst = append(dst, key[:]...)
	}
	return dst, key
}

func appendLength(dst []byte, bits int, n uint64) []byte {
	switch lengthSize(bits, n) {
	case 1:
		return append(dst, byte(n))
	case 3:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), n)
}

func lengthSize(bits int, n uint64) int {
	switch {
	case bits == 0 && n <= 125:
		return 1
	case bits == 16, bits == 0 && n <= 65535:
		return 3
	}
	return 9
}

// mask XORs b with key, from position pos of the payload on (RFC 6455 §5.3).
func mask(b []byte, key [4]byte, pos int) {
	keys := make([]byte, min(len(b), 4096)) // 4096 is a multiple of 4, so one block follows the other
	for i := range keys {
		keys[i] = key[(pos+i)%4]
	}
	for len(b) > 0 {
		b = b[subtle.XORBytes(b, b, keys):]
	}
}

// wire returns the bytes of a client's frames, one after the other.
func wire(frames ...frame) (b []byte) {
	for _, f := range frames {
		b = f.append(b)
	}
	return b
}

// wire returns the bytes of frames as p has to send them.
func (p *peer) wire(frames ...frame) (b []byte) {
	for _, f := range frames {
		f.server = p.server
		b = f.append(b)
	}
	return b
}

// readFrame reads a frame and returns an error for a frame that the other side must not send. No
// extension is ever negotiated here.
func (p *peer) readFrame() (f frame, err error) {
	var h [2]byte
	if _, err := io.ReadFull(p.br, h[:]); err != nil {
		return f, err // io.EOF only between frames
	}
	f = frame{op: h[0] & 15, rsv: h[0] >> 4 & 7, more: h[0] < 0x80}
	n, err := readLength(p.br, h[1]&0x7f)
	if err != nil {
		return f, err
	}
	control, masked := f.op >= 8, h[1] >= 0x80
	switch {
	case masked != p.server:
		return f, fmt.Errorf("frame with opcode %d, masked %v", f.op, masked)
	case f.rsv != 0:
		return f, fmt.Errorf("RSV bits %03b", f.rsv)
	case f.op > opPong || f.op > opBin && !control:
		return f, fmt.Errorf("opcode %d", f.op)
	case control && (f.more || n > 125):
		return f, fmt.Errorf("control frame of %d bytes, fin %v", n, !f.more)
	case n > 64<<20:
		return f, fmt.Errorf("frame of %d bytes", n)
	}
	var key [4]byte
	if masked {
		if key, err = p.readKey(); err != nil {
			return f, err
		}
	}
	f.payload = make([]byte, n)
	_, err = io.ReadFull(p.br, f.payload)
	mask(f.payload, key, 0)
	return f, unexpected(err)
}

// readKey reads a masking key: "the client MUST pick a fresh masking key" for each frame (RFC 6455
// §5.3).
func (p *peer) readKey() (key [4]byte, err error) {
	if _, err = io.ReadFull(p.br, key[:]); err != nil {
		return key, unexpected(err)
	}
	if p.keys++; p.keys > 1 && key == p.key {
		return key, fmt.Errorf("frame %d has the masking key of the one before, %x", p.keys, key)
	}
	p.key = key
	return key, nil
}

func readLength(r *bufio.Reader, n byte) (uint64, error) {
	var b [8]byte
	switch n {
	case 126:
		_, err := io.ReadFull(r, b[6:])
		if v := binary.BigEndian.Uint64(b[:]); err != nil || v > 125 {
			return v, unexpected(err)
		}
	case 127:
		_, err := io.ReadFull(r, b[:])
		if v := binary.BigEndian.Uint64(b[:]); err != nil || v > 65535 {
			return v, unexpected(err)
		}
	default:
		return uint64(n), nil
	}
	return 0, errors.New("the length is not in its shortest form")
}

// unexpected turns an EOF inside a frame into an error. EOF is fine only between frames.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// closePayload is the payload of a close frame (RFC 6455 §5.5.1).
func closePayload(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// closeCode checks the payload of a close frame and returns its code, or 1005 if it has none.
func closeCode(payload []byte) (int, error) {
	switch {
	case len(payload) == 0:
		return 1005, nil
	case len(payload) == 1:
		return 0, errors.New("the close payload has one byte")
	case !utf8.Valid(payload[2:]):
		return 0, fmt.Errorf("the close reason is not UTF-8: %q", payload[2:])
	}
	return int(binary.BigEndian.Uint16(payload)), nil
}

// sampleKey and its accept value are those of RFC 6455 §1.3.
const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

// acceptKey is the answer to a key (RFC 6455 §4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// request is an opening handshake as the suite writes it, capital S and all.
func (s *server) request(key string) string {
	return strings.Join([]string{"GET / HTTP/1.1", "User-Agent: conformance", "Host: " + s.addr, "Upgrade: WebSocket", "Connection: Upgrade",
		"Pragma: no-cache", "Cache-Control: no-cache", "Sec-WebSocket-Key: " + key, "Sec-WebSocket-Version: 13", "", ""}, "\r\n")
}

// readHandshake reads the server's response to a request with key. The server must accept.
func readHandshake(r *bufio.Reader, key string) error {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	switch h := resp.Header; {
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("handshake: %s", resp.Status)
	case !strings.EqualFold(h.Get("Upgrade"), "websocket") || !strings.EqualFold(h.Get("Connection"), "upgrade"):
		return fmt.Errorf("handshake: Upgrade %q, Connection %q", h["Upgrade"], h["Connection"])
	case h.Get("Sec-WebSocket-Accept") != acceptKey(key):
		return fmt.Errorf("handshake: accept %q", h["Sec-Websocket-Accept"])
	case h["Sec-Websocket-Extensions"] != nil || h["Sec-Websocket-Protocol"] != nil:
		return fmt.Errorf("handshake: something was chosen that was not offered: %v", h)
	}
	return nil
}

// patience bounds every wait for an action that a good server or client does at once. It is longer
// than the suite's 1 s, because a loaded machine is no fault of theirs. It is shorter than the
// package's own closing handshake of 5 s, so that an endpoint that runs into that timer is found
// out.
const patience = 3 * time.Second

// A peer is one end of an open connection. The library is at the other end.
type peer struct {
	nc     net.Conn
	br     *bufio.Reader
	server bool    // it plays the server
	key    [4]byte // of the last frame that was read
	keys   int     // how many there were
}

func newPeer(nc net.Conn, server bool) *peer {
	nc.SetDeadline(time.Now().Add(time.Minute)) // nothing may hang
	return &peer{nc: nc, br: bufio.NewReader(nc), server: server}
}

// open connects a peer to s. The caller closes its nc.
func (s *server) open() (*peer, error) {
	nc, err := s.dial()
	if err != nil {
		return nil, err
	}
	return newPeer(nc, false), nil
}

// shake performs the opening handshake, sending extra in the same write.
func (p *peer) shake(s *server, extra ...byte) error {
	key := make([]byte, 16)
	binary.BigEndian.PutUint64(key, rand.Uint64())
	text := base64.StdEncoding.EncodeToString(key)
	if _, err := p.nc.Write(append([]byte(s.request(text)), extra...)); err != nil {
		return err
	}
	return readHandshake(p.br, text)
}

// tryConnect is open and shake in one.
func (s *server) tryConnect() (*peer, error) {
	p, err := s.open()
	if err != nil {
		return nil, err
	}
	if err := p.shake(s); err != nil {
		p.nc.Close()
		return nil, err
	}
	return p, nil
}

// connect is tryConnect for tests about the frames after the handshake.
func (s *server) connect(t testing.TB) *peer {
	t.Helper()
	return connected(t, s.tryConnect)
}

func connected(t testing.TB, connect func() (*peer, error)) *peer {
	t.Helper()
	p, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.nc.Close() })
	return p
}

// connectRaw leaves the handshake to the test.
func (s *server) connectRaw(t testing.TB) *peer {
	t.Helper()
	return connected(t, s.open)
}
