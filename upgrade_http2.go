package websocket

import (
	"net/http"
)

// The opening handshake over HTTP/2, RFC 8441: the browser asks for one more stream of the
// connection over which the page came.
//
//	:method    CONNECT                     :status  200
//	:protocol  websocket                   sec-websocket-protocol  chat
//	:scheme    https
//	:path      /chat
//	:authority server.example.com
//	origin     https://server.example.com
//	sec-websocket-version   13
//	sec-websocket-protocol  chat
//
// The DATA frames in both directions are the connection from then on. How HTTP/2 cuts them means
// nothing. This is an experiment: net/http lets such requests through only if the program is
// started with GODEBUG=http2xconnect=1 in its environment. docs/operating.md says when that pays.

// takeStream takes the stream of a good request over from net/http. The connection is reserved until
// answer.
func (u *Upgrader) takeStream(w http.ResponseWriter, r *http.Request, a admission) (*Conn, admission, error) {
	inner, ok := innermost(w).(http2Writer)
	if !ok {
		return nil, a, u.refuse(w, r, refuse(http.StatusInternalServerError,
			"the stream cannot be used: %T has neither FlushError and SetWriteDeadline nor Unwrap() http.ResponseWriter", innermost(w)))
	}
	c := newConn(newHTTP2Stream(w, inner, r), false)
	c.reserve()
	return c, a, nil
}

// respond gives net/http the response that agrees, and does not wait for it to be sent. For a
// Trace, it appends that response to b, as HTTP/1.1 would write it.
func (s *http2Stream) respond(b []byte, subprotocol, extensions string, extra http.Header) []byte {
	h := s.outer.Header()
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "Connection", "Upgrade"} {
		h.Del(name) // some middleware's, for a response of another kind
	}
	for name, values := range extra {
		if !equalFold(name, "Sec-WebSocket-Protocol") { // the chosen subprotocol is set below
			for _, value := range values {
				h.Add(name, value)
			}
		}
	}
	if subprotocol != "" {
		h.Set("Sec-Websocket-Protocol", subprotocol)
	}
	if extensions != "" {
		h.Set("Sec-Websocket-Extensions", extensions)
	}
	s.outer.WriteHeader(http.StatusOK) // by the wrappers, which may log it
	b = append(b, "HTTP/2.0 200 OK\r\n"...)
	for name, values := range h {
		b = appendField(b, name, values)
	}
	return append(b, "\r\n"...)
}

// serveStream is ServeHTTP for a stream: the handler must not return before the connection ends.
func (s *Server) serveStream(c *Conn, r *http.Request, stream *http2Stream) {
	go s.start(c, r) // OnOpen may write, and wait for serve
	stream.serve(stream.w.FlushError())
}
