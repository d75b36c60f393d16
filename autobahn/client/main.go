// Command client is the echo client that the Autobahn suite tests.
//
// The suite is the server here, and does one case on each connection: the
// client sends every message back as it came, with its type, until the
// connection ends. Whatever else the suite wants (pongs, the closing handshake,
// the answer to a broken frame) is the library's own work, and that is what the
// suite looks at.
//
//	wstest -m fuzzingserver -u 0 -s spec.json
//	go run ./autobahn/client -url ws://127.0.0.1:9001 -agent plainsocket
//
// The exit status is 0 when all chosen cases were run and the suite has written
// its reports, in which the verdicts are; 1 when that failed; 2 for arguments
// that make no sense.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/plainsocket/websocket"
)

// The suite's sections 12 and 13 are about compression, and this one offer is
// good for all of their cases: each takes it with parameters of its own, and
// those that name a window for the client need no more than to be allowed to
// (client_max_window_bits). Parameters in the offer would be granted in every
// case alike.
//
// The suite answers /updateReports only when it has written the reports, and on
// a busy machine that may take longer than the 10 s of other handshakes.
var dialer = websocket.Dialer{Compression: &websocket.Compression{}, HandshakeTimeout: 2 * time.Minute}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program, without the process around it.
func run(args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.SetOutput(stderr)
	base := flags.String("url", "ws://127.0.0.1:9001", "`URL` of the suite's fuzzing server")
	agent := flags.String("agent", "plainsocket", "`name` under which the suite files the results")
	chosen := flags.String("cases", "1-", "`numbers` of the cases to run, as in 1-16,301,500-")
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	}
	u, err := url.Parse(*base)
	if err == nil && u.Host == "" {
		err = errors.New("it names no host")
	}
	if err != nil {
		fmt.Fprintf(stderr, "client: -url %s: %v\n", *base, err)
		return 2
	}
	ranges, err := parseRanges(*chosen)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(stderr, "client:", err)
		return 2
	}
	if err := runCases(&suite{u, *agent}, ranges, stdout); err != nil {
		fmt.Fprintln(stderr, "client:", err)
		return 1
	}
	return 0
}

// runCases runs what ranges choose of the server's cases, one after the other.
// A case whose handshake fails does not keep the others from being run, but
// where nobody listens there is no point in going on.
func runCases(s *suite, ranges []caseRange, stdout io.Writer) error {
	count, err := s.count()
	if err != nil {
		return fmt.Errorf("asking for the number of cases: %w", err)
	}
	numbers, err := numbersIn(ranges, count)
	if err != nil {
		return err
	}
	var failed error
	for _, n := range numbers {
		fmt.Fprintf(stdout, "case %d of %d\n", n, count)
		err := s.runCase(n)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("case %d: %w", n, err))
		}
		if err != nil && !errors.Is(err, websocket.ErrBadHandshake) {
			return failed
		}
	}
	if err := s.updateReports(); err != nil {
		failed = errors.Join(failed, fmt.Errorf("having the reports written: %w", err))
	}
	return failed
}

// A suite is a fuzzing server. What it is to do is in the URL.
type suite struct {
	base  *url.URL
	agent string
}

func (s *suite) dial(path string, query url.Values) (*websocket.Conn, error) {
	u := s.base.JoinPath(path)
	u.RawQuery = query.Encode()
	c, resp, err := dialer.Dial(u.String(), nil)
	if err == websocket.ErrBadHandshake { // the status says it all
		err = fmt.Errorf("%w: %s", err, resp.Status)
	}
	return c, err
}

// count asks how many cases there are: as many as the server's spec chooses.
func (s *suite) count() (int, error) {
	c, err := s.dial("getCaseCount", nil)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_, p, err := c.ReadMessage()
	if err != nil {
		return 0, err
	}
	count, err := strconv.Atoi(string(p))
	if err != nil {
		return 0, fmt.Errorf("the server answers %q: no fuzzing server?", p)
	}
	return count, untilClosed(c)
}

// runCase runs case number n: the echo. Why the connection ended does not
// matter here: the close frame, where one is due, has been sent by then.
func (s *suite) runCase(n int) error {
	c, err := s.dial("runCase", url.Values{"case": {strconv.Itoa(n)}, "agent": {s.agent}})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil {
			return nil
		}
		if err := c.WriteMessage(messageType, p); err != nil {
			return nil
		}
	}
}

// updateReports has the server write what it found.
func (s *suite) updateReports() error {
	c, err := s.dial("updateReports", url.Values{"agent": {s.agent}})
	if err != nil {
		return err
	}
	defer c.Close()
	return untilClosed(c)
}

// untilClosed waits for the close frame with which the server says that it is
// done.
func untilClosed(c *websocket.Conn) error {
	for _, err := range c.Messages() {
		if err != nil {
			return err
		}
	}
	return nil
}
