package websocket

import (
	"cmp"
	"math"
	"sync/atomic"
	"time"
)

// Limits that hold unless an Upgrader, a Server or a Conn is told otherwise.
const (
	defaultReadLimit        = 32 << 20
	defaultMaxFragments     = 64 << 10
	defaultHandshakeTimeout = 10 * time.Second
	defaultCloseTimeout     = 5 * time.Second
	controlTimeout          = 5 * time.Second // for the last close frame of a handler that returned
	defaultQueueLimit       = 256 << 10
	defaultQueueTimeout     = 10 * time.Second
)

// settings are not changed but replaced, so that connections with the same ones can
// share them. A server has many idle connections, and every byte counts for those.
type settings struct {
	limit        int64 // in bytes of a message, 0 or less for none
	maxFragments int32 // of a message, 0 or less for no limit
	closeTimeout time.Duration
	queueLimit   int           // in bytes of queued messages, less than 0 for no limit
	queueTimeout time.Duration // of the oldest one, less than 0 for none
	frameSize    int           // of NextWriter's frames, if they are to be larger than usual
	subprotocol  string
	handlers     *handlers
	trace        *Trace      // nil for none
	timer        *time.Timer // of keepalive, nil without it, and for a Server's connections
	parking      parker      // nil if a connection has to keep its goroutine. One that is no socket always has to
}

var standardSettings = settings{
	limit:        defaultReadLimit,
	maxFragments: defaultMaxFragments,
	closeTimeout: defaultCloseTimeout,
	queueLimit:   defaultQueueLimit,
	queueTimeout: defaultQueueTimeout,
	handlers:     new(handlers),
}

// latestSettings are the last settings that differ from the standard ones. The connections of a
// Server are all alike, so the next connection most likely shares them.
var latestSettings atomic.Pointer[settings]

// configure applies the settings of an Upgrader or Dialer, in which 0 means
// the default, at the end of the opening handshake.
func (c *Conn) configure(s settings) {
	s.limit = cmp.Or(s.limit, defaultReadLimit)
	s.maxFragments = cmp.Or(s.maxFragments, defaultMaxFragments)
	s.closeTimeout = cmp.Or(s.closeTimeout, defaultCloseTimeout)
	s.queueLimit = cmp.Or(s.queueLimit, defaultQueueLimit)
	s.queueTimeout = cmp.Or(s.queueTimeout, defaultQueueTimeout)
	s.handlers = standardSettings.handlers
	s.parking = c.settings.Load().parking
	if s.trace != nil {
		c.flags.set(flagCloseTraced) // until traceOpened: a handshake that fails has no end
	}
	if latest := latestSettings.Load(); s == standardSettings {
		c.settings.Store(&standardSettings)
	} else if latest != nil && s == *latest {
		c.settings.Store(latest)
	} else {
		own := s // a copy, so that s itself need not be on the heap
		latestSettings.Store(&own)
		c.settings.Store(&own)
	}
	if c.in != noInput { // frames came with the handshake
		c.setRules()
	}
}

// clampInt32 returns n, or the int32 that is nearest to it.
func clampInt32(n int) int32 { return int32(max(math.MinInt32, min(n, math.MaxInt32))) }

// change replaces the settings by changed ones.
func (c *Conn) change(f func(*settings)) {
	for {
		old := c.settings.Load()
		s := *old
		f(&s)
		if c.settings.CompareAndSwap(old, &s) {
			return
		}
	}
}

// SetReadLimit sets how many bytes a message may have, after decompression. The
// default is 32 MiB, and n <= 0 means no limit. A read that meets a larger message
// returns ErrReadLimit as soon as its size is announced. The peer gets close code
// 1009 with the limit in its reason.
func (c *Conn) SetReadLimit(n int64) { c.change(func(s *settings) { s.limit = n }) }

// handlers are the application's, for control frames. A nil one is the default.
type handlers struct {
	ping, pong func(data string) error
	close      func(code int, text string) error
}

// setHandler changes one handler.
func (c *Conn) setHandler(change func(*handlers)) {
	c.change(func(s *settings) {
		h := *s.handlers
		change(&h)
		s.handlers = &h
	})
}

func (c *Conn) loadHandlers() handlers { return *c.settings.Load().handlers }

// SetPingHandler sets the handler for pings. The method that reads calls h with the
// ping's payload, and returns h's error if there is one. The default handler, which
// nil sets again, answers with a pong of the same payload, as RFC 6455 section 5.5.2
// demands. Another handler must do so itself. A handler must not read from the
// connection.
func (c *Conn) SetPingHandler(h func(appData string) error) {
	c.setHandler(func(all *handlers) { all.ping = h })
}

// SetPongHandler sets the handler for pongs, as SetPingHandler does for pings. The
// default handler does nothing.
func (c *Conn) SetPongHandler(h func(appData string) error) {
	c.setHandler(func(all *handlers) { all.pong = h })
}

// SetCloseHandler sets the handler for close frames, as SetPingHandler does for
// pings. code is CloseNoStatusReceived if the frame holds none. If h sends no close
// frame, one with the same code is sent after it, as RFC 6455 section 5.5.1 demands.
// The read then returns a *CloseError, or h's error.
func (c *Conn) SetCloseHandler(h func(code int, text string) error) {
	c.setHandler(func(all *handlers) { all.close = h })
}

// PingHandler returns the handler for pings.
func (c *Conn) PingHandler() func(appData string) error {
	if h := c.loadHandlers().ping; h != nil {
		return h
	}
	return func(data string) error {
		c.leavePong([]byte(data)[:min(len(data), maxControlPayload)])
		return nil
	}
}

// PongHandler returns the handler for pongs.
func (c *Conn) PongHandler() func(appData string) error {
	if h := c.loadHandlers().pong; h != nil {
		return h
	}
	return func(string) error { return nil }
}

// CloseHandler returns the handler for close frames.
func (c *Conn) CloseHandler() func(code int, text string) error {
	if h := c.loadHandlers().close; h != nil {
		return h
	}
	return func(code int, _ string) error {
		c.echoClose(code)
		return nil
	}
}
