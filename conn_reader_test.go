package websocket

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// If a deadline passes while a message is skipped, the next read skips the rest of it. The tail is
// not delivered as a message.
func TestSkipIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipePair(t)
		whole := append(frame(opText, true, "AAAABBBBCCCC", testKey), frame(opText, true, "next", testKey)...)
		go func() {
			client.nc.Write(whole[:6+8])
			time.Sleep(time.Minute)
			client.nc.Write(whole[6+8:])
		}()
		_, r, err := server.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(r, make([]byte, 4))
		server.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := server.ReadMessage(); !isTimeout(err) {
			t.Fatalf("read behind half a message: %v, want a timeout", err)
		}
		if _, err := r.Read(make([]byte, 4)); err != io.EOF {
			t.Errorf("the reader that was left: %v, want EOF", err)
		}
		server.SetReadDeadline(time.Time{})
		if _, p, err := server.ReadMessage(); string(p) != "next" || err != nil {
			t.Errorf("ReadMessage: %q, %v; want the next message", p, err)
		}
	})
}

// A stream that Shutdown cuts short does not look complete.
func TestShutdownCutsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipePair(t)
		go func() {
			client.WriteMessage(BinaryMessage, make([]byte, 9000))
			client.ReadMessage()
		}()
		_, r, err := server.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(r, make([]byte, 1000))
		if err := server.Shutdown(t.Context(), CloseNormalClosure, ""); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if _, err := r.Read(make([]byte, 10)); err == nil || err == io.EOF {
			t.Errorf("read after Shutdown: %v, want an error that is not EOF", err)
		}
	})
}

// Text with bytes that are not UTF-8 is not delivered.
func TestReaderKeepsInvalidText(t *testing.T) {
	server, client := pipePair(t)
	go io.Copy(io.Discard, client.nc)
	clientSends(client, frame(opText, true, "ok\xff\xfebad", testKey))
	_, r, err := server.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if e, ok := errors.AsType[*ProtocolError](err); !ok || e.Code != CloseInvalidFramePayloadData || len(got) != 0 {
		t.Errorf("read %q, %v; want nothing, and code 1007", got, err)
	}
}

// The transport's end inside a message is no end of the message.
func TestReaderOfCutMessage(t *testing.T) {
	for _, cut := range []int{7, 9, 6 + 40} {
		wire := frame(opText, true, strings.Repeat("Hello", 20), testKey)[:cut]
		c := newConn(&memoryConn{r: strings.NewReader(string(wire))}, false)
		_, r, err := c.NextReader()
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !IsCloseError(err, CloseAbnormalClosure) {
			t.Errorf("cut after %d bytes: %v, want 1006", cut, err)
		}
	}
}

func TestJoinMessages(t *testing.T) {
	server, client := pipePair(t)
	go func() {
		for _, s := range []string{"one", "", "three"} {
			client.WriteMessage(TextMessage, []byte(s))
		}
		client.WriteMessage(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""))
		client.ReadMessage()
	}()
	var b strings.Builder
	_, err := io.Copy(&b, JoinMessages(server, "\n"))
	if b.String() != "one\n\nthree\n" || !IsCloseError(err, CloseNormalClosure) {
		t.Errorf("%q, %v", b.String(), err)
	}
}
