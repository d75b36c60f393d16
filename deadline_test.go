package websocket

import (
	"io"
	"testing"
	"time"
)

// Deadlines far away, or at the epoch, are unchanged after a control message had one of its own.
func TestDeadlineSurvivesOverride(t *testing.T) {
	for _, tt := range []struct {
		deadline time.Time
		passed   bool
	}{
		{time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), false},
		{time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), false},
		{time.Time{}, false},
		{time.Unix(0, 0), true},
		{time.Unix(-1000, 0), true},
	} {
		server, client := pipePair(t)
		go io.Copy(io.Discard, client.nc)
		if !tt.passed {
			server.SetWriteDeadline(tt.deadline)
			if err := server.WriteControl(PingMessage, nil, time.Now().Add(time.Minute)); err != nil {
				t.Errorf("%v: ping: %v", tt.deadline, err)
			}
		} else {
			server.SetWriteDeadline(tt.deadline)
			server.WriteControl(PingMessage, nil, time.Now().Add(time.Minute))
		}
		if err := server.WriteMessage(TextMessage, nil); isTimeout(err) != tt.passed {
			t.Errorf("%v: write after a ping: %v", tt.deadline, err)
		}
	}
}
