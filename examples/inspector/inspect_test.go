package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// One text goes there and back, and each byte of the frames is shown.
func TestFrames(t *testing.T) {
	addr, _ := start(t, "")
	w := watch(t, addr)
	c := dial(t, websocket.Dialer{}, "ws://"+addr+"/ws")
	c.WriteMessage(websocket.TextMessage, []byte("Hello"))
	read(t, c, "Hello")

	in := w.frame(websocket.TextMessage, false, clientSide)
	// RFC 6455 section 5.2: FIN and text, MASK and 5, the key.
	if want := append([]byte{0x81, 0x85}, in.Key...); !bytes.Equal(in.Header, want) || len(in.Key) != 4 {
		t.Errorf("header % x, key % x, want % x", in.Header, in.Key, want)
	}
	unmasked := make([]byte, len(in.Wire))
	for i := range unmasked {
		unmasked[i] = in.Wire[i] ^ in.Key[i%4]
	}
	if string(unmasked) != "Hello" || string(in.Payload) != "Hello" || bytes.Equal(in.Wire, in.Payload) {
		t.Errorf("on the wire % x, which XORs to %q; unmasked %q", in.Wire, unmasked, in.Payload)
	}
	if in.Message != 1 || in.Part != 1 || in.Whole != nil || in.Missing != 0 {
		t.Errorf("a message of one frame: %+v", in)
	}

	out := w.frame(websocket.TextMessage, true, clientSide)
	if string(out.Header) != "\x81\x05" || out.Masked || out.Key != nil || string(out.Wire) != "Hello" {
		t.Errorf("the server's frame: header % x, %q", out.Header, out.Wire)
	}
}

// The example of section 1.3 is followed step by step: the computed accept value is the one that
// was sent.
func TestHandshakeSteps(t *testing.T) {
	addr, _ := start(t, "")
	w := watch(t, addr)
	d := websocket.Dialer{Subprotocols: []string{"chat"}}
	dial(t, d, "ws://"+addr+"/ws")
	h := w.until("handshake", clientSide).Handshake
	if h.Key == "" || !strings.Contains(h.Request, "Sec-WebSocket-Key: "+h.Key+"\r\n") {
		t.Errorf("key %q in the request\n%s", h.Key, h.Request)
	}
	for _, want := range []string{"HTTP/1.1 101 ", "Sec-WebSocket-Accept: " + h.Accept + "\r\n", "Sec-WebSocket-Protocol: chat\r\n"} {
		if !strings.Contains(h.Response, want) {
			t.Errorf("no %q in the response\n%s", want, h.Response)
		}
	}
	w = watch(t, addr) // a later observer learns of open connections
	if late := w.next(); late.Handshake == nil || late.Handshake.Key != h.Key {
		t.Errorf("a late observer is told %+v", late)
	}
}

// The known vector of section 1.3.
func TestAcceptSteps(t *testing.T) {
	r := newRequest(t, "dGhlIHNhbXBsZSBub25jZQ==")
	h := newHandshake(r, nil, nil)
	if h.SHA1 != "b37a4f2cc0624f1690f64606cf385945b2bec4ea" || h.Accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("SHA-1 %s, accept %s", h.SHA1, h.Accept)
	}
}

// A long message comes in fragments, with a ping between them.
func TestFragments(t *testing.T) {
	addr, _ := start(t, "")
	w := watch(t, addr)
	c := dial(t, websocket.Dialer{}, "ws://"+addr+"/ws?tab=mine")
	w.until("handshake", clientSide)
	w.ask(command{Do: "long", Tab: "mine"})
	_, long, err := c.ReadMessage()
	if err != nil || len(long) != longLines*52 {
		t.Fatalf("received %d bytes, %v", len(long), err)
	}

	first := w.frame(websocket.TextMessage, true, clientSide)
	if first.Header[0] != 0x01 || first.Part != 1 || int64(len(first.Payload)) >= first.Length || len(first.Payload) != shown {
		t.Errorf("the first fragment: header % x, part %d, %d of %d bytes shown", first.Header, first.Part, len(first.Payload), first.Length)
	}
	parts, pings := w.fragments(first)
	last, total := parts[len(parts)-1], int64(0)
	for i, f := range parts {
		total += f.Length
		if f.Part != i+1 || f.Message != first.Message || f.Type != websocket.TextMessage || i > 0 && f.Opcode != 0 {
			t.Errorf("fragment %d: %+v", i+1, f)
		}
	}
	if len(parts) < 3 || total != int64(len(long)) || pings != 1 {
		t.Errorf("%d parts, %d bytes, %d pings between them", len(parts), total, pings)
	}
	if last.Header[0] != 0x80 || last.Whole.Length != len(long) || !bytes.Equal(last.Whole.Bytes, long[:shown]) {
		t.Errorf("the message's end: header % x, %d bytes: %.40q", last.Header, last.Whole.Length, last.Whole.Bytes)
	}
}

// fragments collects the frames that the server sends from first on to the end
// of its message, and counts the pings between them.
func (w watcher) fragments(first *frame) (parts []*frame, pings int) {
	w.t.Helper()
	for f := first; ; f = w.until("frame", clientSide).Frame {
		switch {
		case !f.Sent: // a pong
		case f.Opcode == websocket.PingMessage && f.Message == 0: // it belongs to no message
			pings++
		default:
			if parts = append(parts, f); f.Whole != nil {
				return parts, pings
			}
		}
	}
}

// Compressed messages are shown on the wire and inflated, and may refer to earlier ones.
func TestCompression(t *testing.T) {
	addr, _ := start(t, "")
	w := watch(t, addr)
	d := websocket.Dialer{Compression: &websocket.Compression{}}
	plain := dial(t, d, "ws://"+addr+"/ws")
	if h := w.until("handshake", clientSide).Handshake; strings.Contains(h.Response, "permessage-deflate") {
		t.Error("/ws agreed to compression")
	}
	plain.Close()
	c := dial(t, d, "ws://"+addr+"/ws?compress=1")
	var alone int64 // the first message, which has nothing to refer to
	for i := range 3 {
		text := fmt.Sprintf("message %d: %s", i, strings.Repeat("a compressed message repeats itself; ", 20))
		c.WriteMessage(websocket.TextMessage, []byte(text))
		read(t, c, text)
		for _, sent := range []bool{false, true} {
			f := w.frame(websocket.TextMessage, sent, clientSide)
			if f.Header[0] != 0xc1 || !f.Compressed || f.Whole == nil {
				t.Fatalf("header % x, compressed %v, %+v", f.Header, f.Compressed, f.Whole)
			}
			if string(f.Whole.Bytes) != text[:shown] || f.Whole.Length != len(text) || int64(f.Whole.Packed) != f.Length || f.Whole.Error != "" {
				t.Errorf("%d bytes inflate to %+v, want %d bytes", f.Length, f.Whole, len(text))
			}
			if i == 0 {
				alone = f.Length
			} else if f.Length >= alone {
				t.Errorf("%d bytes with earlier messages to refer to, %d without", f.Length, alone)
			}
		}
	}
}

// Pings, both close codes, and a frame that was cut short.
func TestControlFrames(t *testing.T) {
	addr, _ := start(t, "")
	w := watch(t, addr)
	c := dial(t, websocket.Dialer{}, "ws://"+addr+"/ws?tab=mine")
	go c.ReadMessage()
	w.until("handshake", clientSide)
	w.ask(command{Do: "ping", Tab: "mine", Text: "are you there?"})
	if f := w.frame(websocket.PingMessage, true, clientSide); string(f.Payload) != "are you there?" {
		t.Errorf("ping %q", f.Payload)
	}
	if f := w.frame(websocket.PongMessage, false, clientSide); string(f.Payload) != "are you there?" || !f.Masked {
		t.Errorf("pong %q, masked %v", f.Payload, f.Masked)
	}
	w.ask(command{Do: "close", Tab: "mine", Code: 4000, Text: "enough"})
	if f := w.frame(websocket.CloseMessage, true, clientSide); string(f.Payload) != "\x0f\xa0enough" {
		t.Errorf("close % x", f.Payload)
	}
	if f := w.frame(websocket.CloseMessage, false, clientSide); string(f.Payload) != "\x0f\xa0" {
		t.Errorf("its answer % x", f.Payload)
	}
	if e := w.until("end", clientSide); !strings.Contains(e.Text, "4000") {
		t.Errorf("end: %s", e.Text)
	}

	c = dial(t, websocket.Dialer{}, "ws://"+addr+"/ws")
	c.NetConn().Write([]byte("\x82\x85\x00\x00\x00\x00ab"))
	c.Close()
	if f := w.frame(websocket.BinaryMessage, false, clientSide); f.Missing != 3 || string(f.Payload) != "ab" {
		t.Errorf("a frame that was cut: %d bytes missing, %q", f.Missing, f.Payload)
	}
	w.until("end", clientSide)
}

// An observer that does not read holds up no connection, and is told the number of events it
// missed.
func TestSlowObserver(t *testing.T) {
	h := newHub()
	o := newObserver()
	h.join(o)
	const extra = 10
	for range queueLimit + extra {
		h.publish(&event{Kind: "frame"})
	}
	if e := o.next(); e.Kind != "dropped" || e.Count != extra {
		t.Errorf("first %s, %d; want %d dropped", e.Kind, e.Count, extra)
	}
	for i := range queueLimit {
		if e := o.next(); e.Kind != "frame" || e.Number != extra+1+i {
			t.Fatalf("event %d: %s %d", i, e.Kind, e.Number)
		}
	}
	if e := o.next(); e != nil {
		t.Errorf("left over: %+v", e)
	}
}

// The same over the network: more than a socket's buffers take.
func TestStuckObserver(t *testing.T) {
	addr, _ := start(t, "")
	w := watch(t, addr) // and does not read on
	c := dial(t, websocket.Dialer{}, "ws://"+addr+"/ws")
	c.SetReadDeadline(time.Now().Add(time.Minute))
	data := bytes.Repeat([]byte("0123456789abcdef"), 64)
	for range 3000 { // two events of 1 KB and more each
		c.WriteMessage(websocket.BinaryMessage, data)
		read(t, c, string(data))
	}
	w.SetReadDeadline(time.Now().Add(time.Minute))
	if e := w.until("dropped", ""); e.Count < 1 {
		t.Errorf("%d events dropped", e.Count)
	}
}

func TestHexBytes(t *testing.T) {
	b, err := json.Marshal(frame{Header: hexBytes("\x81\x00")})
	if err != nil || !strings.Contains(string(b), `"header":"8100"`) {
		t.Errorf("%s, %v", b, err)
	}
}
