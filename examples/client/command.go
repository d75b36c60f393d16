package main

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/plainsocket/websocket"
)

const help = `  TEXT                   send a text message; an empty line is one, too
  //TEXT                 send a text message that begins with /
  /binary HEX            send a binary message, such as /binary 00 ff 10
  /ping [PAYLOAD]        send a ping, and see how long the pong takes
  /close [CODE [REASON]] close, with 1000 unless CODE says otherwise
  /help                  this
The end of the input closes with 1000, Ctrl-C with 1001.
`

type verb int

const (
	verbMessage verb = iota
	verbPing
	verbClose
	verbHelp
)

// A command is the request of one line.
type command struct {
	verb        verb
	messageType int    // of verbMessage
	code        int    // of verbClose
	payload     string // the message, ping, or reason
}

func parseLine(line string) (command, error) {
	if !strings.HasPrefix(line, "/") || strings.HasPrefix(line, "//") {
		return parseText(strings.TrimPrefix(line, "/"))
	}
	name, arg, _ := strings.Cut(line, " ")
	switch name {
	case "/binary":
		return parseBinary(arg)
	case "/ping":
		if len(arg) > 125 {
			return command{}, errors.New("a ping has room for 125 bytes")
		}
		return command{verb: verbPing, payload: arg}, nil
	case "/close":
		return parseClose(strings.TrimSpace(arg))
	case "/help":
		return command{verb: verbHelp}, nil
	}
	return command{}, errors.New("unknown command " + name + ", see /help; a message that begins with / is written with //")
}

// parseText refuses text that the server would have to close for (RFC 6455
// section 8.1): WriteMessage does not check it.
func parseText(text string) (command, error) {
	if !utf8.ValidString(text) {
		return command{}, errors.New("this is not UTF-8; /binary sends any bytes")
	}
	return command{verb: verbMessage, messageType: websocket.TextMessage, payload: text}, nil
}

func parseBinary(arg string) (command, error) {
	data, err := hex.DecodeString(strings.Join(strings.Fields(arg), ""))
	if err != nil {
		return command{}, errors.New("/binary: " + strings.TrimPrefix(err.Error(), "encoding/hex: "))
	}
	return command{verb: verbMessage, messageType: websocket.BinaryMessage, payload: string(data)}, nil
}

func parseClose(arg string) (command, error) {
	code, reason, _ := strings.Cut(arg, " ")
	cmd := command{verb: verbClose, code: websocket.CloseNormalClosure, payload: strings.TrimSpace(reason)}
	if code != "" {
		var err error
		if cmd.code, err = strconv.Atoi(code); err != nil {
			return command{}, errors.New("/close: the code is a number, such as 1000")
		}
	}
	return cmd, checkClose(cmd.code, cmd.payload)
}

// checkClose finds beforehand the codes and reasons that Shutdown would refuse to send (RFC 6455
// sections 5.5.1 and 7.4).
func checkClose(code int, reason string) error {
	known := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014
	switch {
	case !known && (code < 3000 || code > 4999):
		return errors.New("/close: code " + strconv.Itoa(code) + " may not be sent; 1000 to 1003, 1007 to 1014 and 3000 to 4999 may")
	case len(reason) > 123:
		return errors.New("/close: a reason has at most 123 bytes")
	case !utf8.ValidString(reason):
		return errors.New("/close: the reason is not UTF-8")
	}
	return nil
}

// pings are the pings that were sent and not answered yet.
type pings struct {
	mu      sync.Mutex
	pending []ping
	count   int
}

type ping struct {
	payload string
	at      time.Time
}

// sent notes a ping, and returns its payload. If that is empty, it is a number.
func (p *pings) sent(payload string, now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count++; payload == "" {
		payload = strconv.Itoa(p.count)
	}
	p.pending = append(p.pending, ping{payload, now})
	return payload
}

// answered returns the time that the pong with payload took, or -1 if no ping asked for it. Pings
// before its own will not be answered any more (RFC 6455 section 5.5.3).
func (p *pings) answered(payload string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, ping := range p.pending {
		if ping.payload == payload {
			p.pending = p.pending[i+1:]
			return now.Sub(ping.at)
		}
	}
	return -1
}
