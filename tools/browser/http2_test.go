package browser

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A WebSocket goes over the HTTP/2 connection over which its page came (RFC 8441), by the account of
// the server: the request is an extended CONNECT from the same port.
func TestHTTP2(t *testing.T) {
	program := filepath.Join(t.TempDir(), "page")
	build := exec.Command("go", "build", "-o", program, "./page")
	build.Dir = filepath.Join("..", "..", "conformance", "h2")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the page: %v\n%s", err, out)
	}
	t.Setenv("GODEBUG", "http2xconnect=1")
	server := Run(t, program)
	page := Open(t, strings.TrimPrefix(server.WaitOutput("open https://"), "open "))
	page.See("p", "This page came over HTTP/2.0 from ")
	from := regexp.MustCompile(`from (.*)\.$`).FindStringSubmatch(page.Text("p"))
	if from == nil {
		t.Fatalf("the page says %q", page.Text("p"))
	}
	page.See("#request", "HTTP/2.0 CONNECT from "+from[1]+",", "subprotocol echo", "permessage-deflate")
	page.See("#echo", "text is the same", "bytes are the same")
	page.Click("#close")
	page.See("#closed", "closed 4000 true")
	server.WaitOutput("closed: websocket: close 4000: enough")
	page.Quiet()
}
