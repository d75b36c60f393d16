package otelwebsocket

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/plainsocket/websocket"
)

// An outcome is how a handshake or a connection has ended, in words of which there are few.
type outcome struct {
	errorType string // "" for none
	status    int    // of a refused handshake, 0 for none
	closeCode string // of a connection, "" for none
}

func (o outcome) attributes() (attrs []attribute.KeyValue) {
	if o.errorType != "" {
		attrs = append(attrs, attribute.String("error.type", o.errorType))
	}
	if o.status != 0 {
		attrs = append(attrs, attribute.Int("http.response.status_code", o.status))
	}
	if o.closeCode != "" {
		attrs = append(attrs, attribute.String("websocket.close.code", o.closeCode))
	}
	return attrs
}

// other is OpenTelemetry's word for an error that has no other.
const other = "_OTHER"

// handshakeOutcome says why an opening handshake failed. The error is nil if it did not.
func handshakeOutcome(err error) outcome {
	if err == nil {
		return outcome{}
	}
	if refused, ok := errors.AsType[websocket.HandshakeError](err); ok {
		return outcome{errorType: refusalType(refused), status: refused.Status}
	}
	return outcome{errorType: failureType(err)}
}

// ruleTypes has the types of refusals for a rule, by status.
var ruleTypes = map[int]string{
	http.StatusBadRequest:                  "bad_request",
	http.StatusForbidden:                   "origin_not_allowed",
	http.StatusMethodNotAllowed:            "method_not_allowed",
	http.StatusUpgradeRequired:             "upgrade_required", // by no WebSocket client, or a proxy lost a field
	http.StatusRequestHeaderFieldsTooLarge: "header_too_large",
	http.StatusInternalServerError:         "internal_error",
	http.StatusServiceUnavailable:          "shutting_down",
	http.StatusHTTPVersionNotSupported:     "http_version",
}

// refusalType says why this side refused, as a server.
func refusalType(e websocket.HandshakeError) string {
	own := errors.Unwrap(e) // the error of Upgrader.Admit
	switch {
	case own == nil && ruleTypes[e.Status] != "":
		return ruleTypes[e.Status]
	case own == nil:
		return other
	case errors.As(own, new(*websocket.Refusal)):
		return "refused"
	}
	return "internal_error"
}

// failureType says why a handshake failed that this side did not refuse.
func failureType(err error) string {
	operation := ""
	if e, ok := errors.AsType[*net.OpError](err); ok {
		operation = e.Op
	}
	switch {
	case err == websocket.ErrBadHandshake:
		return "refused" // by the server
	case errors.Is(err, websocket.ErrBadHandshake):
		return "bad_response"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case isTimeout(err):
		return "timeout"
	case errors.As(err, new(*net.DNSError)):
		return "dns"
	case operation == "dial":
		return "connect"
	case isTLS(err, operation):
		return "tls"
	case errors.Is(err, net.ErrClosed) || err == websocket.ErrServerClosed:
		return "closed" // this side, by Server.Close
	case isLost(err):
		return "connection_lost"
	}
	return other
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// isTLS reports whether a TLS handshake failed. Package tls has a type for some of its errors.
// Errors that were sent or received as an alert are operations of their own, and all others begin
// with its name.
func isTLS(err error, operation string) bool {
	return operation == "remote error" || operation == "local error" ||
		errors.As(err, new(tls.RecordHeaderError)) || errors.As(err, new(*tls.CertificateVerificationError)) ||
		strings.HasPrefix(err.Error(), "tls: ")
}

// isLost reports whether the transport has ended, without a word from either side.
func isLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.As(err, new(*net.OpError))
}

// noCloseFrame is the close code of a connection that has failed without a close frame. "If the
// WebSocket Connection is Closed and no Close control frame was received by the endpoint […] the
// WebSocket Connection Close Code is considered to be 1006" (RFC 6455 section 7.1.5).
const noCloseFrame = websocket.CloseAbnormalClosure

// closeOutcome says how a connection has ended. err is the one that Trace.Closed is told.
func closeOutcome(err error, codeText func(int) string) outcome {
	if e, ok := errors.AsType[*websocket.ProtocolError](err); ok {
		return outcome{errorType: "protocol_error", closeCode: codeText(e.Code)}
	}
	if e, ok := errors.AsType[*websocket.CloseError](err); ok && e.Code != noCloseFrame {
		return outcome{closeCode: codeText(e.Code)}
	}
	if errors.Is(err, net.ErrClosed) {
		return outcome{} // this side closed the transport
	}
	return outcome{errorType: lossType(err), closeCode: codeText(noCloseFrame)}
}

// lossType says why a connection failed that has no close frame.
func lossType(err error) string {
	switch {
	case errors.Is(err, websocket.ErrPongTimeout):
		return "pong_timeout"
	case errors.Is(err, websocket.ErrQueueTimeout):
		return "queue_timeout"
	case isLost(err):
		return "connection_lost"
	}
	return other
}
