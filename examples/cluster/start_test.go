//go:build unix

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/plainsocket/websocket/examples/cluster/internal/drive"
)

// Two nodes share a NATS server elsewhere, with a password and TLS. What is said at one comes to
// the other, also after the server was away.
func TestExternalBroker(t *testing.T) {
	t.Parallel()
	ca, certificate := newCertificate(t)
	opts := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, Username: "node", Password: "right", NoSigs: true,
		JetStream: true, StoreDir: t.TempDir(), TLS: true, TLSTimeout: 10,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
	}
	nats := runNATS(t, opts)
	opts.Port = nats.Addr().(*net.TCPAddr).Port
	url := fmt.Sprintf("tls://node:right@127.0.0.1:%d", opts.Port)
	a := startNode(t, "-nats", url, "-nats-ca", ca, "-replicas", "1", "-name", "a")
	b := startNode(t, "-nats", url, "-nats-ca", ca, "-replicas", "1", "-name", "b")
	ann, bob := visit(t, a, "Ann"), visit(t, b, "Bob")
	ann.enter(request{Room: "tea"})
	bob.enter(request{Room: "tea"})
	ann.say("tea", "1", "one")
	if e := bob.get("events").Events[0]; e.Text != "one" {
		t.Errorf("Bob hears %+v", e)
	}
	nats.Shutdown()
	nats.WaitForShutdown()
	ann.ask(request{Type: "say", Room: "tea", ID: "2", Text: "two"})
	if e := ann.get("error"); !e.Again || e.ID != "2" {
		t.Errorf("without a broker: %+v", e)
	}
	runNATS(t, opts)
	for seq := uint64(0); seq == 0; { // repeated until acknowledged
		ann.ask(request{Type: "say", Room: "tea", ID: "2", Text: "two"})
		for a := (answer{}); a.Type != "ack" && a.Type != "error"; {
			if err := ann.ReadJSON(&a); err != nil {
				t.Fatal(err)
			}
			seq = a.Seq
		}
	}
	if e := bob.get("events").Events; len(e) != 1 || e[0].Text != "two" {
		t.Errorf("Bob hears %+v", e)
	}
	ann.say("tea", "3", "three")
	if e := bob.get("events").Events[0]; e.Text != "three" {
		t.Errorf("Bob hears %+v", e)
	}
}

func runNATS(t *testing.T, opts *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(opts.Clone())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server is not ready")
	}
	return s
}

// newCertificate makes a certificate for 127.0.0.1 that signs itself.
func newCertificate(t *testing.T) (file string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nats"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// The demo is three nodes in one terminal: what is said at one is heard at another. They end with
// the demo, also if that is killed.
func TestDemo(t *testing.T) {
	t.Parallel()
	newCluster(t, 1) // builds the program
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		port := threePorts(t)
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			testDemo(t, port, sig)
		})
	}
}

func testDemo(t *testing.T, port int, sig syscall.Signal) {
	demo := exec.Command(program, "-demo", "3", "-addr", fmt.Sprint("localhost:", port))
	var out drive.Node // collects the output
	demo.Stdout, demo.Stderr = &out, &out
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { demo.Process.Kill() })
	for deadline := time.Now().Add(patience); strings.Count(out.Output(), "open http://") < 3; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the demo printed\n%s", out.Output())
		}
	}
	ann := visit(t, &drive.Node{Addr: fmt.Sprint("localhost:", port)}, "Ann")
	bob := visit(t, &drive.Node{Addr: fmt.Sprint("localhost:", port+2)}, "Bob")
	ann.enter(request{Room: "tea"})
	bob.enter(request{Room: "tea"})
	ann.say("tea", "1", "one")
	if e := bob.get("events").Events[0]; e.Text != "one" {
		t.Errorf("Bob hears %+v", e)
	}
	demo.Process.Signal(sig)
	for _, v := range []*visitor{ann, bob} {
		for {
			if _, _, err := v.ReadMessage(); err != nil {
				break // the node has ended
			}
		}
	}
	demo.Wait()
}

var nextPort = 20000 + os.Getpid()%10000

// threePorts returns the first of three ports in a row that are free, others each time.
func threePorts(t *testing.T) int {
	t.Helper()
	for ; nextPort < 32000; nextPort += 3 {
		port := nextPort
		free := 0
		for i := range 3 {
			if ln, err := net.Listen("tcp", fmt.Sprint("localhost:", port+i)); err == nil {
				ln.Close()
				free++
			}
		}
		if free == 3 {
			nextPort += 3
			return port
		}
	}
	t.Fatal("no three ports in a row are free")
	return 0
}
