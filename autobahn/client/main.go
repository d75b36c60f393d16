// Command client is the echo client that the Autobahn suite tests.
//
// The suite is the server here, and does one case on each connection. The client sends every
// message back as it came, with its type, until the connection ends. Everything else that the suite
// looks at is the library's own work: pongs, the closing handshake, the answer to a broken frame.
//
//	wstest -m fuzzingserver -u 0 -s spec.json
//	go run ./autobahn/client -url ws://127.0.0.1:9001 -agent plainsocket
//
// The exit status is 0 if all chosen cases were run and the suite has written its reports, which
// hold the verdicts. It is 1 if that failed, and 2 if the arguments make no sense.
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

// dialer makes one offer that is good for all cases of the suite's sections 12 and 13, which are
// about compression. Each case takes the offer with parameters of its own. A case that names a
// window for the client needs no more than the permission to do so (client_max_window_bits). A
// parameter in the offer would be granted in every case alike.
//
// The suite answers /updateReports only after it has written the reports. On a busy machine that
// may take longer than the 10 s of other handshakes.
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

// runCases runs the server's cases that ranges choose, one after the other. If one handshake fails,
// the other cases are still run. If the server does not listen at all, runCases gives up.
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

// A suite is a fuzzing server. The URL says what it is to do.
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

// runCase runs case number n: the echo. The reason for which the connection ended does not matter
// here. If a close frame was due, it has been sent by then.
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

// updateReports makes the server write its reports.
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
