package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/plainsocket/websocket"
)

// This file asks after the upgrade: every visitor gets a connection, and is asked over it.

// An asker asks for a name and a password.
type asker struct {
	account  account
	attempts int           // wrong ones after which the connection is closed
	patience time.Duration // for all of it
}

// serve is the handler of /after.
func (a *asker) serve(c *websocket.Conn, _ *http.Request) {
	c.SetReadLimit(1 << 10) // for a stranger, that is enough
	c.SetReadDeadline(time.Now().Add(a.patience))
	switch err := a.ask(c); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		refuse(c, "logging in took too long")
	case errors.Is(err, errWrong):
		refuse(c, "too many wrong passwords")
	case err == nil:
		c.SetReadDeadline(time.Time{})
		c.SetReadLimit(1 << 20)
		echo(c)
	}
}

// refuse closes with 1008, policy violation: "a generic status code that can be
// returned when there is no other more suitable status code" (RFC 6455 section
// 7.4.1).
func refuse(c *websocket.Conn, reason string) {
	c.Shutdown(context.Background(), websocket.ClosePolicyViolation, reason)
}

var errWrong = errors.New("wrong user name or password")

// ask asks until the answers are right, or the attempts are used up.
func (a *asker) ask(c *websocket.Conn) error {
	for left := a.attempts; ; {
		name, err := question(c, "user name:")
		if err != nil {
			return err
		}
		password, err := question(c, "password:")
		if err != nil {
			return err
		}
		if a.account.matches(name, password) {
			return c.WriteMessage(websocket.TextMessage, []byte("welcome, "+name))
		}
		if left--; left <= 0 {
			return errWrong
		}
		sorry := fmt.Sprintf("wrong user name or password; attempts left: %d", left)
		if err := c.WriteMessage(websocket.TextMessage, []byte(sorry)); err != nil {
			return err
		}
	}
}

func question(c *websocket.Conn, text string) (answer string, err error) {
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		return "", err
	}
	_, p, err := c.ReadMessage()
	return string(p), err
}
