// Command client is a WebSocket client for the terminal: it sends lines as
// messages, and prints the messages that come.
//
//	go run ./examples/client ws://localhost:8080/ws
//	echo hello | go run ./examples/client ws://localhost:8080/ws
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/plainsocket/websocket"
)

// The exit statuses.
const (
	exitOK       = 0 // the connection was closed as it should be
	exitRefused  = 1 // there was no connection
	exitUsage    = 2 // the arguments, or a line of a script, make no sense
	exitAbnormal = 3 // the connection broke, or the server closed it with the code of an error
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program, without the process around it.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) (status int) {
	o, err := parseFlags(args, stderr)
	switch {
	case err == flag.ErrHelp:
		return exitOK
	case err != nil:
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once

	out := &printer{stdout: stdout, stderr: stderr, prompts: isTerminal(stdin), safe: isTerminal(stdout)}
	c, resp, err := o.dialer.DialContext(ctx, o.url, o.header)
	if err != nil {
		out.failure(refusal(err, resp))
		return exitRefused
	}
	defer c.Close()
	out.notice(greeting(o.url, c, resp))
	s := newSession(c, out, o.wait)
	return s.run(ctx, stdin)
}

// options are the settings that the arguments choose.
type options struct {
	url    string
	header http.Header
	dialer websocket.Dialer
	wait   time.Duration
}

func parseFlags(args []string, stderr io.Writer) (o options, err error) {
	o.header = make(http.Header)
	o.dialer.Proxy = http.ProxyFromEnvironment
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: client [flags] ws://HOST[:PORT]/PATH\n\nflags:")
		flags.PrintDefaults()
		fmt.Fprint(stderr, "\nlines of the input:\n", help)
	}
	flags.Func("header", "a field of the request, `'Name: value'`; may be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("want 'Name: value'")
		}
		o.header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		return nil
	})
	flags.Func("origin", "the `URL` of the page that the server is to take us for", func(s string) error {
		o.header.Set("Origin", s)
		return nil
	})
	flags.Func("subprotocol", "offer this `name`; may be repeated, the preferred one first", func(s string) error {
		o.dialer.Subprotocols = append(o.dialer.Subprotocols, s)
		return nil
	})
	insecure := flags.Bool("insecure", false, "accept any certificate")
	compress := flags.Bool("compress", false, "offer permessage-deflate")
	flags.DurationVar(&o.wait, "wait", time.Second, "at the end of the input, close when nothing has come for so `long`; -1s leaves closing to the server")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() != 1 {
		fmt.Fprintln(stderr, "want one URL, behind the flags")
		flags.Usage()
		return o, errors.New("usage")
	}
	o.url = flags.Arg(0)
	if *compress {
		o.dialer.Compression = &websocket.Compression{}
	}
	o.dialer.TLSClientConfig = &tls.Config{InsecureSkipVerify: *insecure}
	return o, nil
}

// refusal explains why there is no connection. A server that answered with something else than a
// WebSocket mostly gives the reason in the body.
func refusal(err error, resp *http.Response) string {
	if resp == nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return err.Error()
	}
	text := fmt.Sprintf("%v: the server answered %s", err, resp.Status)
	if location := resp.Header.Get("Location"); location != "" {
		text += ", " + location
	}
	if body, _ := io.ReadAll(resp.Body); len(body) > 0 { // its first KiB, which is here already
		text += "\n" + strings.TrimSpace(strings.ToValidUTF8(string(body), "\uFFFD"))
	}
	return text
}

// greeting names the things that the opening handshake agreed on.
func greeting(url string, c *websocket.Conn, resp *http.Response) string {
	text := "connected to " + url
	if p := c.Subprotocol(); p != "" {
		text += ", subprotocol " + p
	}
	if e := resp.Header.Get("Sec-WebSocket-Extensions"); e != "" {
		text += ", " + e
	}
	return text + "; /help says what can be done"
}

// isTerminal reports whether v is a terminal. To be exact, it reports whether v is a character
// device other than /dev/null, which people use if there is to be no input.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
