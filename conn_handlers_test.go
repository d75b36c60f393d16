package websocket

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// When Shutdown reads, it does not call the application's handlers. They may use things that the
// application has put away by then.
func TestShutdownCallsNoHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipePair(t)
		called := func(string) error { t.Error("a handler was called"); return nil }
		server.SetPingHandler(called)
		server.SetPongHandler(called)
		server.SetCloseHandler(func(int, string) error { return called("") })
		go func() {
			client.WriteControl(PingMessage, nil, time.Time{})
			client.WriteControl(PongMessage, nil, time.Time{})
		}()
		go client.ReadMessage()
		if err := server.Shutdown(t.Context(), CloseNormalClosure, ""); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// An error of the close handler ends reading, and the peer gets its echo all the same.
func TestCloseHandlerError(t *testing.T) {
	for _, want := range []error{errors.New("own error"), &timeoutError{step: "own timeout"}} {
		server, client := pipePair(t)
		server.SetCloseHandler(func(int, string) error { return want })
		echo := make(chan error)
		go func() {
			go client.WriteControl(CloseMessage, FormatCloseMessage(4000, ""), time.Time{})
			_, _, err := client.ReadMessage()
			echo <- err
		}()
		if _, _, err := server.ReadMessage(); err != want {
			t.Errorf("read: %v, want %v", err, want)
		}
		if err := <-echo; !IsCloseError(err, 4000) {
			t.Errorf("the peer read %v, want its code 4000", err)
		}
		if _, _, err := server.ReadMessage(); err != want {
			t.Errorf("next read: %v, want the same", err)
		}
	}
}

// A handler that takes its time does not make the peer silent.
func TestKeepaliveDuringHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipePair(t)
		server.startKeepalive(newPingSchedule(40*time.Second, 20*time.Second))
		server.SetPingHandler(func(string) error { time.Sleep(time.Hour); return nil })
		go io.Copy(io.Discard, client.nc)
		clientSends(client, append(frame(opPing, true, "", testKey), frame(opText, true, "x", testKey)...))
		if _, p, err := server.ReadMessage(); string(p) != "x" || err != nil {
			t.Errorf("read: %q, %v", p, err)
		}
		server.Close()
	})
}

// A panic in a handler leaves the connection such that it can be shut down.
func TestHandlerPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipePair(t)
		server.SetPingHandler(func(string) error { panic("oh no") })
		go func() {
			client.WriteControl(PingMessage, nil, time.Time{})
			client.ReadMessage()
		}()
		func() {
			defer func() { recover() }()
			server.ReadMessage()
			t.Error("no panic")
		}()
		start := time.Now()
		if err := server.Shutdown(t.Context(), CloseInternalServerErr, ""); err != nil || time.Since(start) != 0 {
			t.Errorf("Shutdown: %v after %v", err, time.Since(start))
		}
	})
}

// A close handler that closes the transport itself does not change the result of the read, because
// the peer's close frame came.
func TestCloseHandlerCloses(t *testing.T) {
	server, client := pipePair(t)
	server.SetCloseHandler(func(int, string) error { return server.Close() })
	go client.WriteControl(CloseMessage, FormatCloseMessage(CloseGoingAway, "bye"), time.Time{})
	if _, _, err := server.ReadMessage(); !IsCloseError(err, CloseGoingAway) {
		t.Errorf("read: %v, want the peer's 1001", err)
	}
}
