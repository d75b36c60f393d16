package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/gorilla/websocket"
)

// ports differ from run to run, and so does which address is which.
var ports = regexp.MustCompile(`(127\.0\.0\.1|\[::1\]|localhost):\d+`)

// describe returns everything that programs ask of an error: its text, and the results of the usual
// assertions and comparisons.
func describe(err error) string {
	s := fmt.Sprintf("%q", ports.ReplaceAllString(err.Error(), "ADDR"))
	for _, fact := range facts(err) {
		s += ", " + fact
	}
	return s
}

func facts(err error) (facts []string) {
	add := func(holds bool, fact string) {
		if holds {
			facts = append(facts, fact)
		}
	}
	// As programs written for gorilla/websocket do, without errors.As.
	if e, ok := err.(*websocket.CloseError); ok {
		facts = append(facts, fmt.Sprintf("CloseError %d %q", e.Code, e.Text))
	}
	_, ok := err.(websocket.HandshakeError)
	add(ok, "HandshakeError")
	if e, ok := err.(net.Error); ok {
		add(e.Timeout(), "Timeout")
	}
	add(err == websocket.ErrCloseSent, "== ErrCloseSent")
	add(err == websocket.ErrReadLimit, "== ErrReadLimit")
	add(err == websocket.ErrBadHandshake, "== ErrBadHandshake")
	add(err == io.EOF, "== io.EOF")
	add(err == io.ErrUnexpectedEOF, "== io.ErrUnexpectedEOF")
	add(err == errOurs, "== the handler's")

	add(errors.Is(err, net.ErrClosed), "is net.ErrClosed")
	add(errors.Is(err, os.ErrDeadlineExceeded), "is os.ErrDeadlineExceeded")
	add(errors.Is(err, context.Canceled), "is context.Canceled")
	add(errors.Is(err, context.DeadlineExceeded), "is context.DeadlineExceeded")
	add(errors.Is(err, syscall.ECONNREFUSED), "is ECONNREFUSED")
	add(errors.As(err, new(x509.UnknownAuthorityError)), "x509.UnknownAuthorityError")
	add(errors.As(err, new(*json.SyntaxError)), "json.SyntaxError")
	add(errors.As(err, new(*json.UnmarshalTypeError)), "json.UnmarshalTypeError")
	add(errors.As(err, new(*json.UnsupportedTypeError)), "json.UnsupportedTypeError")
	return facts
}

// errOurs is the result of the programs' handlers.
var errOurs = errors.New("the handler's own error")

// brief describes bytes, long ones by length and ends.
func brief(p []byte) string {
	if len(p) <= 40 {
		return fmt.Sprintf("%q", p)
	}
	return fmt.Sprintf("%d bytes %q…%q", len(p), p[:8], p[len(p)-8:])
}

// text makes a payload of n letters.
func text(n int) string {
	return strings.Repeat("abcdefghijklmnopqrstuvwxyz", n/26+1)[:n]
}
