package stream

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/plainsocket/websocket"
	"golang.org/x/crypto/ssh"
	"golang.org/x/net/nettest"
)

// kinds are the connections that carry the streams. The server's URL is ws or wss.
var kinds = map[string]struct {
	secure      bool
	compression *websocket.Compression
	coalesce    bool
}{
	"tcp":        {},
	"tls":        {secure: true},
	"compressed": {compression: &websocket.Compression{}},
	"coalescing": {coalesce: true},
}

// connect returns both ends of a stream over loopback. They are closed with the test, unless
// the test closes them.
func connect(t testing.TB, kind string) (server, client net.Conn) {
	k := kinds[kind]
	streams, done := make(chan net.Conn), make(chan struct{})
	ws := &websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) {
		streams <- c.Stream()
		<-done // the end of a Server's handler is the connection's
	}}
	ws.Compression, ws.CoalesceWrites = k.compression, k.coalesce
	hs := httptest.NewUnstartedServer(ws)
	d := &websocket.Dialer{Compression: k.compression, CoalesceWrites: k.coalesce}
	if k.secure {
		hs.StartTLS()
		d.TLSClientConfig = &tls.Config{RootCAs: hs.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	} else {
		hs.Start()
	}
	c, _, err := d.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	server, client = <-streams, c.Stream()
	t.Cleanup(func() {
		c.Close()
		close(done)
		hs.Close()
	})
	return server, client
}

func eachKind(t *testing.T, test func(t *testing.T, server, client net.Conn)) {
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			server, client := connect(t, kind)
			test(t, server, client)
		})
	}
}

// A stream does what golang.org/x/net asks of a net.Conn, in either role.
func TestNettest(t *testing.T) {
	for kind := range kinds {
		for _, role := range []string{"client first", "server first"} {
			t.Run(kind+", "+role, func(t *testing.T) {
				nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
					server, client := connect(t, kind)
					stop = func() {
						var both sync.WaitGroup
						both.Go(func() { server.Close() })
						both.Go(func() { client.Close() })
						both.Wait()
					}
					if role == "client first" {
						return client, server, stop, nil
					}
					return server, client, stop, nil
				})
			})
		}
	}
}

// payload is what goes through in each direction.
var payload = func() []byte {
	b := make([]byte, 1<<20)
	rand.Read(b)
	return b
}()

// exchange sends the payload through c and expects it from there, both at the same time.
func exchange(c io.ReadWriter) error {
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(payload)
		sent <- err
	}()
	got := make([]byte, len(payload))
	_, err := io.ReadFull(c, got)
	if err == nil && !bytes.Equal(got, payload) {
		err = errors.New("not the bytes that were sent")
	}
	return errors.Join(err, <-sent)
}

// bothExchange is exchange at both ends at once.
func bothExchange(t *testing.T, a, b io.ReadWriter) {
	t.Helper()
	var wg sync.WaitGroup
	for _, c := range []io.ReadWriter{a, b} {
		wg.Go(func() {
			if err := exchange(c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// certificate is for "inside", made on the spot.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"inside"},
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, pool
}

// TLS inside, with its own end: io.EOF after close_notify.
func TestTLSInside(t *testing.T) {
	cert, pool := certificate(t)
	eachKind(t, func(t *testing.T, server, client net.Conn) {
		s := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}})
		c := tls.Client(client, &tls.Config{RootCAs: pool, ServerName: "inside"})
		bothExchange(t, s, c)
		end := make(chan error, 1)
		go func() {
			_, err := s.Read(make([]byte, 1))
			end <- err
			s.Close()
		}()
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-end; err != io.EOF {
			t.Errorf("the other side's Read: %v", err)
		}
	})
}

// HTTP/2 inside, by net/http alone: its server and transport know nothing of it.
func TestHTTP2Inside(t *testing.T) {
	eachKind(t, func(t *testing.T, server, client net.Conn) {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		hs := &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Proto", r.Proto)
			io.Copy(w, r.Body)
		})}
		l := &oneConn{conn: server, closed: make(chan struct{})}
		go hs.Serve(l)
		defer hs.Close()
		transport := &http.Transport{Protocols: &protocols, DialContext: func(context.Context, string, string) (net.Conn, error) {
			return client, nil
		}}
		defer transport.CloseIdleConnections()
		post := func() {
			resp, err := (&http.Client{Transport: transport}).Post("http://inside/", "", bytes.NewReader(payload))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, payload) || resp.Header.Get("Proto") != "HTTP/2.0" {
				t.Errorf("%d bytes, %s, %v", len(got), resp.Header.Get("Proto"), err)
			}
		}
		post() // before the others, so that they use its connection and dial none
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(post)
		}
		wg.Wait()
	})
}

// yamux inside: many streams, opened by both sides, and an end.
func TestYamuxInside(t *testing.T) {
	eachKind(t, func(t *testing.T, server, client net.Conn) {
		config := yamux.DefaultConfig()
		config.LogOutput = io.Discard
		s, err := yamux.Server(server, config)
		if err != nil {
			t.Fatal(err)
		}
		c, err := yamux.Client(client, config)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, sides := range [][2]*yamux.Session{{s, c}, {c, s}} {
			for range 5 {
				wg.Go(func() {
					stream, err := sides[0].Accept()
					if err != nil {
						t.Error(err)
						return
					}
					io.Copy(stream, stream)
					stream.Close()
				})
				wg.Go(func() {
					stream, err := sides[1].Open()
					if err == nil {
						err = exchange(stream)
						stream.Close()
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		if _, err := c.Ping(); err != nil {
			t.Errorf("Ping: %v", err)
		}
		c.Close()
		select {
		case <-s.CloseChan():
		case <-time.After(10 * time.Second):
			t.Error("the other session did not end")
		}
		s.Close()
	})
}

// SSH inside: a command's input and output, and forwarding in the other direction.
func TestSSHInside(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	eachKind(t, func(t *testing.T, server, client net.Conn) {
		served := make(chan error, 1)
		go func() { served <- serveSSH(server, signer) }()
		conn, chans, reqs, err := ssh.NewClientConn(client, "inside", &ssh.ClientConfig{
			User: "ann", Auth: []ssh.AuthMethod{ssh.Password("sesame")}, HostKeyCallback: ssh.FixedHostKey(signer.PublicKey()),
		})
		if err != nil {
			t.Fatal(err)
		}
		c := ssh.NewClient(conn, chans, reqs)
		session, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		session.Stdin, session.Stdout = bytes.NewReader(payload), &out
		if err := session.Run("cat"); err != nil || !bytes.Equal(out.Bytes(), payload) {
			t.Errorf("cat: %d bytes, %v", out.Len(), err)
		}
		c.Close()
		if err := <-served; err != nil {
			t.Errorf("the server: %v", err)
		}
	})
}

// serveSSH lets ann in, and runs cat for her until she leaves.
func serveSSH(nc net.Conn, signer ssh.Signer) error {
	config := &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if c.User() != "ann" || string(password) != "sesame" {
			return nil, errors.New("who is that?")
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	conn, chans, reqs, err := ssh.NewServerConn(nc, config)
	if err != nil {
		return err
	}
	go ssh.DiscardRequests(reqs)
	for request := range chans {
		channel, requests, err := request.Accept()
		if err != nil {
			return err
		}
		for r := range requests {
			r.Reply(r.Type == "exec", nil)
			if r.Type != "exec" {
				continue
			}
			if _, err := io.Copy(channel, channel); err != nil {
				return fmt.Errorf("cat: %w", err)
			}
			channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
			channel.Close()
		}
	}
	if err := conn.Wait(); err != io.EOF && !strings.Contains(err.Error(), "disconnect") {
		return err
	}
	return nil
}

// oneConn is a listener that has one connection.
type oneConn struct {
	once   sync.Once
	conn   net.Conn
	end    sync.Once
	closed chan struct{}
}

func (l *oneConn) Accept() (c net.Conn, err error) {
	l.once.Do(func() { c = l.conn })
	if c == nil {
		<-l.closed
		err = net.ErrClosed
	}
	return c, err
}

func (l *oneConn) Close() error   { l.end.Do(func() { close(l.closed) }); return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
