package main

import (
	"encoding/json"
	"errors"
	"time"
)

// What devices and the server say to each other: text messages, each of them
// one JSON object.
//
//	device                                     server
//	{"type":"register","outbox":"X3…",…}  ──►
//	                                      ◄──  {"type":"welcome","name":"kitchen","upto":17,"heartbeat":3000}
//	{"type":"time","asked":"…"}           ──►
//	                                      ◄──  {"type":"time","asked":"…","time":"…"}
//	{"type":"report","report":{"seq":18…  ──►
//	                                      ◄──  {"type":"acknowledge","upto":18}
//	{"type":"heartbeat"}                  ──►
//
// Nowhere does a device say who it is: its certificate has said so.
type message struct {
	Type string `json:"type"`

	// Of register. Reports are numbered within an outbox, and outbox is its
	// name: a device that lost its outbox begins another one, and its report 1
	// is not taken for the other's.
	Outbox string `json:"outbox,omitempty"`
	About  string `json:"about,omitempty"` // for people

	// Of welcome.
	Name      string `json:"name,omitempty"`      // from the device's certificate
	Heartbeat int64  `json:"heartbeat,omitempty"` // how often to say something, in milliseconds

	// Of welcome and acknowledge: the server has this outbox's reports up to
	// this one, and will have them whatever happens to it.
	UpTo uint64 `json:"upto,omitempty"`

	// Of time. The server sends asked back, which tells the device how long it
	// took.
	Asked time.Time `json:"asked,omitzero"`
	Time  time.Time `json:"time,omitzero"`

	Report *report `json:"report,omitempty"`
}

// A report is one measurement.
type report struct {
	Seq     uint64    `json:"seq"` // 1, 2, 3, … within its outbox
	At      time.Time `json:"at"`  // by the device's clock
	Celsius float64   `json:"celsius"`
}

// errNotUnderstood is for messages that are not of this protocol.
var errNotUnderstood = errors.New("a message that is not understood")

// parse takes what ReadMessage, or one of its kin, returned. ReadJSON would do
// both, but not tell what the peer said wrongly from what the connection did.
func parse(_ int, data []byte, err error) (m message, _ error) {
	if err == nil && json.Unmarshal(data, &m) != nil {
		err = errNotUnderstood
	}
	return m, err
}

// Close codes of this protocol, from those that are anybody's to define (RFC
// 6455 section 7.4.2).
const (
	closeSilent   = 4000 // nothing was heard of the device for too long
	closeReplaced = 4001 // another connection came with the same certificate
	closeUnknown  = 4002 // a message that this protocol does not have, or not there
)

const (
	defaultHeartbeat = 3 * time.Second
	messageLimit     = 16 << 10 // octets; both sides refuse longer messages
)

// silence is how long the server waits for a device that says nothing: three
// heartbeats, and some time for the third to arrive.
func silence(heartbeat time.Duration) time.Duration { return 3*heartbeat + heartbeat/3 }
