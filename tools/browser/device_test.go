package browser

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// address returns the host:port in a URL that the program prints behind text.
func (s *Server) address(text string) string {
	s.t.Helper()
	_, url, _ := strings.Cut(s.WaitOutput(text), "://")
	return strings.TrimSuffix(url, "/")
}

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func TestDevice(t *testing.T) {
	demo := Start(t, "device")
	page := Open(t, demo.URL)

	t.Log("all in one")
	page.See("#state", "live")
	page.See("#summary", "3 of 3 here")
	page.See("#devices", "kitchen", "cellar", "attic", "a thermometer", "°C", "just now")
	page.See("#log", "kitchen", "is here")
	page.See(".device .duplicates", "none")
	page.Labelled()
	page.Resize(320, 640)
	page.Resize(1200, 900)
	page.Quiet()
	demo.Interrupt()
	page.See("#state", "lost, next attempt in")
	demo.WaitExit()

	t.Log("a server by itself")
	program, dir := demo.cmd.Path, filepath.Join(t.TempDir(), "certs")
	if out, err := exec.Command(program, "certs", "-dir", dir, "kitchen").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	serve := func(addr, devices string) *Server {
		return Run(t, program, "server", "-dir", dir, "-addr", addr, "-devices", devices, "-heartbeat", "300ms")
	}
	server := serve("localhost:0", "localhost:0")
	addr, devices := server.address("open http://"), server.address("devices connect to")
	page.do("opening the other page", chromedp.Navigate("http://"+addr))
	page.See("#state", "live")
	page.See("#none", "No device has ever registered")
	page.See("#summary", "0 of 0 here")

	t.Log("a device comes")
	device := Run(t, program, "device", "-dir", dir, "-url", "wss://"+devices+"/", "-every", "50ms", "-backoff", "100ms", "kitchen")
	page.See(".device.here", "kitchen", "here", "°C")

	t.Log("it stands still, and is timed out")
	device.signal(syscall.SIGSTOP)
	page.See(".device.away", "kitchen", "away", "timed out: nothing was heard for 1s")
	page.See("#log", "timed out")
	device.signal(syscall.SIGCONT)
	page.See(".device.here", "kitchen", "here")

	t.Log("the server is killed, and comes back")
	server.cmd.Process.Kill()
	page.See("#state", "lost, next attempt in")
	<-server.exited
	serve(addr, devices)
	page.See("#state", "live")
	page.See(".device.here", "kitchen", "here")
	device.Interrupt()
	device.WaitExit()
	page.See(".device.away", "kitchen", "left")
}
