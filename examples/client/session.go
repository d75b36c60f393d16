package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/plainsocket/websocket"
)

// A session is a connection and the two sides between which it stands. Three goroutines are at
// work: one reads the connection and prints the messages, one reads the input, and run decides.
// Reading must not wait for a message that is being sent. Otherwise a server that echoes could not
// go on either.
type session struct {
	c     *websocket.Conn
	out   *printer
	wait  time.Duration
	pings pings

	came  chan bool  // something has come from the server
	ended chan error // the error that ended the connection, one value

	// The rest belongs to run alone.
	closing int // the code of our close frame, 0 before that
	status  int // the exit status of an error that a good end would hide
}

func newSession(c *websocket.Conn, out *printer, wait time.Duration) *session {
	s := &session{c: c, out: out, wait: wait, came: make(chan bool, 1), ended: make(chan error, 1)}
	c.SetPongHandler(func(payload string) error {
		s.out.pong(payload, s.pings.answered(payload, time.Now()))
		s.tell()
		return nil
	})
	return s
}

// run sends the lines read from stdin and prints the server's messages, until the connection has
// ended. It returns the exit status.
func (s *session) run(ctx context.Context, stdin io.Reader) int {
	go func() { s.ended <- s.receive() }()
	lines := make(chan string)
	go readLines(stdin, lines)
	s.out.prompt()

	var quiet <-chan time.Time // nil while there is input, and while the wait has no end
	interrupted := ctx.Done()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				lines, quiet = nil, s.silence()
				continue
			}
			if !s.take(ctx, line) {
				lines = nil
			}
		case <-s.came:
			if quiet != nil {
				quiet = s.silence()
			}
		case <-quiet:
			quiet = nil
			s.close(ctx, websocket.CloseNormalClosure, "")
		case <-interrupted:
			lines, quiet, interrupted = nil, nil, nil
			s.close(context.Background(), websocket.CloseGoingAway, "")
		case err := <-s.ended:
			return s.result(err)
		}
	}
}

// receive prints messages until the connection ends.
func (s *session) receive() error {
	for {
		messageType, r, err := s.c.NextReader()
		if err != nil {
			return err
		}
		p, err := io.ReadAll(observed{r, s})
		if err != nil {
			return err
		}
		s.out.message(messageType, p)
	}
}

// An observed message is one of which every part is noticed: a long one on a
// slow line is not silence.
type observed struct {
	r io.Reader
	s *session
}

func (o observed) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	o.s.tell()
	return n, err
}

// tell notes that something came, which restarts the wait for silence.
func (s *session) tell() {
	select {
	case s.came <- true:
	default: // it has not been noticed yet that something came before
	}
}

func (s *session) silence() <-chan time.Time {
	if s.wait < 0 {
		return nil
	}
	return time.After(s.wait)
}

func readLines(r io.Reader, lines chan<- string) {
	defer close(lines)
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadString('\n')
		if err == nil || line != "" { // the last line may lack its end
			lines <- strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		}
		if err != nil {
			return
		}
	}
}

// take carries out a line. It reports whether there may be more. After a close there is not. Nor is
// there after a mistake in a script, because later lines may depend on the one that failed.
func (s *session) take(ctx context.Context, line string) (more bool) {
	s.out.entered()
	cmd, err := parseLine(line)
	switch {
	case err != nil && s.out.prompts:
		s.out.failure(err.Error())
	case err != nil:
		s.fail(exitUsage, err)
		s.close(ctx, websocket.CloseNormalClosure, "")
		return false
	case !s.do(ctx, cmd):
		return false
	}
	s.out.prompt()
	return true
}

// do reports whether it may be called again.
func (s *session) do(ctx context.Context, cmd command) (more bool) {
	var err error
	switch cmd.verb {
	case verbMessage:
		err = s.c.WriteMessageContext(ctx, cmd.messageType, []byte(cmd.payload))
	case verbPing:
		payload := s.pings.sent(cmd.payload, time.Now())
		err = s.c.WriteControl(websocket.PingMessage, []byte(payload), time.Now().Add(5*time.Second))
	case verbClose:
		s.close(ctx, cmd.code, cmd.payload)
		return false
	case verbHelp:
		s.out.help()
	}
	switch {
	case err == nil:
		return true
	case ctx.Err() != nil || err == websocket.ErrCloseSent:
		return false // the interruption's turn, or the server has closed
	}
	s.fail(exitAbnormal, err)
	s.close(ctx, websocket.CloseNormalClosure, "")
	return false
}

// close does the closing handshake. After it, or if it fails, the connection
// is at its end, and run hears so from receive.
func (s *session) close(ctx context.Context, code int, reason string) {
	s.closing = code
	if err := s.c.Shutdown(ctx, code, reason); err != nil && s.status != exitAbnormal {
		s.fail(exitAbnormal, err)
	}
}

func (s *session) fail(status int, err error) {
	s.out.failure(err.Error())
	s.status = status
}

// result explains the end of the connection, and chooses the exit status.
func (s *session) result(err error) (status int) {
	s.out.finish()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code == websocket.CloseAbnormalClosure {
		if s.status != exitAbnormal { // otherwise the reason is clear
			s.out.failure(err.Error())
		}
		return exitAbnormal
	}
	text := "closed with code " + strconv.Itoa(closed.Code)
	if closed.Text != "" {
		text += fmt.Sprintf(", %q", closed.Text)
	}
	switch closed.Code {
	case websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived, s.closing:
		s.out.notice(text)
		return s.status
	}
	s.out.failure("the server " + text)
	return exitAbnormal
}
