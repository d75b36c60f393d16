package websocket

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// The application's look at a request, between the rules of RFC 6455 and the
// response: Upgrader.Admit. All ways to a connection lead through it, a
// Server's own listener and net/http's.

// An admission is a request that will be answered with 101.
type admission struct {
	r      *http.Request // the one that Admit returned, if it did
	key    string        // the client's Sec-WebSocket-Key
	header http.Header   // further fields of the response
}

// admit asks the application about a request that has kept all rules.
func (u *Upgrader) admit(r *http.Request, key string, extra http.Header) (a admission, refusal *HandshakeError) {
	a = admission{r, key, extra}
	if u.Admit != nil {
		if a.header = extra.Clone(); a.header == nil {
			a.header = make(http.Header)
		}
		admitted, err := u.Admit(r, a.header)
		if err != nil {
			return admission{}, refusalOf(err)
		}
		if admitted != nil {
			a.r = admitted
		}
	}
	if err := checkExtraHeader(a.header, "Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions",
		"Content-Length", "Transfer-Encoding"); err != nil {
		return admission{}, internal(err)
	}
	return a, nil
}

// refusalOf makes a refusal of an error of Admit's. The client is told the text
// of a HandshakeError. That of another error was not meant for it.
func refusalOf(err error) *HandshakeError {
	refusal, ok := errors.AsType[HandshakeError](err)
	if pointer, isPointer := errors.AsType[*HandshakeError](err); isPointer && pointer != nil {
		refusal, ok = *pointer, true
	}
	if !ok {
		return internal(err)
	}
	if refusal.Status == 0 {
		refusal.Status = http.StatusForbidden
	}
	if refusal.Status < 300 || refusal.Status > 599 {
		return internal(fmt.Errorf("Upgrader.Admit refused with status %d, want 300 to 599: %w", refusal.Status, err))
	}
	if refusal.Message == "" {
		refusal.Message = http.StatusText(refusal.Status)
	}
	if refusal.cause == nil {
		refusal.cause = err
	}
	return &refusal
}

// internal is the refusal for a fault of the server's own, which is none of the
// client's business.
func internal(err error) *HandshakeError {
	return &HandshakeError{
		Status:  http.StatusInternalServerError,
		Message: strings.TrimPrefix(err.Error(), "websocket: "),
		private: true, cause: err,
	}
}

// setFields sets the refusal's own fields. The length of the body is the
// writer's business.
func (e *HandshakeError) setFields(h http.Header) {
	h.Del("Content-Length")
	for name, values := range e.Header {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Content-Length", "Transfer-Encoding":
		default:
			h[name] = slices.Clone(values)
		}
	}
}

// write answers with the refusal, whose fields are set.
func (e *HandshakeError) write(w http.ResponseWriter) {
	if e.private {
		http.Error(w, http.StatusText(e.Status), e.Status)
		return
	}
	for name := range e.Header {
		if equalFold(name, "Content-Type") { // the text is no plain text
			w.WriteHeader(e.Status)
			io.WriteString(w, e.Message)
			return
		}
	}
	http.Error(w, e.Message, e.Status)
}
