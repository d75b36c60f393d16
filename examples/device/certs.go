package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// This file makes certificates for mutual TLS. Both sides show a certificate, signed by the one
// root that both know, and prove that they have its key. So the server is certain which device it
// talks to, and the device is certain that it talks to its server, before the first byte of HTTP.
//
//	root.pem     root-key.pem      signs the others; the key is needed for nothing else
//	server.pem   server-key.pem    for the server's host names
//	kitchen.pem  kitchen-key.pem   for the device of that name

// A signer is a certificate whose key signs others.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// deviceName keeps names away from the other files in the directory.
var deviceName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// makeCerts makes the files that are missing in dir: the root, the certificate of a server that is
// reached by any of the hosts, and one for each device. It replaces nothing. To have a certificate
// made anew, remove both of its files.
func makeCerts(dir string, hosts, devices []string) error {
	for _, name := range devices {
		if !deviceName.MatchString(name) || name == "root" || name == "server" {
			return fmt.Errorf("%q is no name for a device: use lower-case letters, digits and hyphens, and neither root nor server", name)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// The directory keeps itself out of version control, keys and all.
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o666); err != nil {
		return err
	}
	root, err := openRoot(dir)
	if err != nil {
		return err
	}
	if err := root.issue(dir, "server", serverTemplate(hosts)); err != nil {
		return err
	}
	for _, name := range devices {
		if err := root.issue(dir, name, deviceTemplate(name)); err != nil {
			return err
		}
	}
	return nil
}

func template(name string, years int) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Plainsocket example"}, CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), // for clocks that are late
		NotAfter:  time.Now().AddDate(years, 0, 0),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
}

func rootTemplate() *x509.Certificate {
	t := template("root", 10)
	t.KeyUsage = x509.KeyUsageCertSign
	// it signs no other signers
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	return t
}

func serverTemplate(hosts []string) *x509.Certificate {
	t := template("server", 1)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	return t
}

// deviceTemplate is for clients only: a device that was stolen cannot pass for
// the server with it.
func deviceTemplate(name string) *x509.Certificate {
	t := template(name, 1)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return t
}

// openRoot loads the root, or makes it.
func openRoot(dir string) (*signer, error) {
	if err := (*signer)(nil).issue(dir, "root", rootTemplate()); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certFile(dir, "root"), keyFile(dir, "root"))
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no ECDSA key", keyFile(dir, "root"))
	}
	return &signer{pair.Leaf, key}, nil
}

// issue makes a key and a certificate for it, unless they are there. With a nil
// signer the certificate signs itself, as a root does.
func (s *signer) issue(dir, name string, template *x509.Certificate) error {
	if _, err := os.Stat(certFile(dir, name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if s == nil {
		s = &signer{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.cert, key.Public(), s.key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(keyFile(dir, name), "PRIVATE KEY", pkcs8, 0o600); err != nil {
		return err
	}
	return writePEM(certFile(dir, name), "CERTIFICATE", der, 0o644)
}

// writePEM makes a file, which must not be there.
func writePEM(name, kind string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	return errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: data}), f.Close())
}

func certFile(dir, name string) string { return filepath.Join(dir, name+".pem") }
func keyFile(dir, name string) string  { return filepath.Join(dir, name+"-key.pem") }
