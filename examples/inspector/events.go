package main

import (
	"encoding/hex"
	"time"
)

// An event is a message to observers, as JSON. Its kind names the parts that are there:
//
//	hello      target
//	handshake  an opening handshake is done, or has failed
//	frame      a frame has passed
//	end        a connection has ended, for the reason in text
//	dropped    count events were left out: this observer was too slow
//	error      the observer's request cannot be met, for the reason in text
type event struct {
	Kind   string    `json:"kind"`
	Number int       `json:"number,omitempty"` // of the event, from 1, the same for all observers
	Conn   int       `json:"conn,omitempty"`
	Side   string    `json:"side,omitempty"` // which of a proxied connection's two
	Time   time.Time `json:"time"`

	Handshake *handshake `json:"handshake,omitempty"`
	Frame     *frame     `json:"frame,omitempty"`
	Target    string     `json:"target,omitempty"`
	Text      string     `json:"text,omitempty"`
	Count     int        `json:"count,omitempty"`
}

// A connection that is passed on has two sides. One that is echoed has only the first.
const (
	clientSide = "client"
	targetSide = "target"
)

// shown is the number of bytes of a payload that are shown.
const shown = 256

// A frame is one frame as it passed (RFC 6455 section 5.2).
type frame struct {
	Sent    bool     `json:"sent"`    // by the inspector's end of the connection
	Header  hexBytes `json:"header"`  // all of it, with the masking key
	Opcode  int      `json:"opcode"`  // 0 is a continuation frame
	Masked  bool     `json:"masked"`  //
	Key     hexBytes `json:"key"`     // nil without a mask
	Length  int64    `json:"length"`  // of the payload
	Wire    hexBytes `json:"wire"`    // the payload's first bytes as a packet capture shows them
	Payload hexBytes `json:"payload"` // the same without the mask
	Missing int64    `json:"missing"` // bytes of payload that never came

	// The message that a data frame belongs to (section 5.4). Control frames belong to none,
	// because they may stand between the frames of one.
	Message    int  `json:"message"` // counted per direction, from 1 (0 for none)
	Part       int  `json:"part"`    // which of the message's frames, from 1
	Type       int  `json:"type"`    // the message's first opcode
	Compressed bool `json:"compressed"`
	// Whole is set with the last of several frames, or of a compressed message.
	Whole *message `json:"whole,omitempty"`
}

// A message is the application's view: all frames together, decompressed.
type message struct {
	Bytes  hexBytes `json:"bytes"` // the first ones
	Length int      `json:"length"`
	Packed int      `json:"packed"` // bytes in the frames
	Error  string   `json:"error,omitempty"`
}

// hexBytes are hexadecimal digits in JSON, for readers of either kind.
type hexBytes []byte

func (o hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, o), nil }

func (o *hexBytes) UnmarshalText(text []byte) (err error) {
	*o, err = hex.AppendDecode(nil, text)
	return err
}

// keep appends the part of p that is shown.
func (o hexBytes) keep(p []byte) hexBytes { return append(o, p[:min(len(p), shown-len(o))]...) }
