//go:build !js

package websocket

import (
	"context"
	"errors"
	"net/http"
)

// inBrowser reports whether d has to leave the connection to a browser. Only a program for GOOS=js
// has to.
func (d *Dialer) inBrowser() bool { return false }

func (d *Dialer) checkForBrowser(*http.Request, http.Header) error { return nil }

func (d *Dialer) openInBrowser(context.Context, *http.Request) (*Conn, *http.Response, error) {
	return nil, nil, errors.ErrUnsupported
}
