package browser

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// last is the newest entry of the page's list of messages.
const last = "#log li:last-child"

func TestEcho(t *testing.T) {
	server := Start(t, "echo")
	page := Open(t, server.URL)
	page.See("#state", "connected")
	page.See("#log", "connected")
	page.Labelled()

	t.Log("text")
	page.Fill("#text", "Grüße, 世界 👩‍🚀🎉")
	page.Click("#text-form button")
	page.See(last, "received", "text", "31 bytes", "Grüße, 世界 👩‍🚀🎉", "same as sent")
	page.Fill("#text", "sent with Enter")
	page.Press("\r")
	page.See(last, "received", "text", "15 bytes", "sent with Enter", "same as sent")
	page.Fill("#text", "")
	page.Click("#text-form button")
	page.See(last, "received", "text", "0 bytes", "(empty)", "same as sent")

	t.Log("binary")
	page.Fill("#hex", "0x00, 7f:80 FF")
	page.Click("#hex-form button")
	page.See(last, "received", "binary", "4 bytes", "00 7f 80 ff", "same as sent")
	file := filepath.Join(t.TempDir(), "five")
	if err := os.WriteFile(file, []byte("\x01\x02\x03\x04\x05"), 0o666); err != nil {
		t.Fatal(err)
	}
	page.ChooseFile("#file", file)
	page.Click("#file-form button")
	page.See(last, "received", "binary", "5 bytes", "01 02 03 04 05", "same as sent")
	page.Fill("#random", "1048576")
	page.Click("#random-form button")
	page.See(last, "received", "binary", "1,048,576 bytes", "same as sent")

	checkMessages(t, page, 6)

	t.Log("what the page refuses, in words")
	page.Fill("#hex", "0g")
	page.Click("#hex-form button")
	page.See("#error", "“g” is not a hex digit")
	page.Fill("#hex", "abc")
	page.Click("#hex-form button")
	page.See("#error", "3 hex digits")
	page.Fill("#random", "-1")
	page.Click("#random-form button")
	page.See("#error", "whole number")
	page.Fill("#code", "1001")
	page.Click("#close-form button")
	page.See("#error", "refused code 1001")
	page.Fill("#code", "4000")
	page.Fill("#reason", strings.Repeat("ü", 62)) // 124 bytes
	page.Click("#close-form button")
	page.See("#error", "123 bytes")
	page.See("#state", "connected") // none of this did harm

	t.Log("close with 4000")
	page.Fill("#reason", "that's all, ta 👋")
	page.Click("#close-form button")
	page.See("#state", "closed")
	page.See("#closed", "4000", "private use", "true")
	page.See(last, "closed", "code 4000", "wasClean true")
	server.WaitOutput("that's all, ta 👋") // the reason has arrived
	page.See("#error", "")

	t.Log("close without a code")
	page.Click("#reconnect")
	page.See("#state", "connected")
	page.Fill("#code", "")
	page.Fill("#reason", "")
	page.Click("#close-form button")
	page.See("#state", "closed")
	page.See("#closed", "1005", "true")

	t.Log("on a phone")
	page.Click("#reconnect")
	page.See("#state", "connected")
	page.Resize(320, 640)
	page.Fill("#text", "still here")
	page.Click("#text-form button")
	page.See(last, "received", "still here", "same as sent")

	t.Log("the server is interrupted")
	page.Quiet()
	server.Interrupt()
	page.See("#state", "closed")
	page.See("#closed", "1001", "going away", "true")
	server.WaitExit()
	page.Click("#reconnect")
	page.See("#error", "Could not connect")
	page.See("#closed", "1006", "false")
}

// checkMessages compares the page's sent and received messages by the browser's own account, and
// requires n of each.
func checkMessages(t *testing.T, page *Page, n int) {
	t.Helper()
	sent, received := page.Messages()
	if len(sent) != n || len(received) != n {
		t.Fatalf("the browser counts %d messages sent and %d received, not %d", len(sent), len(received), n)
	}
	for i := range sent {
		s, r := sent[i], received[i]
		if s.Opcode != r.Opcode || !bytes.Equal(s.PayloadData, r.PayloadData) {
			t.Errorf("message %d came back changed: sent opcode %v, %d bytes; received opcode %v, %d bytes",
				i, s.Opcode, len(s.PayloadData), r.Opcode, len(r.PayloadData))
		}
		if !s.Mask || r.Mask {
			t.Errorf("message %d: masked by the client %v, by the server %v", i, s.Mask, r.Mask)
		}
	}
}
