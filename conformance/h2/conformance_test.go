package h2

import (
	"bufio"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var all = flag.Bool("conformance.all", false, "run all cases of the conformance tests, the largest too")

// notHTTP2 matches the tests that are about the syntax of HTTP/1.1, the client, or the tests themselves.
const notHTTP2 = "^TestConformance(Client.*|Handshake|Response.*|Header.*|SlowHandshake|Table.*|FindsFaults|NeverOpened|MaskingKeys)$|/^Dialer$"

// The conformance tests pass over HTTP/2: the Autobahn cases and the hostile peer's, through a proxy that
// translates the opening handshake. Those that are about the bytes of HTTP/1.1 do not apply.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("the tests of another package, all of them")
	}
	program := filepath.Join(t.TempDir(), "proxy")
	if out, err := exec.Command("go", "build", "-o", program, "./proxy").CombinedOutput(); err != nil {
		t.Fatalf("building the proxy: %v\n%s", err, out)
	}
	proxy := exec.Command(program)
	proxy.Stderr = os.Stderr
	stdin, err := proxy.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := proxy.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		proxy.Wait()
	})
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}

	args := []string{"test", "-count=1", "-run", "^TestConformance", "-skip", notHTTP2}
	if !*all {
		args = append(args, "-short") // without messages of 16 MiB
	}
	test := exec.Command("go", append(args, ".")...)
	test.Dir = ".."
	test.Env = append(os.Environ(), "PLAINSOCKET_HTTP2_PROXY="+strings.TrimSpace(addr))
	if out, err := test.CombinedOutput(); err != nil {
		t.Fatalf("go test ./conformance: %v\n%s", err, out)
	}
}
