package main

import (
	"crypto/rand"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// This file asks before the upgrade. A visitor without a session gets 401, in plain HTTP, and never
// a connection.

const (
	cookieName = "session"
	lifetime   = time.Hour
)

// A door lets in the visitors that have a session.
type door struct {
	account account

	mu       sync.Mutex
	sessions map[string]time.Time // when each token ends
}

// login answers POST /login with a session, in a cookie. A program that has no
// jar for cookies may send the token as "Authorization: Bearer".
func (d *door) login(w http.ResponseWriter, r *http.Request) {
	// A page of another site must not log its visitors in here. (The WebSocket
	// needs no such line: the library looks at Origin itself.)
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
	if !d.account.matches(r.PostFormValue("name"), r.PostFormValue("password")) {
		http.Error(w, "wrong user name or password", http.StatusUnauthorized)
		return
	}
	token := d.open(time.Now())
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: token, Path: "/", MaxAge: int(lifetime.Seconds()),
		HttpOnly: true,                    // no script can read it, and so none can steal it
		SameSite: http.SameSiteStrictMode, // no other site's page makes the browser send it
		Secure:   r.TLS != nil,            // never over plain HTTP, once there is TLS
	})
	w.WriteHeader(http.StatusNoContent)
}

// open begins a session. It removes the sessions that are over, because nothing else does: a
// visitor who has left does not come back to log out.
func (d *door) open(now time.Time) (token string) {
	token = rand.Text()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sessions == nil {
		d.sessions = make(map[string]time.Time)
	}
	maps.DeleteFunc(d.sessions, func(_ string, end time.Time) bool { return now.After(end) })
	d.sessions[token] = now.Add(lifetime)
	return token
}

func (d *door) logout(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, token(r))
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1})
	w.WriteHeader(http.StatusNoContent)
}

// guard lets requests with a session through to next. It is ordinary
// middleware: the request for a WebSocket is an ordinary request.
func (d *door) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.knows(token(r)) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knows looks the token up, and forgets it when its time is over. A map's
// look-up need not take constant time: a token is too long to be guessed in steps.
func (d *door) knows(token string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	end, ok := d.sessions[token]
	if ok && time.Now().After(end) {
		delete(d.sessions, token)
		return false
	}
	return ok
}

// token returns the token that r brings along, or "" for none.
func token(r *http.Request) string {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return bearer
	}
	if cookie, err := r.Cookie(cookieName); err == nil {
		return cookie.Value
	}
	return ""
}
