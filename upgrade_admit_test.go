package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// An admitServer is one of the ways to a connection. result gets the handler's view of the request,
// or the error with which it was refused.
type admitServer struct {
	name  string
	start func(t *testing.T, u Upgrader, result chan<- any) (url string)
}

type admitKey struct{}

var admitServers = []admitServer{
	{"listener", func(t *testing.T, u Upgrader, result chan<- any) string {
		srv := admitting(u, result)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
		return "ws://" + l.Addr().String()
	}},
	{"ServeHTTP", func(t *testing.T, u Upgrader, result chan<- any) string {
		srv := admitting(u, result)
		hs := httptest.NewServer(srv)
		t.Cleanup(func() { hs.Close(); srv.Close() })
		return hs.URL
	}},
	{"Upgrade", func(t *testing.T, u Upgrader, result chan<- any) string {
		hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := u.Upgrade(w, r, http.Header{"X-Mine": {"1"}})
			if err != nil {
				result <- err
				return
			}
			defer c.Close()
			result <- r.Context().Value(admitKey{})
			c.ReadMessage()
		}))
		t.Cleanup(hs.Close)
		return hs.URL
	}},
}

// admitting returns a Server whose handler reports its view of the request.
func admitting(u Upgrader, result chan<- any) *Server {
	u.Trace = &Trace{Handshake: func(_ *Conn, _ *http.Request, _ []byte, err error) {
		if err != nil {
			result <- err
		}
	}}
	return &Server{Upgrader: u, Handler: func(c *Conn, r *http.Request) {
		result <- r.Context().Value(admitKey{})
		c.ReadMessage()
	}}
}

// Admit adds fields to the response, chooses a subprotocol, and passes a value to the handler, on
// every way that the request may take.
func TestAdmit(t *testing.T) {
	for _, s := range admitServers {
		for _, replace := range []bool{true, false} {
			t.Run(fmt.Sprint(s.name, ", another request ", replace), func(t *testing.T) {
				result := make(chan any, 1)
				url := s.start(t, Upgrader{Admit: func(r *http.Request, header http.Header) (*http.Request, error) {
					if r.URL.Path != "/room" || r.Header.Get("Authorization") != "Bearer sesame" || r.RemoteAddr == "" {
						t.Errorf("Admit got %+v", r)
					}
					header.Add("Set-Cookie", "a=1")
					header.Add("Set-Cookie", "b=2")
					header.Set("Sec-WebSocket-Protocol", "v2")
					if !replace {
						return nil, nil
					}
					return r.WithContext(context.WithValue(r.Context(), admitKey{}, "ann")), nil
				}}, result)
				c, resp, err := DefaultDialer.Dial(url+"/room", http.Header{
					"Authorization": {"Bearer sesame"}, "Sec-WebSocket-Protocol": {"v1, v2"},
				})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				var want any
				if replace {
					want = "ann"
				}
				if got := <-result; got != want {
					t.Errorf("the handler found %v, want %v", got, want)
				}
				if got := resp.Header["Set-Cookie"]; !slices.Equal(got, []string{"a=1", "b=2"}) || c.Subprotocol() != "v2" {
					t.Errorf("Set-Cookie %q, subprotocol %q", got, c.Subprotocol())
				}
				if got := resp.Header.Get("X-Mine"); (got == "1") != (s.name == "Upgrade") {
					t.Errorf("X-Mine %q: responseHeader is lost, or comes from nowhere", got)
				}
			})
		}
	}
}

var errSession = errors.New("secret: the session store is down")

// refusals are errors that Admit may return, and the responses to them.
var refusals = []struct {
	name   string
	err    error
	status int
	header http.Header // a part of it
	body   string
}{
	{"login", &Refusal{Status: 401, Message: "log in first", Header: http.Header{"WWW-Authenticate": {`Bearer realm="x"`, "Basic"}}},
		401, http.Header{"Www-Authenticate": {`Bearer realm="x"`, "Basic"}, "Content-Type": {"text/plain; charset=utf-8"}}, "log in first\n"},
	{"too many", &Refusal{Status: 429, Header: http.Header{"Retry-After": {"30"}}},
		429, http.Header{"Retry-After": {"30"}}, "Too Many Requests\n"},
	{"of another type", &Refusal{Status: 400, Message: `{"error":1}`, Header: http.Header{"content-type": {"application/json"}}},
		400, http.Header{"Content-Type": {"application/json"}}, `{"error":1}`},
	{"elsewhere", &Refusal{Status: 307, Header: http.Header{"Location": {"/b"}}}, 307, http.Header{"Location": {"/b"}}, "Temporary Redirect\n"},
	{"nil", (*Refusal)(nil), 403, nil, "Forbidden\n"},
	{"zero", &Refusal{}, 403, nil, "Forbidden\n"},
	{"wrapped", fmt.Errorf("secret: %w", &Refusal{Status: 402, Message: "pay"}), 402, nil, "pay\n"},
	{"a failure with a text", &Refusal{Status: 500, Message: "ask Bob"}, 500, nil, "ask Bob\n"},
	{"a failure", errSession, 500, nil, "Internal Server Error\n"},
	{"no refusal", &Refusal{Status: 200, Message: "secret"}, 500, nil, "Internal Server Error\n"},
	{"no refusal either", &Refusal{Status: 101, Message: "secret"}, 500, nil, "Internal Server Error\n"},
	{"no status", &Refusal{Status: 12345, Message: "secret"}, 500, nil, "Internal Server Error\n"},
	{"a body's length", &Refusal{Status: 403, Message: "no", Header: http.Header{"Content-Length": {"99"}, "Transfer-Encoding": {"chunked"}}},
		403, http.Header{"Content-Length": {"3"}}, "no\n"},
	{"a line break", &Refusal{Status: 403, Message: "no", Header: http.Header{"X": {"1\r\nSet-Cookie: a=1"}}},
		403, http.Header{"Set-Cookie": nil}, "no\n"},
}

// Admit refuses with a status, a text and fields of its own, on every way that the request may
// take. The part of the error that is not meant for the client stays here.
func TestAdmitRefuses(t *testing.T) {
	for _, s := range admitServers {
		for _, tt := range refusals {
			t.Run(s.name+", "+tt.name, func(t *testing.T) {
				result := make(chan any, 1)
				url := s.start(t, Upgrader{Admit: func(_ *http.Request, header http.Header) (*http.Request, error) {
					header.Set("X-Agreed", "1")
					return nil, tt.err
				}}, result)
				_, resp, err := DefaultDialer.Dial(url, nil)
				if err != ErrBadHandshake {
					t.Fatalf("Dial: %v", err)
				}
				body, _ := io.ReadAll(resp.Body)
				if resp.StatusCode != tt.status || string(body) != tt.body {
					t.Errorf("%d %q, want %d %q", resp.StatusCode, body, tt.status, tt.body)
				}
				for name, want := range tt.header {
					if got := resp.Header[name]; name != "Content-Length" && !slices.Equal(got, want) {
						t.Errorf("%s %q, want %q", name, got, want)
					}
				}
				if resp.Header["X-Agreed"] != nil {
					t.Error("a field of the response that agrees is in the one that refuses")
				}
				e, ok := (<-result).(HandshakeError)
				if !ok || e.Status != tt.status || errors.Is(tt.err, errSession) != errors.Is(e, errSession) || e.Unwrap() == nil {
					t.Errorf("refused with %#v", e)
				}
			})
		}
	}
}

// Upgrader.Error writes Admit's refusals too, with their fields set.
func TestAdmitAndError(t *testing.T) {
	for _, s := range admitServers {
		t.Run(s.name, func(t *testing.T) {
			url := s.start(t, Upgrader{
				Admit: func(*http.Request, http.Header) (*http.Request, error) {
					return nil, &Refusal{Status: 401, Message: "log in", Header: http.Header{"Www-Authenticate": {"Basic"}}}
				},
				Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
					w.WriteHeader(status)
					io.WriteString(w, "<h1>"+refusalText(reason)+"</h1>")
				},
			}, make(chan any, 1))
			_, resp, _ := DefaultDialer.Dial(url, nil)
			if body, _ := io.ReadAll(resp.Body); string(body) != "<h1>log in</h1>" || resp.StatusCode != 401 || resp.Header.Get("Www-Authenticate") != "Basic" {
				t.Errorf("%d %q %q", resp.StatusCode, body, resp.Header)
			}
		})
	}
}

// refusalText is the text of Admit's Refusal, which the reason wraps.
func refusalText(reason error) string {
	r, _ := errors.AsType[*Refusal](reason)
	return r.Message
}

// Admit is asked last. It does not see requests that break a rule, nor pages that may not connect.
func TestAdmitIsAskedLast(t *testing.T) {
	for _, s := range admitServers {
		t.Run(s.name, func(t *testing.T) {
			asked := 0
			result := make(chan any, 10)
			url := s.start(t, Upgrader{Admit: func(*http.Request, http.Header) (*http.Request, error) {
				asked++
				return nil, nil
			}}, result)
			for _, request := range []string{
				with("Origin: https://evil.example"),
				strings.Replace(goodRequest, "Version: 13", "Version: 8", 1),
				strings.Replace(goodRequest, "Key: dGhl", "Key: dGhlAAAA", 1),
				"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			} {
				nc, err := net.Dial("tcp", url[strings.Index(url, "//")+2:])
				if err != nil {
					t.Fatal(err)
				}
				nc.SetDeadline(time.Now().Add(10 * time.Second))
				io.WriteString(nc, request)
				answer := make([]byte, 10)
				io.ReadFull(nc, answer)
				nc.Close()
				if string(answer) != "HTTP/1.1 4" {
					t.Errorf("%q: answer %q", request, answer)
				}
				<-result
			}
			if asked != 0 {
				t.Errorf("Admit was asked %d times", asked)
			}
		})
	}
}

// Fields that the handshake writes itself cannot be added, nor fields that would break the
// response.
func TestAdmitBadField(t *testing.T) {
	for _, s := range admitServers {
		for name, value := range map[string]string{"Upgrade": "x", "Sec-WebSocket-Extensions": "x", "X": "1\r\nY: 2", "X Y": "1"} {
			t.Run(s.name+", "+name, func(t *testing.T) {
				result := make(chan any, 1)
				url := s.start(t, Upgrader{Admit: func(_ *http.Request, header http.Header) (*http.Request, error) {
					header[name] = []string{value}
					return nil, nil
				}}, result)
				_, resp, err := DefaultDialer.Dial(url, nil)
				if err != ErrBadHandshake || resp.StatusCode != 500 {
					t.Errorf("%v, %+v; want status 500", err, resp)
				}
				if e, ok := (<-result).(HandshakeError); !ok || !strings.Contains(e.message, name) {
					t.Errorf("refused with %v", e)
				}
			})
		}
	}
}

// A Server logs the reason if Admit fails, and does not tell the client.
func TestAdmitLogged(t *testing.T) {
	var logged bytes.Buffer
	srv := &Server{Handler: echo, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
	srv.Admit = func(*http.Request, http.Header) (*http.Request, error) { return nil, errSession }
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {sampleKey}}
	srv.ServeHTTP(w, r)
	if w.Code != 500 || !strings.Contains(logged.String(), errSession.Error()) || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("status %d, body %q, logged %q", w.Code, w.Body, &logged)
	}
}
