package websocket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Many connections that become readable at once, that are shut down at once, or closed,
// or left by their peers. The peers are another process, as a process may have fewer
// descriptors than 19,000 connections need at both ends. PARK_MANY is how many are tried.
func TestParkedMany(t *testing.T) {
	n := 3000
	if many, err := strconv.Atoi(os.Getenv("PARK_MANY")); err == nil {
		n = many
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		n = min(n, int(limit.Cur)-500)
	}
	if testing.Short() || raceEnabled() {
		n = min(n, 1000)
	}
	for i, end := range []string{"Shutdown", "Close", "peers"} {
		t.Run(end, func(t *testing.T) {
			// Each its own address, as the ports of the one before are not free yet.
			testParkedMany(t, fmt.Sprintf("127.0.1.%d:0", i+1), n, end)
		})
	}
}

func testParkedMany(t *testing.T, listenOn string, n int, end string) {
	var opened, closed atomic.Int32
	srv := &Server{OnMessage: handleEcho,
		OnOpen:  func(*Conn, *http.Request) { opened.Add(1) },
		OnClose: func(*Conn, error) { closed.Add(1) }}
	l, err := net.Listen("tcp", listenOn)
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	defer srv.Close()
	goroutines := runtime.NumGoroutine()
	parked := func() bool { return runtime.NumGoroutine() < goroutines+n/10 }

	tell := manyPeers(t, l.Addr().String(), n)
	tell("dial")
	if !waitUntil(parked) {
		t.Errorf("%d goroutines for %d idle connections", runtime.NumGoroutine()-goroutines, n)
	}
	for range 2 {
		tell("message")
	}
	if !waitUntil(parked) {
		t.Errorf("%d goroutines after a message on each of %d", runtime.NumGoroutine()-goroutines, n)
	}
	start := time.Now()
	switch end {
	case "Shutdown":
		done := make(chan error, 1)
		go func() { done <- srv.Shutdown(t.Context()) }()
		tell("answer close")
		if err := <-done; err != nil {
			t.Error(err)
		}
	case "Close":
		srv.Close()
	case "peers":
		tell("leave")
	}
	if !waitUntil(func() bool { return int(closed.Load()) == n }) || int(opened.Load()) != n {
		t.Errorf("%d opened, %d closed of %d", opened.Load(), closed.Load(), n)
	}
	t.Logf("%d ended after %v", n, time.Since(start))
}

// manyPeers starts a process with n peers of the server at addr. The function that it
// returns has them do something, and waits until they have done it.
func manyPeers(t *testing.T, addr string, n int) (tell func(what string)) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestParkedManyPeers$")
	cmd.Env = append(os.Environ(), "PLAINSOCKET_PEERS="+addr, "PLAINSOCKET_PEERS_N="+strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	answers := bufio.NewScanner(out)
	return func(what string) {
		t.Helper()
		fmt.Fprintln(in, what)
		if !answers.Scan() || answers.Text() != "done" {
			t.Fatalf("peers that were told to %s: %q %v", what, answers.Text(), answers.Err())
		}
	}
}

// TestParkedManyPeers is the process of manyPeers.
func TestParkedManyPeers(t *testing.T) {
	addr := os.Getenv("PLAINSOCKET_PEERS")
	if addr == "" {
		t.Skip("the peers of TestParkedMany")
	}
	n, _ := strconv.Atoi(os.Getenv("PLAINSOCKET_PEERS_N"))
	var conns []net.Conn
	defer func() { leaveAll(conns) }()
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		var err error
		switch orders.Text() {
		case "dial":
			conns, err = dialMany(addr, n)
		case "message":
			err = exchangeAll(conns, frame(opText, true, "hello", testKey), frame(opText, true, "hello", 0))
		case "answer close":
			err = answerCloseAll(conns)
		case "leave":
			leaveAll(conns)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("done")
	}
}

func dialMany(addr string, n int) (conns []net.Conn, err error) {
	answer := make([]byte, len(goodResponse))
	for range n {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			return conns, err
		}
		conns = append(conns, nc)
		nc.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(nc, goodRequest); err != nil {
			return conns, err
		}
		if _, err := io.ReadFull(nc, answer); err != nil || string(answer) != goodResponse {
			return conns, fmt.Errorf("handshake: %q, %v", answer, err)
		}
	}
	return conns, nil
}

// exchangeAll sends message to all before it reads one answer.
func exchangeAll(conns []net.Conn, message, want []byte) error {
	for _, nc := range conns {
		nc.SetDeadline(time.Now().Add(time.Minute))
		if _, err := nc.Write(message); err != nil {
			return err
		}
	}
	got := make([]byte, len(want))
	for i, nc := range conns {
		if _, err := io.ReadFull(nc, got); err != nil || string(got) != string(want) {
			return fmt.Errorf("connection %d: %q, %v", i, got, err)
		}
	}
	return nil
}

func answerCloseAll(conns []net.Conn) error {
	var errs []error
	for i, nc := range conns {
		nc.SetDeadline(time.Now().Add(time.Minute))
		got := make([]byte, 4)
		if _, err := io.ReadFull(nc, got); err != nil || !strings.HasPrefix(string(got), "\x88\x02\x03\xe9") {
			errs = append(errs, fmt.Errorf("connection %d: % x, %v", i, got, err))
		}
		nc.Write(frame(opClose, true, "\x03\xe9", testKey))
	}
	return errors.Join(errs...)
}

// leaveAll resets half of the connections, and closes the others.
func leaveAll(conns []net.Conn) {
	for i, nc := range conns {
		if i%2 == 0 {
			nc.(*net.TCPConn).SetLinger(0)
		}
		nc.Close()
	}
}
