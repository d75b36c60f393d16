package websocket

import (
	"errors"
	"fmt"
	"os"
)

// An error's type says who did what:
//
//   - *CloseError: the peer sent a close frame, or (code 1006) ended the
//     transport without one.
//   - *ProtocolError: the peer broke a rule and this side closed, with the
//     code that the error names.
//   - HandshakeError: this side, a server, refused the opening handshake. It
//     wraps the error that Upgrader.Admit returned, if that was the reason.
//   - ErrBadHandshake: the server did.
//   - errors of the transport are passed on: a deadline that passed satisfies
//     errors.Is(err, os.ErrDeadlineExceeded), reads and writes after this
//     side's own Close satisfy errors.Is(err, net.ErrClosed), unless the
//     connection had ended before.

// ErrCloseSent is returned by writes after a close frame was sent: "The
// application MUST NOT send any more data frames after sending a Close frame"
// (RFC 6455 section 5.5.1).
var ErrCloseSent = errors.New("websocket: close sent")

// ErrBadHandshake is returned by Dial when the server answered the opening
// handshake, in HTTP, with anything but consent. Where its answer looked like consent and
// broke a rule, the error says which, and satisfies errors.Is with this one.
var ErrBadHandshake = errors.New("websocket: bad handshake")

// ErrReadLimit is returned by reads when a message is larger than the limit
// that SetReadLimit names. It is a *ProtocolError: the peer was sent close
// code 1009 with a reason that names the limit.
var ErrReadLimit error = &ProtocolError{
	Code:   CloseMessageTooBig,
	Reason: "read limit exceeded",
}

// ErrPongTimeout is returned by reads and writes after keepalive gave a
// connection up: the peer sent nothing for PingInterval, and nothing for
// PongTimeout after a ping. It is a net.Error whose Timeout is true, and final.
var ErrPongTimeout error = pongTimeoutError{}

type pongTimeoutError struct{}

func (pongTimeoutError) Error() string {
	return "websocket: keepalive: the peer did not answer a ping in time"
}
func (pongTimeoutError) Timeout() bool   { return true }
func (pongTimeoutError) Temporary() bool { return false }

// A timeoutError is a deadline that passed while the library itself waited,
// not the transport. Like the transport's it is a net.Error and satisfies
// errors.Is(err, os.ErrDeadlineExceeded).
type timeoutError struct {
	what  string
	cause error // a context's; nil for a deadline's
}

func (e *timeoutError) Unwrap() error        { return e.cause }
func (e *timeoutError) Error() string        { return "websocket: " + e.what + ": i/o timeout" }
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Temporary() bool      { return true }
func (e *timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// A ProtocolError says which rule the peer broke. The connection has failed
// (RFC 6455 section 7.1.7): the peer was sent a close frame with Code and
// Reason, and every further read returns the same error.
type ProtocolError struct {
	Code   int    // the close code that was sent, such as CloseProtocolError
	Reason string // the rule, in words
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("websocket: %s (closed with %s)", e.Reason, closeName(e.Code))
}

// violation is a ProtocolError with code 1002, which serves most rules.
func violation(format string, args ...any) *ProtocolError {
	return &ProtocolError{Code: CloseProtocolError, Reason: fmt.Sprintf(format, args...)}
}

// errInvalidUTF8 is section 8.1's failure.
var errInvalidUTF8 = &ProtocolError{
	Code:   CloseInvalidFramePayloadData,
	Reason: "text that is not valid UTF-8",
}
