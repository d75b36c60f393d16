package websocket

import (
	"log/slog"
	"net/http"
	"runtime/debug"
)

// The first and the last thing that a program hears of a Server's connection.

// open calls OnOpen. It reports false if the connection is to go no further: then it
// has been finished.
func (s *Server) open(c *Conn, r *http.Request) (ok bool) {
	if s.OnOpen == nil {
		return true
	}
	code := CloseInternalServerErr
	defer func() {
		if !ok {
			s.finish(c, code, recover())
		}
	}()
	s.OnOpen(c, r)
	code = CloseNormalClosure
	return !c.flags.has(flagClosed)
}

// tellClose calls OnClose, after everything else.
func (s *Server) tellClose(c *Conn) {
	if s.OnClose == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			s.log(slog.LevelError, "websocket: OnClose panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	s.OnClose(c, c.end(c.closedErr()))
}
