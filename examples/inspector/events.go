package main

import (
	"encoding/hex"
	"time"
)

// An event is what observers are told, as JSON. Its kind says which of the
// parts is there:
//
//	hello      target
//	handshake  an opening handshake is done, or has failed
//	frame      a frame has passed
//	end        a connection has ended, for the reason in text
//	dropped    count events were left out: this observer was too slow
//	error      what the observer asked for cannot be done, as text says
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

// A connection that is passed on has two sides; one that is echoed has the first.
const (
	clientSide = "client"
	targetSide = "target"
)

// shown is how many octets of a payload are shown.
const shown = 256

// A frame is one frame as it passed (RFC 6455 section 5.2).
type frame struct {
	Sent    bool   `json:"sent"`    // by the inspector's end of the connection
	Header  octets `json:"header"`  // all of it, with the masking key
	Opcode  int    `json:"opcode"`  // 0 is a continuation frame
	Masked  bool   `json:"masked"`  //
	Key     octets `json:"key"`     // nil without a mask
	Length  int64  `json:"length"`  // of the payload
	Wire    octets `json:"wire"`    // the payload's first octets as a packet capture shows them
	Payload octets `json:"payload"` // the same without the mask
	Missing int64  `json:"missing"` // octets of payload that never came

	// The message that a data frame belongs to (section 5.4). Control frames
	// belong to none: they may stand between the frames of one.
	Message    int      `json:"message"` // counted per direction, from 1; 0 for none
	Part       int      `json:"part"`    // which of the message's frames, from 1
	Type       int      `json:"type"`    // the message's first opcode
	Compressed bool     `json:"compressed"`
	Whole      *message `json:"whole,omitempty"` // with the last of several frames, or of a compressed message
}

// A message is what an application gets: of all frames together, decompressed.
type message struct {
	Octets octets `json:"octets"` // the first ones
	Length int    `json:"length"`
	Packed int    `json:"packed"` // octets in the frames
	Error  string `json:"error,omitempty"`
}

// octets are hexadecimal digits in JSON, for readers of either kind.
type octets []byte

func (o octets) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, o), nil }

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.AppendDecode(nil, text)
	return err
}

// keep appends as much of p as is shown.
func (o octets) keep(p []byte) octets { return append(o, p[:min(len(p), shown-len(o))]...) }
