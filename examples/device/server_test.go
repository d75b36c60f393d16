package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/plainsocket/websocket"
)

// The certificate names a device, not its messages.
func TestIdentityIsTheCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen", "cellar")
		c := w.open("kitchen")
		c.WriteMessage(websocket.TextMessage, []byte(`{"type":"register","outbox":"o","name":"cellar","device":"cellar","about":"cellar"}`))
		if m := w.read(c); m.Type != "welcome" || m.Name != "kitchen" || m.Heartbeat != 3000 || m.UpTo != 0 {
			t.Errorf("the server says %+v", m)
		}
		c.WriteJSON(message{Type: "report", Name: "cellar", Report: &report{Seq: 1, Celsius: 1}})
		if m := w.read(c); m.Type != "acknowledge" || m.UpTo != 1 {
			t.Errorf("the server says %+v", m)
		}
		if d := w.see("kitchen"); !d.Here || d.Reports != 1 || d.About != "cellar" {
			t.Errorf("of the kitchen the server knows %+v", d)
		}
		if d := w.see("cellar"); d.Name != "" {
			t.Errorf("of the cellar the server knows %+v", d)
		}
		w.end()
	})
}

func TestDateAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		c := w.connect("kitchen", "o")
		asked := time.Now().UTC()
		time.Sleep(time.Second)
		c.WriteJSON(message{Type: "time", Asked: asked})
		if m := w.read(c); m.Type != "time" || !m.Asked.Equal(asked) || !m.Time.Equal(asked.Add(time.Second)) {
			t.Errorf("asked at %v, the server says %+v", asked, m)
		}
		w.end()
	})
}

// A device that is silent for three heartbeats and a bit is timed out, and told so. Pings and pongs
// do not count, because they do not show that the application is alive.
func TestTheSilentAreTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		c := w.connect("kitchen", "o")
		start := time.Now()
		go func() {
			for c.WriteControl(websocket.PingMessage, nil, time.Time{}) == nil {
				time.Sleep(700 * time.Millisecond)
			}
		}()
		_, _, err := c.ReadMessage()
		if !websocket.IsCloseError(err, closeSilent) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if d := w.see("kitchen"); d.Here || d.Why != "timed out: nothing was heard for 10s" {
			t.Errorf("the server knows %+v", d)
		}
		w.end()
	})
}

// A device that was stopped, or lost its power, does not even answer the close.
func TestTheDeadAreTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		w.connect("kitchen", "o")
		w.lose(true, true)
		time.Sleep(10*time.Second - time.Nanosecond)
		if d := w.see("kitchen"); !d.Here {
			t.Errorf("before its time: %+v", d)
		}
		time.Sleep(time.Nanosecond)
		if d := w.see("kitchen"); d.Here {
			t.Errorf("after its time: %+v", d)
		}
		w.end()
	})
}

// A device that sends and does not read cannot hold up the server without end. (Nothing lies
// between the two sides of a pipe, so the first answer is stuck at once.)
func TestTheDeafAreTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		c := w.connect("kitchen", "o")
		c.WriteJSON(message{Type: "time"})
		time.Sleep(12 * time.Second)
		if d := w.see("kitchen"); d.Here {
			t.Errorf("the server knows %+v", d)
		}
		w.end()
	})
}

func TestHeartbeatsKeepADeviceHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		w.start("kitchen")
		time.Sleep(time.Hour)
		if d := w.see("kitchen"); !d.Here || d.Silent > 3000 {
			t.Errorf("after an hour: %+v", d)
		}
		if n := len(w.dialTimes()); n != 1 {
			t.Errorf("it took %d connections", n)
		}
		w.end()
	})
}

// A device that comes again replaces its older connection.
func TestReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		first := w.connect("kitchen", "o")
		second := w.connect("kitchen", "o")
		if _, _, err := first.ReadMessage(); !websocket.IsCloseError(err, closeReplaced) {
			t.Errorf("the first connection: %v", err)
		}
		second.WriteJSON(message{Type: "report", Report: &report{Seq: 1, Celsius: 1}})
		if m := w.read(second); m.UpTo != 1 {
			t.Errorf("the server says %+v", m)
		}
		if d := w.see("kitchen"); !d.Here {
			t.Errorf("the server knows %+v", d)
		}
		w.end()
	})
}

// Reports are counted within their outbox, each once.
func TestReportsAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		send := func(c *websocket.Conn, seq, wantUpTo uint64) {
			t.Helper()
			c.WriteJSON(message{Type: "report", Report: &report{Seq: seq, Celsius: float64(seq)}})
			if m := w.read(c); m.Type != "acknowledge" || m.UpTo != wantUpTo {
				t.Errorf("after report %d the server says %+v", seq, m)
			}
		}
		c := w.connect("kitchen", "first")
		send(c, 1, 1)
		send(c, 2, 2)
		send(c, 2, 2)
		send(c, 1, 2)
		send(c, 3, 3)
		if d := w.see("kitchen"); d.Reports != 3 || d.Duplicates != 2 {
			t.Errorf("the server knows %+v", d)
		}
		send(w.connect("kitchen", "second"), 1, 1) // the device lost its outbox
		if d := w.see("kitchen"); d.Reports != 4 || d.Duplicates != 2 {
			t.Errorf("the server knows %+v", d)
		}
		w.end()
	})
}

// breakJournal makes it fail as a disk does that has no room left.
func breakJournal(t *testing.T, j *journal) {
	t.Helper()
	readOnly, err := os.Open(j.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	j.file.Close()
	j.file = readOnly
}

// A report that cannot be kept is not acknowledged.
func TestReportThatCannotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		c := w.connect("kitchen", "o")
		breakJournal(t, w.server.registry.journal)
		c.WriteJSON(message{Type: "report", Report: &report{Seq: 1}})
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseInternalServerErr) {
			t.Errorf("%v", err)
		}
		if d := w.see("kitchen"); d.Reports != 0 {
			t.Errorf("the server knows %+v", d)
		}
		w.end()
	})
}

func TestWhatNoDeviceSays(t *testing.T) {
	register := `{"type":"register","outbox":"o"}`
	tests := []struct {
		messages []string
		code     int
	}{
		{[]string{"hello"}, closeUnknown},
		{[]string{""}, closeUnknown},
		{[]string{`{"type":`}, closeUnknown},
		{[]string{`{"type":"heartbeat"}`}, closeUnknown},
		{[]string{`{"type":"register"}`}, closeUnknown},
		{[]string{register, `{"type":"report"}`}, closeUnknown},
		{[]string{register, `{"type":"report","report":{"seq":-1}}`}, closeUnknown},
		{[]string{register, `{"type":"time","asked":"` + strings.Repeat("?", 1000) + `"}`}, closeUnknown},
		{[]string{register, `{"type":"open the door"}`}, closeUnknown},
		{[]string{register, register}, closeUnknown},
		{[]string{strings.Repeat(" ", messageLimit+1)}, websocket.CloseMessageTooBig},
		{[]string{"\xff"}, websocket.CloseInvalidFramePayloadData},
	}
	dir := makeTestCerts(t, "kitchen")
	_, addr, _, _ := startReal(t, dir)
	config, err := deviceTLS(dir, "kitchen")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		d := websocket.Dialer{TLSClientConfig: config}
		c, _, err := d.Dial("wss://"+addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range tt.messages {
			c.WriteMessage(websocket.TextMessage, []byte(m))
		}
		for err == nil {
			_, _, err = c.ReadMessage()
		}
		if !websocket.IsCloseError(err, tt.code) {
			t.Errorf("%.60q: %v, want code %d", tt.messages, err, tt.code)
		}
		c.Close()
	}
}

// Every error has a goodbye that fits into a close frame.
func TestGoodbye(t *testing.T) {
	s := &server{heartbeat: defaultHeartbeat}
	tests := []struct {
		err  error
		code int
	}{
		{goodbye{closeUnknown, "no"}, closeUnknown},
		{fmt.Errorf("wrapped: %w", goodbye{closeUnknown, "no"}), closeUnknown},
		{os.ErrDeadlineExceeded, closeSilent},
		{errNotUnderstood, closeUnknown},
		{&websocket.CloseError{Code: websocket.CloseGoingAway}, websocket.CloseNormalClosure},
		{&websocket.CloseError{Code: websocket.CloseNormalClosure}, websocket.CloseNormalClosure},
		{&websocket.CloseError{Code: websocket.CloseAbnormalClosure}, websocket.CloseInternalServerErr},
		{io.ErrUnexpectedEOF, websocket.CloseInternalServerErr},
		{net.ErrClosed, websocket.CloseInternalServerErr},
		{context.Canceled, websocket.CloseInternalServerErr},
		{errors.New(strings.Repeat("\xff", 1000)), websocket.CloseInternalServerErr},
	}
	for _, tt := range tests {
		if g := s.goodbye(tt.err); g.code != tt.code || len(g.why) > 123 || !utf8.ValidString(g.why) {
			t.Errorf("%v: %+v, want code %d", tt.err, g, tt.code)
		}
	}
}

// All devices are told when the server ends, and it waits for their answers.
func TestServerEndsPolitely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		c := w.connect("kitchen", "o")
		ended := make(chan error, 1)
		go func() {
			_, _, err := c.ReadMessage()
			c.Close()
			ended <- err
		}()
		if err := w.stop(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !websocket.IsCloseError(err, websocket.CloseGoingAway) {
			t.Error(err)
		}
		settle()
	})
}
