package websocket

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program imports gorilla's package and Plainsocket's. Connections and errors go from the one to
// the other.
const program = `package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	gorilla "github.com/gorilla/websocket"
	plain "github.com/plainsocket/websocket"
)

// Programs embed a Conn to add methods.
type conn struct{ *gorilla.Conn }

func echo(c *gorilla.Conn) error {
	messageType, p, err := conn{c}.ReadMessage()
	if err != nil {
		return err
	}
	return c.WriteMessage(messageType, p)
}

func say(c *plain.Conn, text string) (string, error) {
	if err := c.WriteMessage(gorilla.TextMessage, []byte(text)); err != nil {
		return "", err
	}
	_, p, err := c.ReadMessage()
	return string(p), err
}

func main() {
	ended := make(chan error, 1)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := new(plain.Upgrader).Upgrade(w, r, nil)
		for err == nil {
			err = echo(c)
		}
		ended <- err
	}))
	defer hs.Close()
	c, _, err := gorilla.DefaultDialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), nil)
	if err != nil {
		panic(err)
	}
	answer, err := say(c, "hello")
	if err != nil {
		panic(err)
	}
	c.WriteMessage(plain.CloseMessage, gorilla.FormatCloseMessage(plain.CloseGoingAway, ""))
	var closed *gorilla.CloseError
	fmt.Println(answer, errors.As(<-ended, &closed), closed.Code, gorilla.ErrCloseSent == plain.ErrCloseSent)
}
`

// A user is a module that has the program, and the two lines that a go.mod needs.
type user struct {
	*testing.T
	dir, goWork string
}

// newUser makes the module and runs the command that docs/migrating.md gives.
func newUser(t *testing.T) *user {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	u := &user{T: t, dir: t.TempDir(), goWork: "off"}
	u.write("main.go", program)
	u.write("go.mod", "module example.org/program\n\ngo 1.26\n\nrequire github.com/gorilla/websocket v1.5.3\n")
	u.run("go", "mod", "edit", "-replace", "github.com/gorilla/websocket="+root+"/gorilla", "-replace", "github.com/plainsocket/websocket="+root)
	u.run("go", "mod", "tidy")
	return u
}

func (u *user) write(name, text string) {
	u.Helper()
	if err := os.WriteFile(filepath.Join(u.dir, name), []byte(text), 0o666); err != nil {
		u.Fatal(err)
	}
}

// run runs a command in the module, without a network.
func (u *user) run(name string, args ...string) string {
	u.Helper()
	cmd := exec.CommandContext(u.Context(), name, args...)
	cmd.Dir = u.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOPROXY=off", "GOWORK="+u.goWork, "NO_PROXY=*", "no_proxy=*")
	out, err := cmd.CombinedOutput()
	if err != nil {
		u.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (u *user) expectProgram(args ...string) {
	u.Helper()
	if got, want := u.run("go", args...), "hello true 1001 true\n"; got != want {
		u.Errorf("go %s: %q, want %q", strings.Join(args, " "), got, want)
	}
}

func TestProgramImportsBoth(t *testing.T) {
	u := newUser(t)
	u.expectProgram("run", ".")
	u.run("go", "vet", "./...")
}

func TestProgramVendors(t *testing.T) {
	u := newUser(t)
	u.run("go", "mod", "vendor")
	u.expectProgram("run", "-mod=vendor", ".")
}

// The replace lines may stand in go.work.
func TestProgramInWorkspace(t *testing.T) {
	u := newUser(t)
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	u.run("go", "mod", "edit", "-dropreplace=github.com/gorilla/websocket", "-dropreplace=github.com/plainsocket/websocket")
	u.goWork = filepath.Join(u.dir, "go.work")
	u.write("go.work", "go 1.26\n\nuse .\n\nreplace github.com/gorilla/websocket => "+root+"/gorilla\n\nreplace github.com/plainsocket/websocket => "+root+"\n")
	u.expectProgram("run", ".")
}
