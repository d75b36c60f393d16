package main

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plainsocket/websocket"
)

// A visitor keeps cookies, for HTTP and the WebSocket together, as a browser does.
type visitor struct {
	*testing.T
	addr string
	http.Client
}

func visit(t *testing.T, addr string) *visitor {
	jar, _ := cookiejar.New(nil)
	v := &visitor{t, addr, http.Client{Jar: jar}}
	t.Cleanup(v.CloseIdleConnections)
	return v
}

// post posts to a path, and returns the response without its body.
func (v *visitor) post(path string, form url.Values, header http.Header) *http.Response {
	v.Helper()
	r, _ := http.NewRequest(http.MethodPost, "http://"+v.addr+path, strings.NewReader(form.Encode()))
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := v.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func (v *visitor) login(name, password string, header http.Header) *http.Response {
	v.Helper()
	return v.post("/login", url.Values{"name": {name}, "password": {password}}, header)
}

func (v *visitor) refused(when string, header http.Header, status int) {
	v.Helper()
	d := websocket.Dialer{Jar: v.Jar}
	_, resp, err := d.Dial("ws://"+v.addr+"/before", header)
	if err != websocket.ErrBadHandshake || resp.StatusCode != status {
		v.Errorf("%s: %v, %v; want status %d", when, resp, err, status)
	}
}

func (v *visitor) talks(when string, header http.Header) {
	v.Helper()
	d := websocket.Dialer{Jar: v.Jar}
	c, _, err := d.Dial("ws://"+v.addr+"/before", header)
	if err != nil {
		v.Errorf("%s: %v", when, err)
		return
	}
	heard, end := converse(v.T, c, true, "hello")
	if len(heard) != 1 || heard[0] != "your submit context: hello" || !websocket.IsCloseError(end, websocket.CloseNormalClosure) {
		v.Errorf("%s: %q, %v", when, heard, end)
	}
}

func TestAskedBefore(t *testing.T) {
	addr := start(t, time.Minute)
	v := visit(t, addr)
	v.refused("without a session", nil, http.StatusUnauthorized)
	v.refused("with a session of one's own", http.Header{"Cookie": {"session=AAAA"}}, http.StatusUnauthorized)
	for name, password := range map[string]string{"demo": "wrong", "root": secret, "": ""} {
		if resp := v.login(name, password, nil); resp.StatusCode != http.StatusUnauthorized || len(resp.Cookies()) != 0 {
			t.Errorf("login as %q with %q: %s, %v", name, password, resp.Status, resp.Cookies())
		}
	}
	v.refused("after wrong passwords", nil, http.StatusUnauthorized)

	resp := v.login("demo", secret, nil)
	if len(resp.Cookies()) != 1 {
		t.Fatalf("right password: %s, %v", resp.Status, resp.Cookies())
	}
	cookie := resp.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || len(cookie.Value) < 26 {
		t.Errorf("cookie %v", cookie)
	}
	v.talks("with the cookie", nil)
	bearer := http.Header{"Authorization": {"Bearer " + cookie.Value}}
	visit(t, addr).talks("with the token", bearer)

	v.post("/logout", nil, nil)
	v.refused("after logging out", nil, http.StatusUnauthorized)
	v.refused("with the token, after logging out", bearer, http.StatusUnauthorized)
}

// A page of another site makes its visitor's browser send these requests.
func TestOtherSites(t *testing.T) {
	v := visit(t, start(t, time.Minute))
	if resp := v.login("demo", secret, http.Header{"Sec-Fetch-Site": {"cross-site"}}); resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) != 0 {
		t.Errorf("login: %s", resp.Status)
	}
	v.login("demo", secret, nil)
	v.talks("this site's page", http.Header{"Origin": {"http://" + v.addr}})
	v.refused("cookie and all", http.Header{"Origin": {"https://evil.example"}}, http.StatusForbidden)
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d door
		first := d.open(time.Now())
		time.Sleep(lifetime)
		second := d.open(time.Now())
		if !d.knows(first) || !d.knows(second) || d.knows("") || first == second {
			t.Errorf("after %v: %v", lifetime, d.sessions)
		}
		time.Sleep(time.Nanosecond)
		if d.knows(first) || !d.knows(second) || len(d.sessions) != 1 {
			t.Errorf("a moment later: %v", d.sessions)
		}
		time.Sleep(lifetime)
		if d.open(time.Now()); len(d.sessions) != 1 {
			t.Errorf("sessions that are over are kept: %v", d.sessions)
		}
	})
}
