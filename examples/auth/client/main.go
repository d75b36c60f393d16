// Command client logs in to examples/auth, sends each line that is typed, and prints the answers.
// The line "exit" ends it.
//
//	go run ./examples/auth/client               asked over the connection
//	go run ./examples/auth/client -before       logs in first, over HTTP
//
// The exit status is 0 after "exit" or the end of the input, 1 if the server refused or the
// connection broke, 2 for wrong usage.
package main

import (
	"bufio"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/plainsocket/websocket"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.SetOutput(stderr)
	server := flags.String("server", "http://localhost:8080", "`URL` of the page of examples/auth")
	before := flags.Bool("before", false, "log in over HTTP, with -user and $AUTH_PASSWORD, before the WebSocket is opened")
	user := flags.String("user", "demo", "the `name` for -before")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	c, err := connect(*server, *before, *user)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	defer c.Close()
	ended := make(chan error, 1)
	go func() { ended <- print(c, stdout) }()
	lines, quit := make(chan string), make(chan struct{})
	defer close(quit)
	go read(stdin, lines, quit)
	return talk(c, lines, ended, stderr)
}

// connect opens the connection, logged in already or not.
func connect(server string, before bool, user string) (*websocket.Conn, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	var dialer websocket.Dialer
	path := u.JoinPath("after")
	if before {
		path = u.JoinPath("before")
		// One jar for both: the cookie of the answer over HTTP goes along with
		// the WebSocket's opening handshake.
		dialer.Jar, _ = cookiejar.New(nil)
		if err := login(u, dialer.Jar, user); err != nil {
			return nil, err
		}
	}
	c, resp, err := dialer.Dial(path.String(), nil) // http here means ws, https wss
	if errors.Is(err, websocket.ErrBadHandshake) {
		why, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("%w: %s: %s", err, resp.Status, strings.TrimSpace(string(why)))
	}
	return c, err
}

func login(u *url.URL, jar http.CookieJar, user string) error {
	client := http.Client{Jar: jar}
	defer client.CloseIdleConnections()
	resp, err := client.PostForm(u.JoinPath("login").String(), url.Values{"name": {user}, "password": {os.Getenv("AUTH_PASSWORD")}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("login: %s: %s", resp.Status, strings.TrimSpace(string(why)))
	}
	return nil
}

// print prints messages until there are no more, and returns the reason.
func print(c *websocket.Conn, w io.Writer) error {
	for {
		_, p, err := c.ReadMessage()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\n", p)
	}
}

// read passes lines on, of any length, until there are no more or quit is closed.
func read(r io.Reader, lines chan<- string, quit <-chan struct{}) {
	defer close(lines)
	for br := bufio.NewReader(r); ; {
		line, err := br.ReadString('\n')
		if err == nil || line != "" { // the last one may lack its end
			select {
			case lines <- strings.TrimRight(line, "\r\n"):
			case <-quit:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// talk sends lines until "exit", or until the server ends the connection.
func talk(c *websocket.Conn, lines <-chan string, ended <-chan error, stderr io.Writer) (status int) {
	for {
		select {
		case err := <-ended:
			fmt.Fprintln(stderr, explain(err))
			return 1
		case line, more := <-lines:
			if !more || line == "exit" {
				return leave(c, ended, stderr)
			}
			if err := c.WriteMessage(websocket.TextMessage, []byte(line)); err != nil {
				fmt.Fprintln(stderr, explain(<-ended)) // the reader knows why it failed
				return 1
			}
		}
	}
}

const closeTimeout = 5 * time.Second // for the server to answer the close frame

// leave does the closing handshake. It does not use Shutdown, which drops messages that still
// arrive. Here the goroutine that reads prints the answers that were underway, up to the server's
// close frame.
func leave(c *websocket.Conn, ended <-chan error, stderr io.Writer) (status int) {
	deadline := time.Now().Add(closeTimeout)
	c.SetReadDeadline(deadline)
	c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "exit"), deadline)
	if err := <-ended; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		fmt.Fprintln(stderr, explain(err))
		return 1
	}
	return 0
}

func explain(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "the server does not answer"
	}
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		return fmt.Sprintf("the server closed the connection: %d %s", closed.Code, cmp.Or(closed.Text, "(no reason)"))
	}
	return err.Error()
}
