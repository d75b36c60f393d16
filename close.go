package websocket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// The close frame's payload, RFC 6455 sections 5.5.1 and 7.4: nothing at all,
// or a status code of two octets in network byte order and then a reason in
// UTF-8, which a program may log but not rely on.
//
//	+--------+--------+- - - - - - - - - - - - - - -+
//	|   status code   |  reason, 0 to 123 octets    |
//	+--------+--------+- - - - - - - - - - - - - - -+

// Close codes, from RFC 6455 section 7.4.1 and IANA's registry of WebSocket
// close code numbers. Codes 3000-3999 are for registered libraries and
// frameworks, 4000-4999 for anybody's use.
const (
	CloseNormalClosure           = 1000 // the purpose of the connection is fulfilled
	CloseGoingAway               = 1001 // a server goes down, or a browser leaves the page
	CloseProtocolError           = 1002 // the peer broke the protocol
	CloseUnsupportedData         = 1003 // a type of data that cannot be accepted
	CloseNoStatusReceived        = 1005 // never sent: stands for a close frame without a code
	CloseAbnormalClosure         = 1006 // never sent: stands for an end without a close frame
	CloseInvalidFramePayloadData = 1007 // data that is not what its type says, such as text that is not UTF-8
	ClosePolicyViolation         = 1008 // a policy forbids it; for want of a better code
	CloseMessageTooBig           = 1009 // a message too big to process
	CloseMandatoryExtension      = 1010 // a client's: the server did not agree to a needed extension
	CloseInternalServerErr       = 1011 // an unexpected condition on the sending side
	CloseServiceRestart          = 1012 // the service restarts; come back after a short random delay
	CloseTryAgainLater           = 1013 // overloaded; come back later
	CloseBadGateway              = 1014 // a gateway got an invalid answer from behind
	CloseTLSHandshake            = 1015 // never sent: stands for a TLS handshake that failed
)

// maxCloseReason is what a close frame has left for its reason, in octets.
const maxCloseReason = maxControlPayload - 2

// A CloseError says that the peer closed the connection, with which code.
// Code 1006 (CloseAbnormalClosure) means that the transport ended without a
// close frame: only that end was not clean. It then wraps io.ErrUnexpectedEOF.
type CloseError struct {
	Code int    // as received; 1005 where the close frame held none
	Text string // the reason, as received
}

func (e *CloseError) Error() string {
	s := "websocket: close " + closeName(e.Code)
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Unwrap returns io.ErrUnexpectedEOF for code 1006 and nil for all others.
func (e *CloseError) Unwrap() error {
	if e.Code == CloseAbnormalClosure {
		return io.ErrUnexpectedEOF
	}
	return nil
}

var closeNames = map[int]string{
	CloseNormalClosure:           "normal",
	CloseGoingAway:               "going away",
	CloseProtocolError:           "protocol error",
	CloseUnsupportedData:         "unsupported data",
	CloseNoStatusReceived:        "no status",
	CloseAbnormalClosure:         "abnormal closure",
	CloseInvalidFramePayloadData: "invalid payload data",
	ClosePolicyViolation:         "policy violation",
	CloseMessageTooBig:           "message too big",
	CloseMandatoryExtension:      "mandatory extension missing",
	CloseInternalServerErr:       "internal server error",
	CloseServiceRestart:          "service restart",
	CloseTryAgainLater:           "try again later",
	CloseBadGateway:              "bad gateway",
	CloseTLSHandshake:            "TLS handshake error",
}

func closeName(code int) string {
	if name, ok := closeNames[code]; ok {
		return fmt.Sprintf("%d (%s)", code, name)
	}
	return fmt.Sprint(code)
}

// IsCloseError reports whether err is, or wraps, a *CloseError with one of the
// given codes.
func IsCloseError(err error, codes ...int) bool {
	e, ok := errors.AsType[*CloseError](err)
	return ok && slices.Contains(codes, e.Code)
}

// IsUnexpectedCloseError reports whether err is, or wraps, a *CloseError with
// a code that is not among the given ones.
func IsUnexpectedCloseError(err error, expectedCodes ...int) bool {
	e, ok := errors.AsType[*CloseError](err)
	return ok && !slices.Contains(expectedCodes, e.Code)
}

// FormatCloseMessage returns the payload of a close frame, for WriteControl or
// WriteMessage. For codes that must never be sent (1005, 1006, 1015) it is
// empty: a close frame without a code.
func FormatCloseMessage(closeCode int, text string) []byte {
	switch closeCode {
	case CloseNoStatusReceived, CloseAbnormalClosure, CloseTLSHandshake:
		return []byte{}
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(closeCode)), text...)
}

// validCloseCode reports whether a close frame may carry code. Section 7.4.2
// divides the numbers: 0-999 are not used, 1000-2999 belong to the protocol
// and need a definition, 3000-4999 are free. 1004 is reserved without one;
// 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control
// frame".
func validCloseCode(code int) bool {
	switch {
	case code >= 1000 && code <= 1014:
		return code != 1004 && code != CloseNoStatusReceived && code != CloseAbnormalClosure
	case code >= 3000 && code <= 4999:
		return true
	}
	return false
}

// parseClose takes a received close frame's payload apart.
func parseClose(p []byte) (*CloseError, error) {
	switch {
	case len(p) == 0:
		// "If this Close control frame contains no status code, The WebSocket
		// Connection Close Code is considered to be 1005" (section 7.1.5).
		return &CloseError{Code: CloseNoStatusReceived}, nil
	case len(p) == 1:
		// "If there is a body, the first two bytes of the body MUST be a
		// 2-byte unsigned integer" (section 5.5.1).
		return nil, violation("close frame with a payload of one octet")
	}
	code := int(binary.BigEndian.Uint16(p))
	if !validCloseCode(code) {
		return nil, violation("close frame with the invalid code %d", code)
	}
	if !utf8.Valid(p[2:]) {
		return nil, errInvalidUTF8
	}
	return &CloseError{Code: code, Text: string(p[2:])}, nil
}

// checkClose says what is wrong with a close frame's payload that the caller
// wants to send, so that no invalid one leaves this side.
func checkClose(p []byte) error {
	switch {
	case len(p) == 1:
		return errors.New("websocket: a close frame's payload is empty or begins with a code of two octets; see FormatCloseMessage")
	case len(p) >= 2 && !validCloseCode(int(binary.BigEndian.Uint16(p))):
		return fmt.Errorf("websocket: close code %d must not be sent; use 1000-1003, 1007-1014 or 3000-4999",
			binary.BigEndian.Uint16(p))
	case len(p) >= 2 && !utf8.Valid(p[2:]):
		return errors.New("websocket: a close frame's reason must be valid UTF-8")
	}
	return nil
}

// cutReason shortens a reason to what fits a close frame, not inside a character.
func cutReason(text string) string {
	if len(text) <= maxCloseReason {
		return text
	}
	n := maxCloseReason
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
