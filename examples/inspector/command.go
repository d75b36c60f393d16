package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/plainsocket/websocket"
)

// A command is the page's request to the server's end of its connection. Scripts in a browser can
// neither send pings nor choose fragments.
type command struct {
	Do   string `json:"do"` // ping, long or close
	Tab  string `json:"tab"`
	Text string `json:"text"` // a ping's payload, a close frame's reason
	Code int    `json:"code"` // a close frame's code, or 0 and 1005 for none
}

func (cmd *command) parse(data []byte) error {
	if err := json.Unmarshal(data, cmd); err != nil {
		return fmt.Errorf("not a command: %w", err)
	}
	if cmd.Code == 0 {
		cmd.Code = websocket.CloseNoStatusReceived
	}
	return nil
}

// longLines such lines, of 52 bytes each, are a message of four frames.
const (
	longLine  = "line %04d of a message that is too long for a frame\n"
	longLines = 2000
)

// writeLong sends a message as a stream. A frame goes out as soon as 32 KiB are there, and a
// control frame may slip in between (RFC 6455 section 5.4).
func writeLong(c *websocket.Conn) {
	w, err := c.NextWriter(websocket.TextMessage)
	if err != nil {
		return // the connection's end is shown anyway
	}
	for i := range longLines {
		if i == longLines/2 {
			c.WriteControl(websocket.PingMessage, []byte("between two fragments"), time.Now().Add(time.Second))
		}
		fmt.Fprintf(w, longLine, i+1)
	}
	w.Close()
}

// cutReason shortens a reason so that it fits a close frame beside the code, and divides no
// character. A control frame has 125 bytes, and the code takes 2.
func cutReason(s string) string {
	const most = 123
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}
