package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// serverTLS makes TLS mutual. It demands a certificate of every client, and checks that the root
// signed it, for a client, and that it has not expired.
//
// A client that is refused finds out late. In TLS 1.3 the client's certificate is in its last
// message of the handshake, and it does not wait for an answer. It sends its request at once, and
// the refusal is the first thing that it reads. So the failure is a Dial's, "reading the response",
// with the alert that the server sent. (In TLS 1.2 the handshake itself failed.)
func serverTLS(dir string) (*tls.Config, error) {
	own, roots, err := loadCerts(dir, "server")
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    roots,
		// A ticket would let a device come back without showing its certificate.
		SessionTicketsDisabled: true,
	}, nil
}

// deviceTLS trusts the root alone. No certificate of the web's authorities opens this door.
func deviceTLS(dir, name string) (*tls.Config, error) {
	own, roots, err := loadCerts(dir, name)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{own},
		RootCAs:      roots,
	}, nil
}

// loadCerts loads one certificate and its key, and the root's certificate.
func loadCerts(dir, name string) (own tls.Certificate, roots *x509.CertPool, err error) {
	own, err = tls.LoadX509KeyPair(certFile(dir, name), keyFile(dir, name))
	if err != nil {
		return own, nil, fmt.Errorf("%w\nMake certificates first: go run ./examples/device certs -dir %s [names of devices]", err, dir)
	}
	root, err := os.ReadFile(certFile(dir, "root"))
	if err != nil {
		return own, nil, err
	}
	roots = x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		return own, nil, fmt.Errorf("%s holds no certificate", certFile(dir, "root"))
	}
	return own, roots, nil
}
