package websocket

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// openingHandshake reads the request on an accepted connection, and answers it. HandshakeTimeout
// bounds all of it together, TLS included. The request that it returns is nil if no function of the
// application's gets it.
func (s *Server) openingHandshake(c *Conn) (*http.Request, error) {
	if timeout := cmp.Or(s.HandshakeTimeout, defaultHandshakeTimeout); timeout > 0 {
		defer c.boundHandshake(timeout)()
	}
	state, err := handshakeTLS(c)
	if err != nil {
		return nil, err
	}
	parsed, refusal, err := s.readRequest(c)
	if err != nil {
		return nil, err
	}
	c.release() // before the application's functions, which may take their time
	if refusal != nil {
		parsed = unreadable()
	}
	r := &parsed.Request
	r.TLS = state
	if s.showsRequests() || s.Error != nil { // the address as text takes three allocations
		r.RemoteAddr = addrString(c.RemoteAddr())
	}
	if refusal != nil {
		return nil, s.refuseRaw(c, r, refusal)
	}
	a, refusal := s.check(r, nil)
	if refusal != nil {
		return nil, s.refuseRaw(c, r, refusal)
	}
	s.members.ready(c) // a close frame may come now, and has to wait for this answer
	if err := s.respond(c, a); err != nil {
		return a.r, err // for Trace
	}
	if !s.showsRequests() {
		parsed.recycle()
		return nil, nil
	}
	return a.r, nil
}

// showsRequests reports whether any function of the application's gets the requests that are
// answered with 101.
func (s *Server) showsRequests() bool {
	return s.Handler != nil || s.OnOpen != nil || s.Admit != nil || s.CheckOrigin != nil ||
		s.Trace != nil && s.Trace.Handshake != nil
}

// addrString returns an address as text, or "" for nil. A transport that is no socket may have no
// address.
func addrString(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// unreadable returns the request for Upgrader.Error and Trace if the client's could not be read.
func unreadable() *parsedRequest {
	return &parsedRequest{Request: http.Request{
		Method: http.MethodGet, URL: new(url.URL), Header: make(http.Header), Body: http.NoBody,
	}}
}

// handshakeTLS does the TLS handshake, if c is a TLS connection.
func handshakeTLS(c *Conn) (*tls.ConnectionState, error) {
	tc, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil, nil
	}
	if err := tc.HandshakeContext(context.Background()); err != nil {
		if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && plain.Conn != nil {
			io.WriteString(plain.Conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n"+
				"this server speaks TLS: use wss:// instead of ws://\n")
		}
		return nil, err
	}
	state := tc.ConnectionState()
	return &state, nil
}

// readRequest reads the header of a request. The bytes behind it stay in c.in.unread.
func (s *Server) readRequest(c *Conn) (*parsedRequest, *HandshakeError, error) {
	limit := cmp.Or(s.MaxHeaderBytes, defaultMaxHeaderBytes)
	if limit < 0 || limit > bufferSize {
		limit = bufferSize
	}
	if err := c.fillOnce(); err == nil && c.in.unread[0] == 0x16 {
		// A TLS ClientHello. Its sender would not understand an answer in HTTP.
		return nil, nil, errors.New("websocket: reading the request: the client speaks TLS (wss://), and this server does not")
	}
	n, err := c.readHeader(limit)
	if err == errHeaderTooLarge {
		return nil, refuse(http.StatusRequestHeaderFieldsTooLarge, "the request's header is larger than %d bytes", limit), nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("websocket: reading the request: %w", err)
	}
	r, refusal := parseRequest(c.in.unread[:n])
	c.in.unread = c.in.unread[n:]
	return r, refusal, nil
}

// refuseRaw answers a request with a refusal, and waits until the client has read it.
func (s *Server) refuseRaw(c *Conn, r *http.Request, refusal *HandshakeError) error {
	w := &rawResponse{header: make(http.Header)}
	err := s.refuse(w, r, refusal)
	if _, writeErr := c.nc.Write(w.bytes()); writeErr == nil {
		c.linger()
	}
	return err
}

// A rawResponse is the http.ResponseWriter for refusing a request that net/http did not read.
type rawResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *rawResponse) Header() http.Header { return w.header }

func (w *rawResponse) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *rawResponse) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// bytes returns the bytes of the response. The connection is closed after it.
func (w *rawResponse) bytes() []byte {
	w.WriteHeader(http.StatusInternalServerError) // if Upgrader.Error wrote nothing
	if !hasToken(w.header["Connection"], "close") {
		w.header.Add("Connection", "close")
	}
	resp := http.Response{
		StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header,
		ContentLength: int64(w.body.Len()), Body: io.NopCloser(&w.body),
	}
	var b bytes.Buffer
	resp.Write(&b)
	return b.Bytes()
}
