package websocket

import (
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A stuckWriter is net/http's writer for a peer whose window is full: it waits until the stream is
// reset.
type stuckWriter struct {
	*httptest.ResponseRecorder
	reset chan struct{}
}

func (w *stuckWriter) Write([]byte) (int, error) {
	<-w.reset
	return 0, errors.New("reset")
}
func (w *stuckWriter) FlushError() error               { return nil }
func (w *stuckWriter) SetReadDeadline(time.Time) error { return nil }

func (w *stuckWriter) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() && !t.After(time.Now()) {
		close(w.reset)
	}
	return nil
}

// newTestStream returns a stream whose peer takes nothing, and the peer's end of the body.
func newTestStream() (*http2Stream, *io.PipeWriter) {
	body, peer := io.Pipe()
	r := httptest.NewRequest("CONNECT", "/", body)
	w := &stuckWriter{httptest.NewRecorder(), make(chan struct{})}
	s := newHTTP2Stream(w, w, r)
	go s.serve(nil)
	return s, peer
}

func (s *http2Stream) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// The deadlines of a stream are those of a net.Conn: they end single calls, may be set again, and
// lose nothing.
func TestHTTP2StreamDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := newTestStream()
		defer peer.Close()
		buf := make([]byte, 10)
		start := time.Now()
		for range 2 {
			s.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := s.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Read returned %v", err)
			}
		}
		go peer.Write([]byte("Hello"))
		synctest.Wait()
		if _, err := s.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read returned %v after the deadline", err)
		}
		s.SetReadDeadline(time.Time{})
		if n, err := s.Read(buf); err != nil || string(buf[:n]) != "Hello" {
			t.Errorf("Read returned %q, %v", buf[:n], err)
		}

		s.Write(make([]byte, bufferSize)) // the writer takes it, and is stuck
		synctest.Wait()
		s.SetWriteDeadline(time.Now().Add(time.Minute))
		if n, err := s.Write(make([]byte, bufferSize+1)); n != bufferSize || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write returned %d, %v", n, err)
		}
		s.SetWriteDeadline(time.Time{})
		go s.Write([]byte("more"))
		synctest.Wait()
		if elapsed := time.Since(start); elapsed != 3*time.Minute {
			t.Errorf("all took %v, want the time of three deadlines", elapsed)
		}
		s.Close()
		synctest.Wait()
		if !s.hasEnded() {
			t.Error("a stream that was cut in the middle of a frame still waits for its peer")
		}
	})
}

// Close gives the last bytes their time, and then resets the stream. Nobody has to wait for that.
func TestHTTP2StreamClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := newTestStream()
		defer peer.Close()
		s.Write([]byte("the last bytes"))
		synctest.Wait()
		start := time.Now()
		s.Close()
		if _, err := s.Write([]byte("late")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write returned %v", err)
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) || time.Since(start) != 0 {
			t.Errorf("Read returned %v after %v", err, time.Since(start))
		}
		time.Sleep(drainTime - 1)
		synctest.Wait()
		if s.hasEnded() {
			t.Error("the stream was reset early")
		}
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		if !s.hasEnded() {
			t.Error("the stream still waits for its peer")
		}
	})
}

// What checkConnect refuses, and with which words. conformance/h2 asks over the network.
func TestCheckConnect(t *testing.T) {
	for _, tt := range []struct {
		protocol, version, offer string
		length                   int64
		status                   int
		text                     string
	}{
		{"websocket", "13", "a, b", -1, 0, ""},
		{"", "13", "", -1, 505, "GODEBUG=http2xconnect=1"},
		{"webtransport", "13", "", -1, 501, `"webtransport"`},
		{"websocket", "", "", -1, 400, "version 13"},
		{"websocket", "8", "", -1, 400, "version 13"},
		{"websocket", "13", "", 0, 400, "END_STREAM"},
		{"websocket", "13", "", 5, 400, "Content-Length"},
		{"websocket", "13", "a b", -1, 400, "subprotocol"},
	} {
		r := httptest.NewRequest("CONNECT", "/", nil)
		r.Proto, r.ProtoMajor, r.ProtoMinor, r.ContentLength = "HTTP/2.0", 2, 0, tt.length
		for name, value := range map[string]string{connectProtocol: tt.protocol, "Sec-Websocket-Version": tt.version, "Sec-Websocket-Protocol": tt.offer} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		_, refusal := checkRequest(r)
		switch {
		case tt.status == 0 && refusal != nil:
			t.Errorf("%+v: refused, %v", tt, refusal)
		case tt.status != 0 && (refusal == nil || refusal.Status != tt.status || !strings.Contains(refusal.Error(), tt.text)):
			t.Errorf("%+v: %v", tt, refusal)
		}
		if got := IsWebSocketUpgrade(r); got != (tt.protocol == "websocket") {
			t.Errorf("%+v: IsWebSocketUpgrade is %v", tt, got)
		}
	}
}
