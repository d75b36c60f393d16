package main

// This benchmark measures an echo of 125 bytes without a kernel. Frames come from memory, and
// written bytes are discarded.
//
//	go test -run - -bench UserSpace

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"
	"github.com/plainsocket/websocket"
)

// endless is a connection on which the same frames come again and again.
type endless struct {
	net.Conn
	wire []byte
	pos  int
}

func newEndless() *endless {
	f := ws.MaskFrame(ws.NewBinaryFrame(bytes.Repeat([]byte("x"), 125)))
	return &endless{wire: bytes.Repeat(ws.MustCompileFrame(f), 7)}
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.wire[e.pos:])
	e.pos = (e.pos + n) % len(e.wire)
	return n, nil
}

func (e *endless) Write(p []byte) (int, error)      { return len(p), nil }
func (e *endless) Close() error                     { return nil }
func (e *endless) SetDeadline(time.Time) error      { return nil }
func (e *endless) SetReadDeadline(time.Time) error  { return nil }
func (e *endless) SetWriteDeadline(time.Time) error { return nil }

// hijackable is a ResponseWriter whose connection is an endless one.
type hijackable struct{ *httptest.ResponseRecorder }

func (hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	e := newEndless()
	return e, bufio.NewReadWriter(bufio.NewReader(e), bufio.NewWriter(e)), nil
}

func upgradeRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {loadKeyHeader}}
	return r
}

func BenchmarkUserSpace(b *testing.B) {
	w := hijackable{httptest.NewRecorder()}
	b.Run("plainsocket", func(b *testing.B) {
		c, err := new(websocket.Upgrader).Upgrade(w, upgradeRequest(), nil)
		if err != nil {
			b.Fatal(err)
		}
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			messageType, p, err := c.AppendMessage(buf[:0])
			if err != nil || c.WriteMessage(messageType, p) != nil {
				b.Fatal(err)
			}
			buf = p
		}
	})
	b.Run("gobwas", func(b *testing.B) {
		e := newEndless()
		br := bufio.NewReader(e)
		var out appender
		b.ReportAllocs()
		for b.Loop() {
			h, err := ws.ReadHeader(br)
			if err != nil || out.echo(h, br) != nil {
				b.Fatal(err)
			}
			e.Write(out)
			out = out[:0]
		}
	})
	b.Run("gorilla", func(b *testing.B) {
		c, err := new(gorilla.Upgrader).Upgrade(w, upgradeRequest(), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			messageType, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(messageType, p) != nil {
				b.Fatal(err)
			}
		}
	})
}
