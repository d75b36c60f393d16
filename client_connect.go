package websocket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// A client that stays connected. Every connection ends at some time, and a server that
// restarts ends all of them at once. If all clients came back at once, and again and again,
// it might never get up. So each waits for a random time, whose bound doubles with each
// failure (RFC 6455 section 7.2.3), and for longer if the server says so.

// A Retry has the settings of Dialer.Connect. Its zero value is ready for use.
type Retry struct {
	// FirstWait bounds the wait after a connection has ended, which is a random time
	// below it: 0 means 5 s, as RFC 6455 finds reasonable, less than 0 no wait. Before the
	// first attempt of all there is no wait.
	FirstWait time.Duration

	// MaxWait bounds FirstWait's doubling with each attempt that fails, and with each
	// connection that ends before StableAfter: 0 means 1 min. It is never below FirstWait.
	MaxWait time.Duration

	// StableAfter is how long a connection must have lived for FirstWait to hold again: 0
	// means 10 s, less than 0 no time at all. Some servers accept connections and then fail.
	StableAfter time.Duration

	// Header, if not nil, is called before each attempt, with a copy of the request header
	// that it may change: for a token that expires. Its error counts as a failed attempt.
	Header func(ctx context.Context, header http.Header) error

	// Waiting, if not nil, is called before each wait, for logs. err says why there is no
	// connection: it is a *ConnectError, or the error that reads of the last connection
	// returned, or nil if the body of the loop left that one alive.
	Waiting func(err error, wait time.Duration)

	// GiveUp reports whether an attempt that failed is to be the last one. Nil means
	// (*ConnectError).Permanent.
	GiveUp func(*ConnectError) bool
}

// Times that hold unless a Retry says otherwise.
const (
	defaultFirstWait    = 5 * time.Second
	defaultMaxWait      = time.Minute
	defaultStableAfter  = 10 * time.Second
	connectPingInterval = 30 * time.Second
	maxRetryAfter       = time.Hour
)

// A ConnectError says why an attempt of Connect's failed.
type ConnectError struct {
	Response *http.Response // as DialContext returned it, nil if the server sent none
	Err      error          // as DialContext, or Retry.Header, returned it
}

func (e *ConnectError) Unwrap() error { return e.Err }

// Error names the status that refused, and where a redirect leads.
func (e *ConnectError) Error() string {
	if e.Response == nil || e.Err != ErrBadHandshake {
		return e.Err.Error()
	}
	text := e.Err.Error() + ": " + e.Response.Status
	if location := e.Response.Header.Get("Location"); location != "" && e.Response.StatusCode/100 == 3 {
		text += fmt.Sprintf(" to %q, which is not followed", location)
	}
	return text
}

// Permanent reports whether a further attempt would most likely fail too: the server refused
// with a status of 4xx, or redirected for good, with 301 or 308. Redirects are not followed.
//
// 408 (Request Timeout), 425 (Too Early) and 429 (Too Many Requests) are not permanent, and
// nor are other redirects, by which a hotel's network asks one to log in first. Nor is anything
// else: servers come back, names get known, certificates are renewed, and clocks are set.
func (e *ConnectError) Permanent() bool {
	if e.Response == nil {
		return false
	}
	switch status := e.Response.StatusCode; status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	case http.StatusMovedPermanently, http.StatusPermanentRedirect:
		return true
	default:
		return 400 <= status && status <= 499
	}
}

// retryAfter returns how long the server asks to wait (RFC 9110 section 10.2.3).
func (e *ConnectError) retryAfter() time.Duration {
	if e.Response == nil {
		return 0
	}
	field := e.Response.Header.Get("Retry-After")
	var wait time.Duration
	if seconds, err := strconv.ParseUint(field, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(field); err == nil {
		wait = at.Sub(e.serverTime())
	}
	return min(max(0, wait), maxRetryAfter)
}

// serverTime returns the time of the server's answer by the server's clock if it tells, as this
// side's may be wrong.
func (e *ConnectError) serverTime() time.Time {
	if t, err := http.ParseTime(e.Response.Header.Get("Date")); err == nil {
		return t
	}
	return time.Now()
}

// Connect keeps a client connected. It returns one connection after the other, for use with
// range:
//
//	for c, err := range d.Connect(ctx, "wss://server.example/events", nil) {
//		if err != nil {
//			return err // there will be no other connection
//		}
//		for m, err := range c.Messages() {
//			if err != nil {
//				break
//			}
//			…
//		}
//	}
//
// The body of the loop owns c for as long as it runs. When it comes to its end, Connect dials
// again, and when it breaks or returns, that was all. Either way c is closed if it is not yet,
// with code 1000 if the peer takes that at once. Connect comes back after any close code of the
// server's, so a body that takes one for an end has to break.
//
// Between connections it waits, as d.Retry says: for a random time, whose bound doubles with
// each failure, up to a minute. It waits longer if the server asks for it: by Retry-After in
// a refusal, of which an hour at most is heeded, or by a close code. After 1012 (service
// restart) it takes a random time between a twelfth and a half of MaxWait, by default 5 to
// 30 s, and after 1013 (try again later) one between a half and the whole, by default 30 s to
// 1 min.
//
// Errors that pass do not come to the body: Retry.Waiting is told of them. An error comes
// once, with a nil c, and ends the sequence. It is a *ConnectError if an attempt failed and no
// other is to follow, for which see Retry.GiveUp. It wraps ctx's error if ctx has ended. It is
// another one if urlStr or the header cannot be used.
//
// When ctx ends, the connection of that moment is closed as well, by Shutdown with code 1001,
// so the body's reads end after CloseTimeout at the latest. The values of ctx go to DialContext.
//
// A connection to a server that is gone looks like any other, so if d.PingInterval is 0,
// Connect takes 30 s. (In a browser, which cannot ping, it takes 0.) Each loop over the sequence
// is a client of its own. A nil Dialer is DefaultDialer.
func (d *Dialer) Connect(ctx context.Context, urlStr string, requestHeader http.Header) iter.Seq2[*Conn, error] {
	if d == nil {
		d = DefaultDialer
	}
	return func(yield func(*Conn, error) bool) {
		k := connector{dialer: *d, url: urlStr, header: requestHeader}
		if !d.inBrowser() { // which cannot ping
			k.dialer.PingInterval = cmp.Or(d.PingInterval, connectPingInterval)
		}
		if d.Retry != nil {
			k.Retry = *d.Retry
		}
		k.run(ctx, yield)
	}
}

// A connector is one loop over Connect's sequence.
type connector struct {
	Retry
	dialer Dialer
	url    string
	header http.Header

	failures int   // attempts that failed and connections that did not last, in a row
	last     error // of the last attempt, nil if it did not fail
}

func (k *connector) run(ctx context.Context, yield func(*Conn, error) bool) {
	for ctx.Err() == nil {
		c, final, err := k.dial(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			continue
		case final:
			yield(nil, err)
			return
		case err == nil:
			var more bool
			if err, more = k.use(ctx, c, yield); !more {
				return
			}
		}
		k.wait(ctx, err)
	}
	yield(nil, k.ended(ctx))
}

// ended returns the error that says that ctx has ended. It holds the error of the last attempt, if
// that failed.
func (k *connector) ended(ctx context.Context) error {
	if k.last != nil {
		return fmt.Errorf("websocket: connect: %w; the last attempt: %v", ctx.Err(), k.last)
	}
	return fmt.Errorf("websocket: connect: %w", ctx.Err())
}

// dial makes one attempt, and reports whether its error is to be the last.
func (k *connector) dial(ctx context.Context) (c *Conn, final bool, err error) {
	var resp *http.Response
	header := k.header.Clone()
	if k.Header != nil {
		if header == nil {
			header = make(http.Header)
		}
		err = k.Header(ctx, header)
	}
	if err == nil {
		if _, _, err := k.dialer.newRequest(k.url, header); err != nil {
			return nil, true, err
		}
		c, resp, err = k.dialer.DialContext(ctx, k.url, header)
	}
	if err == nil {
		k.last = nil
		return c, false, nil
	}
	failed := &ConnectError{Response: resp, Err: err}
	if ctx.Err() != nil { // that is why, and k.last is better known than this
		return nil, false, failed
	}
	k.last = failed
	if k.GiveUp != nil {
		return nil, k.GiveUp(failed), failed
	}
	return nil, failed.Permanent(), failed
}

// use gives c to the body of the loop. It returns why c has ended, nil if it had not, and
// reports whether the loop goes on.
func (k *connector) use(ctx context.Context, c *Conn, yield func(*Conn, error) bool) (end error, more bool) {
	start := time.Now()
	defer c.Close() // also if the body panics
	defer leaveWhenDone(ctx, c)()
	more = yield(c, nil)
	if time.Since(start) >= cmp.Or(k.StableAfter, defaultStableAfter) {
		k.failures = 0
	}
	if end = context.Cause(c.Context()); end == nil {
		c.Enqueue(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""))
	}
	return end, more
}

// leaveWhenDone closes c when ctx ends. The function that it returns calls that off, or waits
// for the end of it.
func leaveWhenDone(ctx context.Context, c *Conn) (stop func()) {
	done := make(chan struct{})
	callOff := context.AfterFunc(ctx, func() {
		defer close(done)
		limit := context.Background()
		if c.settings.Load().closeTimeout <= 0 { // ctx was to be the end of all patience
			var cancel func()
			limit, cancel = context.WithTimeout(limit, defaultCloseTimeout)
			defer cancel()
		}
		c.Shutdown(limit, CloseGoingAway, "")
	})
	return func() {
		if !callOff() {
			<-done
		}
	}
}

// wait waits before the next attempt, until ctx ends. err says why there is no connection.
func (k *connector) wait(ctx context.Context, err error) {
	wait := k.nextWait(err)
	if k.Waiting != nil {
		k.Waiting(err, wait)
	}
	k.failures++
	waitFor(nil, ctx, time.Now().Add(wait))
}

// nextWait returns the time before the next attempt.
func (k *connector) nextWait(err error) time.Duration {
	wait := below(k.bound())
	if failed, ok := errors.AsType[*ConnectError](err); ok {
		// The random time comes on top, as all clients may have been told the same.
		return failed.retryAfter() + wait
	}
	switch most := k.maxWait(); {
	case IsCloseError(err, CloseServiceRestart): // whose registration asks for 5 to 30 s
		return max(wait, between(most/12, most/2))
	case IsCloseError(err, CloseTryAgainLater): // the server is there, but has too much to do
		return max(wait, between(most/2, most))
	}
	return wait
}

// firstWait is not negative, because bound doubles it and would overflow to the other side.
func (k *connector) firstWait() time.Duration {
	return max(0, cmp.Or(k.FirstWait, defaultFirstWait))
}

func (k *connector) maxWait() time.Duration {
	return max(k.firstWait(), cmp.Or(k.MaxWait, defaultMaxWait))
}

// bound returns the bound of the next random wait.
func (k *connector) bound() time.Duration {
	bound := k.firstWait()
	for range min(k.failures, 62) {
		if bound > k.maxWait()/2 {
			return k.maxWait()
		}
		bound *= 2
	}
	return bound
}

// below returns a random time below d, and 0 if there is none.
func below(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}

// between returns a random time from least to most.
func between(least, most time.Duration) time.Duration { return least + below(most-least) }
