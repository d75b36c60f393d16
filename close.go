package websocket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"unicode/utf8"
)

// Why a connection ended: close codes, close frames, and the errors that carry them.
//
// The peer's program has to learn why a connection ends, and a lost network has to look different
// from a goodbye. So a side that closes sends a close frame first (RFC 6455 sections 5.5.1 and
// 7.4). Its payload is empty, or a status code of two bytes in network byte order, and then a
// reason in UTF-8. A program may log the reason, but not rely on it.
//
//	+--------+--------+- - - - - - - - - - - - - - -+
//	|   status code   |  reason, 0 to 123 bytes     |
//	+--------+--------+- - - - - - - - - - - - - - -+
//
// The type of an error says which side ended the connection, and why:
//
//   - *CloseError: the peer sent a close frame, or (code 1006) ended the transport without one.
//   - *ProtocolError: the peer broke a rule, and this side closed with the code that the error
//     names.
//   - HandshakeError: this side, a server, refused the opening handshake. The error wraps the error
//     of Upgrader.Admit, if that refused.
//   - ErrBadHandshake: the server refused the opening handshake of this side, a client.
//   - other errors are the transport's. After a deadline has passed, errors.Is(err,
//     os.ErrDeadlineExceeded) is true. After this side's own Close, errors.Is(err, net.ErrClosed)
//     is true for reads and writes, unless the connection had ended before.

// Close codes, from RFC 6455 section 7.4.1 and IANA's registry of WebSocket close code numbers.
// Codes 3000-3999 are for registered libraries and frameworks, and any program may use 4000-4999.
const (
	CloseNormalClosure           = 1000 // the purpose of the connection is fulfilled
	CloseGoingAway               = 1001 // a server goes down, or a browser leaves the page
	CloseProtocolError           = 1002 // the peer broke the protocol
	CloseUnsupportedData         = 1003 // a type of data that cannot be accepted
	CloseNoStatusReceived        = 1005 // never sent: stands for a close frame without a code
	CloseAbnormalClosure         = 1006 // never sent: stands for an end without a close frame
	CloseInvalidFramePayloadData = 1007 // data that does not fit its type, such as text that is not UTF-8
	ClosePolicyViolation         = 1008 // a generic code: the endpoint's policy was violated
	CloseMessageTooBig           = 1009 // a message too big to process
	CloseMandatoryExtension      = 1010 // sent by clients: the server did not agree to a needed extension
	CloseInternalServerErr       = 1011 // an unexpected condition on the sending side
	CloseServiceRestart          = 1012 // the service restarts: come back after a short random delay
	CloseTryAgainLater           = 1013 // the server is overloaded: come back later
	CloseBadGateway              = 1014 // a gateway got an invalid answer from its backend
	CloseTLSHandshake            = 1015 // never sent: stands for a TLS handshake that failed
)

// maxCloseReason is the size of the longest reason that fits a close frame, in bytes.
const maxCloseReason = maxControlPayload - 2

// A CloseError reports that the peer closed the connection, and its close code. Code 1006
// (CloseAbnormalClosure) means that the transport ended without a close frame. Messages may be
// missing then, so for this code alone the error wraps io.ErrUnexpectedEOF.
type CloseError struct {
	Code int    // as received, or 1005 if the close frame held no code
	Text string // the reason, as received
}

// Error returns the code with its name, and the reason.
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

// closeName returns code with its name, if it has one.
func closeName(code int) string {
	if name, ok := closeNames[code]; ok {
		return fmt.Sprintf("%d (%s)", code, name)
	}
	return fmt.Sprint(code)
}

// IsCloseError reports whether err is, or wraps, a *CloseError with one of the given codes.
func IsCloseError(err error, codes ...int) bool {
	e, ok := errors.AsType[*CloseError](err)
	return ok && slices.Contains(codes, e.Code)
}

// IsUnexpectedCloseError reports whether err is, or wraps, a *CloseError with a code that is not
// among the given ones.
func IsUnexpectedCloseError(err error, expectedCodes ...int) bool {
	e, ok := errors.AsType[*CloseError](err)
	return ok && !slices.Contains(expectedCodes, e.Code)
}

// FormatCloseMessage returns the payload of a close frame, for WriteControl or WriteMessage. The
// payload is empty for the codes that must never be sent (1005, 1006, 1015). The close frame then
// has no code. A code that does not fit two bytes becomes 0, which writes refuse.
func FormatCloseMessage(closeCode int, text string) []byte {
	code := uint16(closeCode)
	switch {
	case int(code) != closeCode: // its low bytes might be a code that was not meant
		code = 0
	case code == CloseNoStatusReceived, code == CloseAbnormalClosure, code == CloseTLSHandshake:
		return []byte{}
	}
	return append(binary.BigEndian.AppendUint16(nil, code), text...)
}

// validCloseCode reports whether a close frame may carry code. Section 7.4.2 divides the numbers:
// 0-999 are not used, 1000-2999 belong to the protocol and need a definition, 3000-4999 are free.
// 1004 is reserved without a definition. 1005, 1006 and 1015 "MUST NOT be set as a status code in a
// Close control frame".
func validCloseCode(code int) bool {
	switch {
	case code >= 1000 && code <= 1014:
		return code != 1004 && code != CloseNoStatusReceived && code != CloseAbnormalClosure
	case code >= 3000 && code <= 4999:
		return true
	}
	return false
}

// parseClose returns the code and reason of a received close frame.
func parseClose(p []byte) (*CloseError, error) {
	switch {
	case len(p) == 0:
		// "If this Close control frame contains no status code, The WebSocket Connection Close Code
		// is considered to be 1005" (section 7.1.5).
		return &CloseError{Code: CloseNoStatusReceived}, nil
	case len(p) == 1:
		// "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer"
		// (section 5.5.1).
		return nil, violation("close frame with a payload of one byte")
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

// checkClose returns an error if the caller must not send p as a close frame's payload, so that
// this side never sends an invalid one.
func checkClose(p []byte) error {
	switch {
	case len(p) == 1:
		return errors.New("websocket: a close frame's payload is empty or begins with a code of two bytes: see FormatCloseMessage")
	case len(p) >= 2 && !validCloseCode(int(binary.BigEndian.Uint16(p))):
		return fmt.Errorf("websocket: close code %d must not be sent: use 1000-1003, 1007-1014 or 3000-4999",
			binary.BigEndian.Uint16(p))
	case len(p) >= 2 && !utf8.Valid(p[2:]):
		return errors.New("websocket: a close frame's reason must be valid UTF-8")
	}
	return nil
}

// cutReason shortens a reason so that it fits a close frame. It cuts between two characters.
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

// ErrCloseSent is returned by writes after a close frame was sent: "The application MUST NOT send
// any more data frames after sending a Close frame" (RFC 6455 section 5.5.1).
var ErrCloseSent = errors.New("websocket: close sent")

// ErrBadHandshake is returned by Dial if the server answered, but did not accept the upgrade. If it
// answered 101 and the response was invalid, the error wraps ErrBadHandshake and says which rule
// the response broke.
var ErrBadHandshake = errors.New("websocket: bad handshake")

// ErrReadLimit is returned by reads if a message is larger than the limit of SetReadLimit. It is a
// *ProtocolError: the peer was sent close code 1009.
var ErrReadLimit error = &ProtocolError{
	Code:   CloseMessageTooBig,
	Reason: "read limit exceeded",
}

// ErrPongTimeout is returned by reads and writes after keepalive gave a connection up: the peer
// gave no sign of life for PingInterval, and none for PongTimeout after a ping. It neither sent
// anything nor took bytes of a write that had to wait. The error is a net.Error, its Timeout is
// true, and it is final.
var ErrPongTimeout error = pongTimeoutError{}

type pongTimeoutError struct{}

func (pongTimeoutError) Error() string {
	return "websocket: keepalive: the peer did not answer a ping in time"
}
func (pongTimeoutError) Timeout() bool   { return true }
func (pongTimeoutError) Temporary() bool { return false }

// A timeoutError reports that a deadline passed while the library itself waited, not the transport.
// Like the transport's timeout, it is a net.Error and satisfies errors.Is(err,
// os.ErrDeadlineExceeded).
type timeoutError struct {
	step  string // that took too long
	cause error  // the context's error, or nil for a deadline
}

func (e *timeoutError) Unwrap() error        { return e.cause }
func (e *timeoutError) Error() string        { return "websocket: " + e.step + ": i/o timeout" }
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Temporary() bool      { return true }
func (e *timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// A ProtocolError reports which rule the peer broke. The connection has failed (RFC 6455 section
// 7.1.7): the peer was sent a close frame with Code and Reason, and every further read returns the
// same error.
type ProtocolError struct {
	Code   int    // the close code that the peer was sent, such as CloseProtocolError
	Reason string // the rule, in words
}

// Error returns the broken rule and the close code.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("websocket: %s (closed with %s)", e.Reason, closeName(e.Code))
}

// violation returns a ProtocolError with code 1002, which fits most rules.
func violation(format string, args ...any) *ProtocolError {
	return &ProtocolError{Code: CloseProtocolError, Reason: fmt.Sprintf(format, args...)}
}

// errInvalidUTF8 is the error for text that breaks the rule of section 8.1.
var errInvalidUTF8 = &ProtocolError{
	Code:   CloseInvalidFramePayloadData,
	Reason: "text that is not valid UTF-8",
}
