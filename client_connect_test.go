package websocket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A connectScript is a server, or the lack of one: each attempt meets the next step, and the
// last step for ever.
type connectScript struct {
	steps    []connectStep
	attempts []time.Duration // when they came, since start
	headers  []http.Header
	start    time.Time
	srv      *Server
	listener *listenerOf
}

// A connectStep is the fate of one attempt: an error of the dial function, a response that
// refuses, or a handler.
type connectStep struct {
	dialErr error
	refusal string
	handler func(c *Conn)
}

var errNoServer = errors.New("nobody is there")

// newConnectScript returns a server, which runs until the test stops it, and a Dialer for it.
func newConnectScript(steps ...connectStep) (*connectScript, *Dialer) {
	s := &connectScript{steps: steps, start: time.Now(), listener: newListener()}
	handlers := make(chan func(*Conn), 1)
	s.srv = &Server{Handler: func(c *Conn, _ *http.Request) { (<-handlers)(c) }}
	go s.srv.Serve(s.listener)
	return s, &Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) {
		step := s.steps[min(len(s.attempts), len(s.steps)-1)]
		s.attempts = append(s.attempts, time.Since(s.start))
		if step.dialErr != nil {
			return nil, step.dialErr
		}
		server, client := net.Pipe()
		if step.refusal != "" {
			go s.refuse(server, step.refusal)
			return client, nil
		}
		handlers <- step.handler
		s.listener.conns <- server
		return client, nil
	}}
}

func (s *connectScript) refuse(nc net.Conn, response string) {
	defer nc.Close()
	if r, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
		s.headers = append(s.headers, r.Header)
		io.WriteString(nc, "HTTP/1.1 "+response+"\r\nContent-Length: 0\r\n\r\n")
	}
}

// stop ends the server, and waits for handlers that sleep.
func (s *connectScript) stop() {
	s.srv.Close()
	time.Sleep(2 * time.Hour)
}

// closing is a handler that closes with a code after a while.
func closing(code int, after time.Duration) func(c *Conn) {
	return func(c *Conn) {
		time.Sleep(after)
		c.Shutdown(context.Background(), code, "")
	}
}

// readUntilEnd is what bodies and handlers mostly do.
func readUntilEnd(c *Conn) (err error) {
	for err == nil {
		_, _, err = c.ReadMessage()
	}
	return err
}

// Each bound doubles up to a minute, the waits are random below, and a connection that lasted
// begins anew.
func TestConnectBound(t *testing.T) {
	second := time.Second
	for _, tt := range []struct {
		retry Retry
		want  []time.Duration // after 0, 1, 2 ... failures
	}{
		{Retry{}, []time.Duration{5 * second, 10 * second, 20 * second, 40 * second, 60 * second, 60 * second}},
		{Retry{FirstWait: second, MaxWait: 3 * second}, []time.Duration{second, 2 * second, 3 * second, 3 * second}},
		{Retry{FirstWait: 2 * time.Minute}, []time.Duration{2 * time.Minute, 2 * time.Minute}},
		{Retry{MaxWait: -1}, []time.Duration{5 * second, 5 * second}},
		{Retry{MaxWait: math.MaxInt64, FirstWait: math.MaxInt64 / 3}, []time.Duration{math.MaxInt64 / 3, math.MaxInt64 / 3 * 2, math.MaxInt64}},
	} {
		k := connector{Retry: tt.retry}
		for _, want := range tt.want {
			if got := k.bound(); got != want {
				t.Errorf("%+v after %d failures: %v, want %v", tt.retry, k.failures, got, want)
			}
			early, late := 0, 0
			for range 1000 {
				switch wait := k.nextWait(errNoServer); {
				case wait < 0 || wait >= want:
					t.Fatalf("%v is not below %v", wait, want)
				case wait < want/4:
					early++
				case wait >= want/4*3:
					late++
				}
			}
			if early < 110 || late < 110 { // of 250, ten times the deviation
				t.Errorf("of 1000 waits below %v, %d are in the first quarter, %d in the last", want, early, late)
			}
			k.failures++
		}
	}
	for _, first := range []time.Duration{-1, -second, -5 * second, math.MinInt64} {
		for failures := range 100 {
			k := connector{Retry: Retry{FirstWait: first}, failures: failures}
			if bound, wait := k.bound(), k.nextWait(nil); bound > 0 || wait != 0 {
				t.Fatalf("FirstWait %v: after %d failures it waits %v, below %v", first, failures, wait, bound)
			}
		}
	}
	k := connector{failures: 1 << 30} // a server that was away for years
	if got := k.bound(); got != time.Minute {
		t.Errorf("after a billion failures: %v", got)
	}
}

// A server that asks for patience gets it.
func TestConnectHeedsTheServer(t *testing.T) {
	refusedAt := func(date, field string) error {
		header := http.Header{"Retry-After": {field}, "Date": {date}}
		return &ConnectError{Response: &http.Response{Header: header}, Err: ErrBadHandshake}
	}
	refused := func(field string) error { return refusedAt("", field) }
	const sunday = "Sun, 06 Nov 1994 08:49:37 GMT"
	synctest.Test(t, func(t *testing.T) {
		minute := time.Minute
		for _, tt := range []struct {
			name        string
			err         error
			least, most time.Duration
		}{
			{"no error", nil, 0, 5 * time.Second},
			{"1001", &CloseError{Code: 1001}, 0, 5 * time.Second},
			{"1012", &CloseError{Code: 1012}, 5 * time.Second, 30 * time.Second},
			{"1013", &CloseError{Code: 1013}, 30 * time.Second, time.Minute},
			{"seconds", refused("120"), 2 * minute, 2*minute + 5*time.Second},
			{"a date", refused(time.Now().Add(3 * minute).UTC().Format(http.TimeFormat)), 3 * minute, 3*minute + 5*time.Second},
			{"a date that is over", refused(sunday), 0, 5 * time.Second},
			{"a date behind the server's", refusedAt(sunday, "Sun, 06 Nov 1994 08:50:37 GMT"), minute, minute + 5*time.Second},
			{"the server's date in another form", refusedAt("Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:50:37 1994"), minute, minute + 5*time.Second},
			{"a date before the server's", refusedAt("Sun, 06 Nov 2094 08:49:37 GMT", "Sun, 06 Nov 2094 08:49:36 GMT"), 0, 5 * time.Second},
			{"centuries behind the server's date", refusedAt(sunday, "Sun, 06 Nov 9994 08:49:37 GMT"), time.Hour, time.Hour + 5*time.Second},
			{"seconds, and a server's date", refusedAt(sunday, "60"), minute, minute + 5*time.Second},
			{"a date, and a server's that is none", refusedAt("now", time.Now().Add(3*minute).UTC().Format(http.TimeFormat)), 3 * minute, 3*minute + 5*time.Second},
			{"a year", refused("31536000"), time.Hour, time.Hour + 5*time.Second},
			{"more than fits", refused("99999999999999999999"), time.Hour, time.Hour + 5*time.Second},
			{"nonsense", refused("soon"), 0, 5 * time.Second},
			{"less than nothing", refused("-5"), 0, 5 * time.Second},
			{"nothing", refused(""), 0, 5 * time.Second},
		} {
			var k connector
			var shortest, longest time.Duration = math.MaxInt64, 0
			for range 1000 {
				wait := k.nextWait(tt.err)
				shortest, longest = min(shortest, wait), max(longest, wait)
			}
			spread := (tt.most - tt.least) / 10
			if shortest < tt.least || shortest > tt.least+spread || longest >= tt.most || longest < tt.most-spread {
				t.Errorf("%s: waits are %v to %v, want %v to %v", tt.name, shortest, longest, tt.least, tt.most)
			}
		}
	})
}

// One connection comes after another, through failures of all kinds.
func TestConnectStaysConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newConnectScript(
			connectStep{dialErr: errNoServer},
			connectStep{refusal: "503 Service Unavailable\r\nRetry-After: 100"},
			connectStep{refusal: "429 Too Many Requests"},
			connectStep{refusal: "200 OK"},
			connectStep{handler: closing(CloseNormalClosure, time.Second)},     // did not last
			connectStep{handler: closing(CloseServiceRestart, 11*time.Second)}, // lasted
			connectStep{handler: func(c *Conn) { c.Close() }},
			connectStep{handler: closing(CloseGoingAway, 0)},
		)
		defer s.stop()
		var failures []error
		var waits []time.Duration
		d.Retry = &Retry{Waiting: func(err error, wait time.Duration) {
			failures, waits = append(failures, err), append(waits, wait)
		}}
		connections := 0
		for c, err := range d.Connect(t.Context(), "ws://server", nil) {
			if err != nil {
				t.Fatal(err)
			}
			end := readUntilEnd(c)
			if connections++; connections == 4 {
				if !IsCloseError(end, CloseGoingAway) {
					t.Errorf("the last connection ended with %v", end)
				}
				break
			}
		}
		var told []string
		for _, err := range failures {
			told = append(told, err.Error())
		}
		want := []string{
			"nobody is there",
			"websocket: bad handshake: 503 Service Unavailable",
			"websocket: bad handshake: 429 Too Many Requests",
			"websocket: bad handshake: 200 OK",
			"websocket: close 1000 (normal)",
			"websocket: close 1012 (service restart)",
			"websocket: close 1006 (abnormal closure): unexpected EOF",
		}
		if fmt.Sprint(told) != fmt.Sprint(want) {
			t.Errorf("told of\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
		if s.attempts[0] != 0 {
			t.Errorf("the first attempt came after %v", s.attempts[0])
		}
		for i, wait := range waits {
			lived := []time.Duration{0, 0, 0, 0, time.Second, 11 * time.Second, 0}[i]
			if got := s.attempts[i+1] - s.attempts[i]; got < wait+lived || got > wait+lived+10*time.Second {
				t.Errorf("attempt %d came %v after the one before, which lived %v; the wait was said to be %v", i+1, got, lived, wait)
			}
			least := []time.Duration{0, 100 * time.Second, 0, 0, 0, 5 * time.Second, 0}[i]
			bound := []time.Duration{5, 110, 20, 40, 60, 30, 10}[i] * time.Second
			if wait < least || wait >= bound {
				t.Errorf("wait %d is %v, not from %v to %v", i, wait, least, bound)
			}
		}
	})
}

// An error names where a redirect leads, and only a redirect leads anywhere.
func TestConnectErrorNamesTheLocation(t *testing.T) {
	for _, tt := range []struct {
		status, location, want string
	}{
		{"302 Found", "http://hotel.example/login", `websocket: bad handshake: 302 Found to "http://hotel.example/login", which is not followed`},
		{"301 Moved Permanently", "https://a/", `websocket: bad handshake: 301 Moved Permanently to "https://a/", which is not followed`},
		{"307 Temporary Redirect", "", "websocket: bad handshake: 307 Temporary Redirect"},
		{"403 Forbidden", "http://elsewhere", "websocket: bad handshake: 403 Forbidden"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, d := newConnectScript(connectStep{refusal: tt.status + "\r\nLocation: " + tt.location})
			defer s.stop()
			d.Retry = &Retry{GiveUp: func(*ConnectError) bool { return true }}
			for _, err := range d.Connect(t.Context(), "ws://a", nil) {
				if err.Error() != tt.want {
					t.Errorf("the error is %q, want %q", err, tt.want)
				}
			}
		})
	}
}

// A network that redirects until one has logged in lets the client through in the end. Meanwhile
// Waiting is told.
func TestConnectPassesACaptivePortal(t *testing.T) {
	for _, status := range []string{"302 Found", "303 See Other", "307 Temporary Redirect", "511 Network Authentication Required"} {
		synctest.Test(t, func(t *testing.T) {
			portal := connectStep{refusal: status + "\r\nLocation: http://hotel.example/login"}
			s, d := newConnectScript(portal, portal, portal, connectStep{handler: func(c *Conn) { readUntilEnd(c) }})
			defer s.stop()
			told := 0
			d.Retry = &Retry{Waiting: func(err error, wait time.Duration) {
				if told++; !strings.Contains(err.Error(), status) || wait > 20*time.Second {
					t.Errorf("told of %v, %v", err, wait)
				}
			}}
			for c, err := range d.Connect(t.Context(), "ws://a", nil) {
				if c == nil || told != 3 {
					t.Errorf("%s: after %d waits: %v", status, told, err)
				}
				break
			}
		})
	}
}

// What will not get better ends the sequence, with the response at hand.
func TestConnectGivesUp(t *testing.T) {
	for status := 200; status < 600; status++ {
		want := status == 301 || status == 308 || status/100 == 4 && status != 408 && status != 425 && status != 429
		e := &ConnectError{Response: &http.Response{StatusCode: status}, Err: ErrBadHandshake}
		if e.Permanent() != want {
			t.Errorf("status %d is permanent: %v", status, !want)
		}
	}
	if (&ConnectError{Err: errNoServer}).Permanent() {
		t.Error("no response is permanent")
	}

	never := func(*ConnectError) bool { return false }
	always := func(*ConnectError) bool { return true }
	for _, tt := range []struct {
		name     string
		url      string
		header   http.Header
		step     connectStep
		giveUp   func(*ConnectError) bool
		attempts int
		status   int // 0 for no *ConnectError with a response
	}{
		{"403", "ws://a", nil, connectStep{refusal: "403 Forbidden"}, nil, 1, 403},
		{"301", "ws://a", nil, connectStep{refusal: "301 Moved Permanently"}, nil, 1, 301},
		{"503, as the program wishes", "ws://a", nil, connectStep{refusal: "503 Service Unavailable"}, always, 1, 503},
		{"a failed dial, as the program wishes", "ws://a", nil, connectStep{dialErr: errNoServer}, always, 1, 0},
		{"a malformed URL", "ftp://a", nil, connectStep{}, never, 0, 0},
		{"a header that cannot be sent", "ws://a", http.Header{"X": {"a\r\nb"}}, connectStep{}, never, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := newConnectScript(tt.step)
				defer s.stop()
				d.Retry = &Retry{GiveUp: tt.giveUp}
				var got []error
				for c, err := range d.Connect(t.Context(), tt.url, tt.header) {
					if c != nil || err == nil {
						t.Errorf("got %v, %v", c, err)
					}
					got = append(got, err)
				}
				if len(got) != 1 || len(s.attempts) != tt.attempts {
					t.Fatalf("%d attempts, errors %v", len(s.attempts), got)
				}
				failed, ok := errors.AsType[*ConnectError](got[0])
				switch {
				case tt.attempts == 0:
					if ok {
						t.Errorf("got %v, which is no attempt's", got[0])
					}
				case !ok:
					t.Errorf("got %T: %v", got[0], got[0])
				case tt.status == 0:
					if failed.Response != nil || !errors.Is(failed, errNoServer) {
						t.Errorf("got %v, %v", failed.Response, failed)
					}
				case failed.Response.StatusCode != tt.status || !errors.Is(failed, ErrBadHandshake):
					t.Errorf("got %v, %v", failed.Response, failed)
				}
			})
		})
	}
}

// The end of ctx ends a wait, an attempt, and the connection of that moment.
func TestConnectEndsWithItsContext(t *testing.T) {
	stuck := func(context.Context, string, string) (net.Conn, error) {
		c, _ := net.Pipe()
		return c, nil
	}
	for _, tt := range []struct {
		name    string
		step    connectStep
		dial    func(context.Context, string, string) (net.Conn, error)
		last    string // what the error says of the last attempt
		longest time.Duration
	}{
		{"while it waits", connectStep{dialErr: errNoServer}, nil, "; the last attempt: nobody is there", 0},
		{"while it dials", connectStep{}, stuck, "", 0},
		{"while it is connected", connectStep{handler: func(c *Conn) {
			if err := readUntilEnd(c); !IsCloseError(err, CloseGoingAway) {
				t.Errorf("the server got %v", err)
			}
		}}, nil, "", time.Second},
		{"while the server sleeps", connectStep{handler: func(c *Conn) { time.Sleep(time.Hour) }}, nil, "", defaultCloseTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := newConnectScript(tt.step)
				defer s.stop()
				if tt.dial != nil {
					d.NetDialContext, d.HandshakeTimeout = tt.dial, -1
				}
				d.Retry = &Retry{FirstWait: time.Hour}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				var last error
				for c, err := range d.Connect(ctx, "ws://a", nil) {
					if last = err; err == nil {
						readUntilEnd(c)
					}
				}
				took := time.Since(s.start) - time.Second
				if took < 0 || took > tt.longest {
					t.Errorf("the loop ended %v after ctx", took)
				}
				if !errors.Is(last, context.Canceled) || last.Error() != "websocket: connect: context canceled"+tt.last {
					t.Errorf("the error is %v", last)
				}
			})
		})
	}
}

// A context that has ended makes no attempt.
func TestConnectWithAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newConnectScript(connectStep{dialErr: errNoServer})
		defer s.stop()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n := 0
		for _, err := range d.Connect(ctx, "ws://a", nil) {
			if n++; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		if n != 1 || len(s.attempts) != 0 {
			t.Errorf("%d rounds, %d attempts", n, len(s.attempts))
		}
	})
}

// However the body ends, its connection is closed, and the server hears of it.
func TestConnectClosesWhatTheBodyLeaves(t *testing.T) {
	for _, how := range []string{"break", "continue", "panic", "shutdown"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				heard := make(chan error, 2)
				s, d := newConnectScript(connectStep{handler: func(c *Conn) { heard <- readUntilEnd(c) }})
				defer s.stop()
				told := 0
				d.Retry = &Retry{Waiting: func(err error, _ time.Duration) {
					if told++; err != nil && how == "continue" {
						t.Errorf("told of %v", err)
					}
				}}
				var conns []*Conn
				func() {
					defer func() {
						if v := recover(); (v != nil) != (how == "panic") {
							t.Errorf("recovered %v", v)
						}
					}()
					for c, err := range d.Connect(t.Context(), "ws://a", nil) {
						if err != nil {
							t.Fatal(err)
						}
						conns = append(conns, c)
						switch {
						case how == "break" || len(conns) == 2:
							return
						case how == "panic":
							panic("oh no")
						case how == "shutdown":
							c.Shutdown(context.Background(), 4000, "")
						}
					}
				}()
				for i, c := range conns {
					if err := <-heard; !IsCloseError(err, CloseNormalClosure, 4000) && how != "panic" {
						t.Errorf("the server heard %v", err)
					}
					time.Sleep(2 * time.Second) // the close frame may be under way
					if _, _, err := c.ReadMessage(); !errors.Is(err, net.ErrClosed) && !IsCloseError(err, 4000) {
						t.Errorf("connection %d: %v", i, err)
					}
				}
			})
		})
	}
}

// Header renews the header for each attempt, and its error is a failure like others.
func TestConnectHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newConnectScript(connectStep{refusal: "500 Oh"}, connectStep{refusal: "500 Oh"}, connectStep{refusal: "404 Not Found"})
		defer s.stop()
		calls := 0
		d.Retry = &Retry{Header: func(_ context.Context, h http.Header) error {
			if calls++; calls == 2 {
				return errNoServer
			}
			h.Add("Token", fmt.Sprint(calls))
			return nil
		}}
		header := http.Header{"Token": {"mine"}}
		for _, err := range d.Connect(t.Context(), "ws://a", header) {
			if e, ok := errors.AsType[*ConnectError](err); !ok || e.Response.StatusCode != 404 {
				t.Errorf("got %v", err)
			}
		}
		var got [][]string
		for _, h := range s.headers {
			got = append(got, h["Token"])
		}
		if want := "[[mine 1] [mine 3] [mine 4]]"; fmt.Sprint(got) != want {
			t.Errorf("the server got %v, want %s", got, want)
		}
		if len(header["Token"]) != 1 {
			t.Errorf("the caller's header is now %v", header)
		}
	})
}

// A server that is gone without a word is noticed, unless the program wants it otherwise.
func TestConnectNoticesASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newConnectScript(connectStep{handler: func(c *Conn) { io.Copy(io.Discard, c.NetConn()) }})
		defer s.stop()
		s.srv.PingInterval = -1
		for c, err := range d.Connect(t.Context(), "ws://a", nil) {
			if err != nil {
				t.Fatal(err)
			}
			if err := readUntilEnd(c); err != ErrPongTimeout {
				t.Errorf("the connection ended with %v", err)
			}
			break
		}
		if took := time.Since(s.start); took < 50*time.Second || took > 80*time.Second {
			t.Errorf("it took %v", took)
		}
		if d.PingInterval != 0 {
			t.Error("Connect changed the Dialer")
		}
	})
}

// Two loops over one sequence are two clients.
func TestConnectTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newConnectScript(connectStep{handler: closing(1000, 0)})
		defer s.stop()
		seq := d.Connect(t.Context(), "ws://a", nil)
		for range 2 {
			start := time.Now()
			for _, err := range seq {
				if err != nil {
					t.Error(err)
				}
				break
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("the first attempt came after %v", took)
			}
		}
	})
}
