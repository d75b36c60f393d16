package websocket

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// docs/wire.md follows one connection, byte by byte. The bytes come from here: a Dialer talks to a
// Server, the traffic is recorded, and the document has to show just that. Only the random parts,
// the keys, are replaced.
const (
	wireDoc  = "docs/wire.md"
	wireKey  = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455 section 1.3
	wireMask = 0x3d21fa37                 // 37 fa 21 3d, section 5.7 (for the first frame)
	wireJSON = `{"bid":101.25,"ask":101.27,"bidSize":%d,"askSize":300}`
)

// wireUnits are the units of the traffic, headers of HTTP and frames: from the client (>) or the
// server (<).
var wireUnits = strings.Fields(`>request <response >hello <hello-back >first-fragment >ping >last-fragment <pong <whole-back
	>length16 <length16-back >length64 <length64-back >deflate <deflate-back >takeover <takeover-back >close <close-back`)

var wireUpdate = flag.Bool("update", false, "rewrite the dumps in "+wireDoc)

// A wireTap is a client's transport that remembers the traffic.
type wireTap struct {
	net.Conn
	sent, received []byte
	ended          bool // by the server
}

func (w *wireTap) Write(p []byte) (int, error) {
	w.sent = append(w.sent, p...)
	return w.Conn.Write(p)
}

func (w *wireTap) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.received = append(w.received, p[:n]...)
	w.ended = err == io.EOF
	return n, err
}

// wireTalk is the conversation with an echo server.
func wireTalk(t *testing.T) *wireTap {
	nc, far := tcpPair(t)
	l, tap := newListener(), &wireTap{Conn: far}
	server := &Server{Upgrader: Upgrader{Subprotocols: []string{"chat"}, Compression: &Compression{}}, Handler: echo}
	go server.Serve(l)
	defer server.Close()
	l.conns <- nc
	d := Dialer{Subprotocols: []string{"chat"}, Compression: &Compression{},
		NetDial: func(string, string) (net.Conn, error) { return tap, nil }}
	c, _, err := d.Dial("ws://server.example.com/chat", http.Header{"Origin": {"http://server.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	noise := make([]byte, 1<<16) // which does not get shorter by compression
	rand.NewChaCha8([32]byte{}).Read(noise)
	for i, m := range [][]byte{[]byte("Hello"), []byte("Hello, in two"), noise[:256], noise,
		fmt.Appendf(nil, wireJSON, 400), fmt.Appendf(nil, wireJSON, 250)} {
		switch i {
		case 1:
			w, _ := c.NextWriter(TextMessage)
			w.Write(m[:7])
			w.(*messageWriter).Flush()
			c.WriteControl(PingMessage, []byte("alive?"), time.Time{})
			w.Write(m[7:])
			w.Close()
		case 2, 3:
			c.WriteMessage(BinaryMessage, m)
		default:
			c.WriteMessage(TextMessage, m)
		}
		if _, got, err := c.ReadMessage(); err != nil || !bytes.Equal(got, m) {
			t.Fatalf("sent %.50q, got %.50q (%v)", m, got, err)
		}
	}
	if err := c.Shutdown(context.Background(), CloseNormalClosure, "bye"); err != nil || !tap.ended {
		t.Fatalf("the client saw no end of the server's: %v", err)
	}
	return tap
}

// fixKeys replaces the handshake's key and the values that depend on it.
func (w *wireTap) fixKeys() {
	_, key, _ := strings.Cut(string(w.sent), "Sec-WebSocket-Key: ")
	key = key[:len(wireKey)]
	w.sent = bytes.Replace(w.sent, []byte(key), []byte(wireKey), 1)
	w.received = bytes.Replace(w.received, appendAccept(nil, key), appendAccept(nil, wireKey), 1)
}

// wireNext takes a unit from the front of a stream, and fixes its masking key.
func wireNext(t *testing.T, stream *[]byte, key uint32) (unit []byte) {
	end := headerEnd(*stream, 0)
	if !bytes.HasPrefix(*stream, []byte("GET ")) && !bytes.HasPrefix(*stream, []byte("HTTP/")) {
		h, n, err := consumeHeader(*stream)
		end = n + int(h.length)
		if n == 0 || err != nil || end > len(*stream) {
			t.Fatalf("no frame: %v", err)
		}
		if h.masked {
			mask((*stream)[n:end], h.key^key)
			h.key = key
			appendHeader((*stream)[:0], h)
		}
	}
	unit, *stream = (*stream)[:end], (*stream)[end:]
	return unit
}

// wireDump shows the places of a unit's parts, their bytes, and their meaning.
func wireDump(b []byte) (dump string) {
	at := 0
	row := func(n int, meaning string, args ...any) {
		line := fmt.Sprintf("%04x  %-24.23s %s", at, fmt.Sprintf("% x", b[at:at+n]), fmt.Sprintf(meaning, args...))
		dump += strings.TrimRight(line, " ") + "\n"
		at += n
	}
	if bytes.HasSuffix(b, []byte("\r\n\r\n")) {
		for line := range strings.Lines(string(b)) {
			row(len(line), "%s", strings.Replace(line, "\r\n", `\r\n`, 1))
		}
		return dump
	}
	h, n, _ := consumeHeader(b)
	row(1, "FIN %d, RSV %03b, opcode %04b (%v)", b[0]>>7, b[0]>>4&7, h.opcode, h.opcode)
	row(1, "MASK %d, length %07b (%d)", b[1]>>7, b[1]&0x7f, b[1]&0x7f)
	if more := n - 4*int(b[1]>>7) - at; more > 0 {
		row(more, "length, continued: %d", h.length)
	}
	payload := bytes.Clone(b[n:])
	if h.masked {
		row(4, "masking key")
		mask(payload, h.key)
	}
	for len(payload) > 0 && (h.length < 100 || at < n+16) {
		p, meaning := payload[:min(8, len(payload))], ""
		if h.opcode == opClose && at == n {
			p = p[:2]
		}
		if h.masked {
			meaning = fmt.Sprintf("⊕ key = %-24s ", fmt.Sprintf("% x", p))
		}
		if text := fmt.Sprintf("%+q", p); !strings.Contains(text, `\`) {
			meaning += text
		}
		row(len(p), "%s", meaning)
		payload = payload[len(p):]
	}
	if len(payload) > 0 {
		row(0, "… %d bytes more", len(payload))
	}
	return dump
}

func TestWireDoc(t *testing.T) {
	tap, dumps := wireTalk(t), make(map[string]string)
	tap.fixKeys()
	streams := map[byte]*[]byte{'>': &tap.sent, '<': &tap.received}
	for i, name := range wireUnits {
		unit := wireNext(t, streams[name[0]], wireMask+uint32(i-2)*0x9e3779b9)
		dumps[name[1:]] = wireDump(unit)
		from := map[byte]string{'>': "client ─►", '<': "◄─ server"}[name[0]]
		dumps["conversation"] += fmt.Sprintf("%s %6d bytes  %s\n", from, len(unit), name[1:])
	}
	if len(tap.sent)+len(tap.received) > 0 {
		t.Errorf("there is more: % x, % x", tap.sent, tap.received)
	}
	doc, _ := os.ReadFile(wireDoc)
	blocks := regexp.MustCompile("(?s)<!-- dump:([a-z0-9-]+) -->\n```\n.*?```\n")
	doc = blocks.ReplaceAllFunc(doc, func(old []byte) []byte {
		name := string(blocks.FindSubmatch(old)[1])
		block := fmt.Sprintf("<!-- dump:%s -->\n```\n%s```\n", name, dumps[name])
		if string(old) != block && !*wireUpdate {
			t.Errorf("%s is out of date (go test -run WireDoc -update .): it has\n%s\ninstead of\n%s", wireDoc, old, block)
		}
		delete(dumps, name)
		return []byte(block)
	})
	for name := range dumps {
		t.Errorf("%s has no place for the dump %s", wireDoc, name)
	}
	if *wireUpdate {
		os.WriteFile(wireDoc, doc, 0o666)
	}
}
