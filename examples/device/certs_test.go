package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var testHosts = []string{"localhost", "127.0.0.1", "::1"}

// makeTestCerts makes certificates for the devices in a new directory.
func makeTestCerts(t testing.TB, devices ...string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "certs")
	if err := makeCerts(dir, testHosts, devices); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCertFiles(t *testing.T) {
	dir := makeTestCerts(t, "kitchen", "attic-2")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.Name(), "-key.pem") && info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
	}
	want := []string{".gitignore", "attic-2-key.pem", "attic-2.pem", "kitchen-key.pem", "kitchen.pem",
		"root-key.pem", "root.pem", "server-key.pem", "server.pem"}
	if !slices.Equal(names, want) {
		t.Errorf("the directory has %q, want %q", names, want)
	}
	if ignored, _ := os.ReadFile(filepath.Join(dir, ".gitignore")); string(ignored) != "*\n" {
		t.Errorf(".gitignore holds %q", ignored)
	}
}

// Each certificate is good for its purpose, and for no other.
func TestCertUsages(t *testing.T) {
	dir := makeTestCerts(t, "kitchen")
	other := makeTestCerts(t, "kitchen")
	server, roots, err := loadCerts(dir, "server")
	if err != nil {
		t.Fatal(err)
	}
	kitchen, _, _ := loadCerts(dir, "kitchen")
	stranger, _, _ := loadCerts(other, "kitchen")
	asServer := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	asClient := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	tests := []struct {
		what  string
		cert  tls.Certificate
		usage []x509.ExtKeyUsage
		host  string
		good  bool
	}{
		{"the server", server, asServer, "localhost", true},
		{"the server by address", server, asServer, "127.0.0.1", true},
		{"the server by another name", server, asServer, "example.com", false},
		{"the server as a device", server, asClient, "", false},
		{"a device", kitchen, asClient, "", true},
		{"a device as the server", kitchen, asServer, "", false},
		{"a device of another root", stranger, asClient, "", false},
	}
	for _, tt := range tests {
		_, err := tt.cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: tt.usage, DNSName: tt.host})
		if tt.good != (err == nil) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
	if name := kitchen.Leaf.Subject.CommonName; name != "kitchen" {
		t.Errorf("the device's name is %q", name)
	}
}

// More devices can be added later. The files that exist stay.
func TestCertsAreAdded(t *testing.T) {
	dir := makeTestCerts(t, "kitchen")
	before := make(map[string][]byte)
	for _, name := range []string{"root.pem", "root-key.pem", "server.pem", "kitchen.pem", "kitchen-key.pem"} {
		before[name], _ = os.ReadFile(filepath.Join(dir, name))
	}
	if err := makeCerts(dir, testHosts, []string{"kitchen", "attic"}); err != nil {
		t.Fatal(err)
	}
	for name, data := range before {
		if after, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(after, data) {
			t.Errorf("%s has changed: %v", name, err)
		}
	}
	attic, roots, err := loadCerts(dir, "attic")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attic.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
}

func TestDeviceNames(t *testing.T) {
	for _, name := range []string{"", "root", "server", "../kitchen", "Kitchen", "-k", "a/b", "a b"} {
		dir := filepath.Join(t.TempDir(), "certs")
		if err := makeCerts(dir, testHosts, []string{"good", name}); err == nil {
			t.Errorf("a device may be called %q", name)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%q: something was made before the name was refused", name)
		}
	}
}

// A key that lost its certificate is not overwritten.
func TestCertsKeepKeys(t *testing.T) {
	dir := makeTestCerts(t, "kitchen")
	os.Remove(certFile(dir, "kitchen"))
	before, _ := os.ReadFile(keyFile(dir, "kitchen"))
	if err := makeCerts(dir, testHosts, []string{"kitchen"}); err == nil {
		t.Error("no error")
	}
	if after, _ := os.ReadFile(keyFile(dir, "kitchen")); !slices.Equal(before, after) {
		t.Error("the key was overwritten")
	}
}
