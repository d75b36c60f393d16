package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
)

const goodResponse = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + loadAccept + "\r\n\r\n"

func TestReadResponse(t *testing.T) {
	for _, test := range []struct {
		name, response, wantErr string
	}{
		{"good", goodResponse, ""},
		{"refused", "HTTP/1.1 403 Forbidden\r\n\r\n", "403"},
		{"accepts another key", strings.Replace(goodResponse, loadAccept, "x"+loadAccept[1:], 1), "the answer is"},
		{"more behind it", goodResponse + "\x89\x00", "behind the response"},
		{"cut off", goodResponse[:40], "EOF"},
	} {
		_, err := readResponse(iotest.OneByteReader(strings.NewReader(test.response)), make([]byte, 4096))
		if test.name == "more behind it" { // one byte at a time it would not be seen
			_, err = readResponse(strings.NewReader(test.response), make([]byte, 4096))
		}
		if test.wantErr == "" && err != nil || test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.wantErr)
		}
	}
}

func TestReadMessage(t *testing.T) {
	message := appendServerFrame(nil, finBinary, []byte("content"))
	got, err := readMessage(iotest.OneByteReader(bytes.NewReader(message)))
	if err != nil || !bytes.Equal(got, message) {
		t.Errorf("% x, %v", got, err)
	}
	for name, stream := range map[string][]byte{
		"two messages":  append(bytes.Clone(message), message...),
		"a close frame": appendServerFrame(nil, 0x88, []byte{3, 232}),
		"half of it":    message[:5],
	} {
		if got, err := readMessage(bytes.NewReader(stream)); err == nil {
			t.Errorf("%s: % x, want an error", name, got)
		}
	}
}

func TestSameContent(t *testing.T) {
	messages := jsonMessages(1)
	s, err := deflateScript(messages, agreement{compressed: true, clientBits: 15})
	if err != nil {
		t.Fatal(err)
	}
	payload := unmask(t, s.frames(0, 1))
	if err := sameContent(messages[0])(appendServerFrame(nil, finText|rsv1, payload)); err != nil {
		t.Error(err)
	}
	other, err := deflateScript([][]byte{[]byte("other")}, agreement{compressed: true, clientBits: 15})
	if err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string][]byte{
		"other content":  appendServerFrame(nil, finText|rsv1, unmask(t, other.frames(0, 1))),
		"not compressed": appendServerFrame(nil, finText, messages[0]),
		"damaged":        appendServerFrame(nil, finText|rsv1, payload[:len(payload)-20]),
	} {
		if err := sameContent(messages[0])(message); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
