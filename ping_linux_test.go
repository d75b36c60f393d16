package websocket

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// A connection that is parked needs no goroutine of its own that reads.
func TestPingParked(t *testing.T) {
	_, server, client, _ := parkedEcho(t, nil)
	go client.ReadMessage()
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if rtt, err := server.Ping(ctx); err != nil || rtt <= 0 {
			t.Errorf("Ping: %v, %v", rtt, err)
		}
		cancel()
		awaitParked(t, server)
	}
	client.SetPingHandler(func(string) error { return nil })
	time.AfterFunc(20*time.Millisecond, func() { server.Close() })
	if _, err := server.Ping(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Ping at the end: %v", err)
	}
}
