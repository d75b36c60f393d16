package main

import (
	"encoding/json"
	"errors"
	"time"
)

// Devices and the server talk in text messages, each of them one JSON object.
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
// A device never sends its name, because its certificate has it.
type message struct {
	Type string `json:"type"`

	// Of register. Reports are numbered within an outbox, and outbox is its name. A device that
	// lost its outbox begins another one, and its report 1 is not taken for the other's.
	Outbox string `json:"outbox,omitempty"`
	About  string `json:"about,omitempty"` // for people

	// Of welcome.
	Name      string `json:"name,omitempty"`      // from the device's certificate
	Heartbeat int64  `json:"heartbeat,omitempty"` // the time between two messages at most, in milliseconds

	// Of welcome and acknowledge. The server has this outbox's reports up to this one, and keeps
	// them.
	UpTo uint64 `json:"upto,omitempty"`

	// Of time. The server sends asked back, so the device can compute the time that it took.
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

// parse takes the results of ReadMessage, or of a similar method. ReadJSON would do both, but could
// not tell a wrong message from a failed connection.
func parse(_ int, data []byte, err error) (m message, _ error) {
	if err == nil && json.Unmarshal(data, &m) != nil {
		err = errNotUnderstood
	}
	return m, err
}

// Close codes of this protocol, from the range that any protocol may use (RFC 6455 section 7.4.2).
const (
	closeSilent   = 4000 // nothing was heard of the device for too long
	closeReplaced = 4001 // another connection came with the same certificate
	closeUnknown  = 4002 // a message that this protocol does not have, or not there
)

const (
	defaultHeartbeat = 3 * time.Second
	messageLimit     = 16 << 10 // bytes, and both sides refuse longer messages
)

// silence returns the time that the server waits for a silent device: three heartbeats, and some
// time for the third to arrive.
func silence(heartbeat time.Duration) time.Duration { return 3*heartbeat + heartbeat/3 }
