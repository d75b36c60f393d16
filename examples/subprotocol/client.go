package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/plainsocket/websocket"
)

// A demonstration is the clients' side. It meets the server in every way that the opening handshake
// has for subprotocols, and writes down the results.
type demonstration struct {
	out    io.Writer
	server string         // "wss://localhost:8443"
	roots  *x509.CertPool // the clients' trusted roots: the server's certificate
}

func (d *demonstration) printf(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// run returns an error if anything goes otherwise than it should, or not at all.
func (d *demonstration) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	steps := []func(context.Context) error{d.distrust, d.agree, d.disagree, d.refused, d.talk}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
		d.printf("")
	}
	return nil
}

// dial connects a client called name, which offers protocols, the preferred one first.
func (d *demonstration) dial(ctx context.Context, path, name string, offer ...string) (*websocket.Conn, error) {
	dialer := &websocket.Dialer{
		Subprotocols:    offer,
		TLSClientConfig: &tls.Config{RootCAs: d.roots, MinVersion: tls.VersionTLS13},
	}
	c, resp, err := dialer.DialContext(ctx, d.server+path+"?name="+url.QueryEscape(name), nil)
	if err != nil && resp != nil { // the server has answered, and said no
		body, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("%w: %s: %s", err, resp.Status, strings.TrimSpace(string(body)))
	}
	return c, err
}

func (d *demonstration) distrust(ctx context.Context) error {
	d.printf("A client that was not given the server's certificate:")
	stranger := &demonstration{server: d.server, roots: x509.NewCertPool()}
	c, err := stranger.dial(ctx, "/chat", "stranger")
	if err == nil {
		c.Close()
		return errors.New("a client trusts a certificate that it does not know")
	}
	d.printf("  %v", err)
	return nil
}

func (d *demonstration) agree(ctx context.Context) error {
	d.printf("A server that speaks %s, in this order:", list(protocols))
	for _, offer := range [][]string{{"chat.v2", "chat"}, {"chat"}, {"chat", "chat.v2"}, {"Chat", "chat"}, nil} {
		c, err := d.dial(ctx, "/chat", "ada", offer...)
		if err != nil {
			return err
		}
		d.printf("  offered %-14s agreed on %s", list(offer)+":", list([]string{c.Subprotocol()}))
		if err := c.Shutdown(ctx, websocket.CloseNormalClosure, ""); err != nil {
			return err
		}
	}
	return nil
}

// disagree shows a client that cannot speak without a subprotocol. The server had the right to
// choose none, so 1002, protocol error, would accuse it wrongly. 1010 is for extensions that are
// missing. 1008 is the code of section 7.4.1 for cases in which "there is no other more suitable
// status code".
func (d *demonstration) disagree(ctx context.Context) error {
	d.printf("No common subprotocol:")
	c, err := d.dial(ctx, "/chat", "eve", "chat.v3")
	if err != nil {
		return err
	}
	d.printf("  offered chat.v3:       connected, agreed on %s", list([]string{c.Subprotocol()}))
	if c.Subprotocol() == "" {
		d.printf("  the client cannot speak without, and closes with %d", websocket.ClosePolicyViolation)
		return c.Shutdown(ctx, websocket.ClosePolicyViolation, "no subprotocol that I speak: I offered chat.v3")
	}
	defer c.Close()
	return fmt.Errorf("the server agreed to %q", c.Subprotocol())
}

func (d *demonstration) refused(ctx context.Context) error {
	d.printf("No common subprotocol, and a server that insists on one:")
	c, err := d.dial(ctx, "/strict", "eve", "chat.v3")
	if err == nil {
		c.Close()
		return errors.New("the strict server accepted a client without a common subprotocol")
	}
	d.printf("  %v", err)
	if !errors.Is(err, websocket.ErrBadHandshake) {
		return err
	}
	return nil
}

// talk connects an old and a new client to one room.
func (d *demonstration) talk(ctx context.Context) error {
	ada, err := d.dial(ctx, "/chat", "ada", "chat.v2", "chat")
	if err != nil {
		return err
	}
	defer ada.Close()
	if _, _, err := ada.ReadMessageContext(ctx); err != nil { // the server says that Ada is here
		return err
	}
	ben, err := d.dial(ctx, "/strict", "ben", "chat")
	if err != nil {
		return err
	}
	defer ben.Close()
	d.printf("Ada, who speaks %s, talks to Ben, who speaks %s:", ada.Subprotocol(), ben.Subprotocol())
	return errors.Join(
		d.hear(ctx, ada, ben), // that ben is here
		d.send(ctx, "ada", ada, `{"text":"Hello, Ben"}`),
		d.hear(ctx, ada, ben),
		d.send(ctx, "ben", ben, "Hello, Ada"),
		d.hear(ctx, ada, ben),
		ada.Shutdown(ctx, websocket.CloseNormalClosure, ""),
		ben.Shutdown(ctx, websocket.CloseNormalClosure, ""))
}

func (d *demonstration) send(ctx context.Context, name string, c *websocket.Conn, words string) error {
	d.printf("  %s sends     %s", name, words)
	return c.WriteMessageContext(ctx, websocket.TextMessage, []byte(words))
}

// hear reads one message on each side, and shows how they differ.
func (d *demonstration) hear(ctx context.Context, ada, ben *websocket.Conn) error {
	_, toAda, err := ada.ReadMessageContext(ctx)
	if err != nil {
		return err
	}
	_, toBen, err := ben.ReadMessageContext(ctx)
	d.printf("  ada receives  %s\n  ben receives  %s", toAda, toBen)
	return err
}
