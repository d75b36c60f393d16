package websocket

import (
	"cmp"
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
		return admission{}, failure(err)
	}
	return a, nil
}

// A Refusal is an error by which Upgrader.Admit refuses a request in words of
// its own: status 401 and a field WWW-Authenticate, for instance, or 429 and
// Retry-After.
type Refusal struct {
	// Status is the response's, 300 to 599. 0 means 403.
	Status int

	// Message is the response's body, as plain text unless Header has a
	// Content-Type. "" means the status in words.
	Message string

	// Header holds fields of the response, which replace others of the same
	// name. It is not changed, and may be nil.
	Header http.Header
}

func (r *Refusal) Error() string { return "websocket: " + r.message() }

func (r *Refusal) message() string {
	if r.Message == "" {
		return http.StatusText(r.status())
	}
	return r.Message
}

func (r *Refusal) status() int { return cmp.Or(r.Status, http.StatusForbidden) }

// refusalOf makes a refusal of an error of Admit's. The client is told the text
// of a Refusal. That of another error was not meant for it.
func refusalOf(err error) *HandshakeError {
	r, ok := errors.AsType[*Refusal](err)
	if !ok {
		return failure(err)
	}
	if r == nil { // in an error that is not
		r = new(Refusal)
		err = r
	}
	if r.status() < 300 || r.status() > 599 {
		return failure(fmt.Errorf("Upgrader.Admit refused with status %d, want 300 to 599: %w", r.Status, err))
	}
	return &HandshakeError{Status: r.status(), message: r.message(), cause: &cause{err, r.Header}}
}

// failure is the refusal for a fault of the server's own, which is no business
// of the client's.
func failure(err error) *HandshakeError {
	return &HandshakeError{
		Status:  http.StatusInternalServerError,
		message: strings.TrimPrefix(err.Error(), "websocket: "),
		private: true, cause: &cause{err: err},
	}
}

// setFields sets the fields of Admit's refusal. The length of the body is the
// writer's business.
func (e *HandshakeError) setFields(h http.Header) {
	if e.cause == nil {
		return
	}
	h.Del("Content-Length")
	for name, values := range e.cause.header {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Content-Length", "Transfer-Encoding":
		default:
			h[name] = slices.Clone(values)
		}
	}
}

// write answers with the refusal, whose fields are set.
func (e *HandshakeError) write(w http.ResponseWriter) {
	switch {
	case e.private:
		http.Error(w, http.StatusText(e.Status), e.Status)
	case e.cause != nil && hasField(e.cause.header, "Content-Type"): // the text is no plain text
		w.WriteHeader(e.Status)
		io.WriteString(w, e.message)
	default:
		http.Error(w, e.message, e.Status)
	}
}

// hasField reports whether h has a field, whatever the case of its name.
func hasField(h http.Header, field string) bool {
	for name := range h {
		if equalFold(name, field) {
			return true
		}
	}
	return false
}
