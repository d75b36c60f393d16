package browser

import (
	"bytes"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

const selected = "#detail" // the entry that is selected in the list

func TestInspector(t *testing.T) {
	server := Start(t, "inspector")
	page := Open(t, server.URL)
	page.See("#watching", "watching")
	page.See("#state", "not connected")
	page.Labelled()

	t.Log("the opening handshake")
	page.Fill("#protocols", "chat, chat.v2")
	page.Click("#connect")
	page.See("#state", "connected")
	page.See(last, "handshake", "GET /ws", "101")
	page.See(selected, "Sec-WebSocket-Key: ", "101 Switching Protocols", "Sec-WebSocket-Protocol: chat", "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", "SHA-1")
	marks := evaluate[[]string](page, `[...document.querySelectorAll("#detail mark")].map((m) => m.textContent)`)
	if len(marks) != 4 || marks[0] != marks[2] || marks[1] != marks[3] {
		t.Errorf("marked are %q: want key, accept, and both again in the steps", marks)
	}

	t.Log("a text, there and back")
	page.Fill("#text", "Grüße, 世界 👋")
	page.Click("#text-form button")
	page.See(last, "server → client", "text", "Grüße, 世界 👋")
	page.See(selected, "Text frame, server → client", "Header: 2 bytes 81 14", "no masking key", "not masked")
	page.Click("#log li:nth-child(2) button")
	page.See(selected, "Text frame, client → server", "Header: 6 bytes 81 94", "Grüße, 世界 👋", "20: the 7-bit form")
	checkInspectorMask(t, page, "Grüße, 世界 👋")

	t.Log("the keyboard")
	page.Click("#log li:nth-child(2) button")
	page.Press(kb.ArrowUp)
	page.See(selected, "Opening handshake")
	page.Press(kb.ArrowDown)
	page.Press(kb.ArrowDown)
	page.See(selected, "Text frame, server → client") // the newest, so the next ones will be shown

	t.Log("the forms of the length")
	for _, form := range []struct{ size, want string }{
		{"125", "125: the 7-bit form"},
		{"126", "126: the 16-bit form"},
		{"65536", "65,536: the 64-bit form"},
	} {
		page.Fill("#size", form.size)
		page.Click("#size-form button")
		page.See(selected, "Binary frame, server → client", form.want)
	}
	page.See(selected, "the first 256 of 65,536 bytes")
	page.Fill("#hex", "00 7f 80 ff")
	page.Click("#hex-form button")
	page.See(last, "4 bytes", "00 7f 80 ff")

	t.Log("what a script cannot do")
	page.Click("#ping-form button")
	page.See(last, "client → server", "pong", "are you there?")
	page.Click("#long")
	page.See("#log", "part 1, 32,754 bytes", "ping\n21 bytes", "pong\n21 bytes", "part 4") // the pong may come before part 4

	t.Log("what the page refuses, in words")
	page.Fill("#hex", "0g")
	page.Click("#hex-form button")
	page.See("#error", "pairs of hex digits")
	page.Fill("#code", "1001")
	page.Click("#close-form button")
	page.See("#error", "refused code 1001")
	page.Fill("#ping", strings.Repeat("x", 126))
	page.Click("#ping-form button")
	page.See("#error", "at most 125")

	t.Log("closing")
	page.Fill("#code", "4000")
	page.Fill("#reason", "that's all")
	page.Click("#close-form button")
	page.See("#state", "closed: 4000, for private use")
	page.See(last, "end", "4000")
	page.See("#log", "4000 for private use")

	t.Log("compression")
	page.Click("#compress")
	page.Click("#connect")
	page.See("#state", "connected")
	page.See(selected, "Sec-WebSocket-Extensions: permessage-deflate")
	page.Fill("#text", strings.Repeat("what repeats itself gets shorter; ", 8))
	page.Click("#text-form button")
	page.See(last, "server → client", "compressed")
	page.See(selected, "RSV1", "this message is compressed", "bytes on the wire inflate to 272 bytes", "what repeats itself gets shorter")

	t.Log("on a phone")
	page.Resize(320, 640)
	page.Click("#server-close")
	page.See("#state", "closed: 1001, going away")
	page.Quiet()
	server.Interrupt()
	page.See("#watching", "gone")
	server.WaitExit()
}

// checkInspectorMask does what the page teaches: it takes the masking key and
// the bytes of a packet capture from it, and unmasks them.
func checkInspectorMask(t *testing.T, page *Page, text string) {
	t.Helper()
	header := unhex(t, page.Text("#detail h4 code"))
	key := header[len(header)-4:]
	dumps := evaluate[[]string](page, `[...document.querySelectorAll("#detail .pair pre")].map((p) => p.textContent)`)
	if len(dumps) != 2 {
		t.Fatalf("%d dumps, want the masked and the unmasked one", len(dumps))
	}
	wire, plain := undump(t, dumps[0]), undump(t, dumps[1])
	if string(plain) != text || len(wire) != len(plain) {
		t.Errorf("unmasked: %q", plain)
	}
	for i := range wire {
		wire[i] ^= key[i%4]
	}
	if !bytes.Equal(wire, plain) {
		t.Errorf("the masked bytes XOR to %q", wire)
	}
	page.Fill("#byte", "5") // the second of ß: 47 72 c3 bc c3 9f
	page.See("#unmasking", "byte 5 XOR key[5 mod 4]", "9f")
}

// undump reads the bytes of a hex dump.
func undump(t *testing.T, dump string) (dumped []byte) {
	for _, row := range regexp.MustCompile(`(?m)^[0-9a-f]{4}  (.{23})`).FindAllStringSubmatch(dump, -1) {
		dumped = append(dumped, unhex(t, row[1])...)
	}
	return dumped
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(s), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An inspector in front of another one shows both of its connections.
func TestInspectorTarget(t *testing.T) {
	behind := Start(t, "inspector")
	target := strings.Replace(behind.URL, "http", "ws", 1) + "/ws"
	front := Run(t, behind.cmd.Path, "-target", target, "-addr", "localhost:0")
	front.waitURL()
	page := Open(t, front.URL)
	page.See("#about", target)
	page.Click("#connect")
	page.See("#state", "connected")
	page.See("#log", "target side: GET /ws HTTP/1.1", "client side: GET /ws?tab=")
	page.Click("#text-form button")
	page.See(last, "inspector → client", "Hello")
	page.See("#log", "client → inspector", "inspector → target", "target → inspector")
	page.Fill("#code", "3210")
	page.Click("#close-form button")
	page.See("#state", "closed: 3210")
	page.See(last, "end")
	page.Quiet()

	t.Log("nobody there")
	behind.Interrupt()
	behind.WaitExit()
	page.Fill("#protocols", "chat")
	page.Click("#connect")
	page.See("#state", "closed: 1014, bad gateway")
	page.See("#error", "refused")
	page.See("#log", "target side: failed", "1014 bad gateway")
	page.Quiet()
}
