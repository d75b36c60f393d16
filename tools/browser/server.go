package browser

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is an example program that runs as a user starts it.
type Server struct {
	URL string // as the program printed it

	t      testing.TB
	cmd    *exec.Cmd
	exited chan struct{} // closed when the program has ended, with err set
	err    error

	mu     sync.Mutex
	output strings.Builder
}

// Start builds the example of that name and runs it on a port that is free.
// It is killed at the end of the test if it still runs.
func Start(t testing.TB, example string) *Server {
	t.Helper()
	program := filepath.Join(t.TempDir(), example)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./examples/"+example)
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the example %s: %v\n%s", example, err, out)
	}

	s := Run(t, program, "-addr", "localhost:0")
	s.waitURL()
	return s
}

// Run runs a program that Start has built once more, as another process with
// other arguments.
func Run(t testing.TB, program string, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, cmd: exec.Command(program, args...), exited: make(chan struct{})}
	// Not StderrPipe, which Wait would close under the goroutine that reads it.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = w, w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go s.watch(r)
	t.Cleanup(s.stop)
	return s
}

// waitURL waits for the program to print the URL of its page.
func (s *Server) waitURL() {
	s.t.Helper()
	s.URL = strings.TrimPrefix(s.WaitOutput("open http://"), "open ")
}

// watch collects the program's output until it ends.
func (s *Server) watch(r *os.File) {
	defer r.Close()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		s.mu.Lock()
		s.output.WriteString(lines.Text() + "\n")
		s.mu.Unlock()
	}
	s.err = s.cmd.Wait()
	close(s.exited)
}

func (s *Server) stop() {
	s.cmd.Process.Kill() // fails if the program has ended, which is as good
	<-s.exited
	if s.t.Failed() {
		s.t.Logf("the server printed:\n%s", s.Output())
	}
}

// Output returns what the program has printed so far.
func (s *Server) Output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.String()
}

// WaitOutput waits for a line with text in it and returns the first.
func (s *Server) WaitOutput(text string) string {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(interval) {
		for line := range strings.Lines(s.Output()) {
			if strings.Contains(line, text) {
				return strings.TrimSuffix(line, "\n")
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the server has not printed %q in %v", text, patience)
		}
	}
}

// Interrupt sends the signal that Ctrl-C sends.
func (s *Server) Interrupt() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
}

// WaitExit waits until the program ends and requires that it reports success.
func (s *Server) WaitExit() {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatalf("the server still runs %v after it was told to end", patience)
	}
	if err, ok := errors.AsType[*exec.ExitError](s.err); ok {
		s.t.Fatalf("the server ended with %v", err)
	}
}
