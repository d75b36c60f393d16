package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"time"
)

// newCertificate makes a key and a certificate that it signs itself, for a server that is reached
// by one of these host names and addresses. Neither is written to a file. The next start has new
// ones.
//
// Only clients that were given such a certificate by the program trust it. Some programs leave that
// out and turn checking off in the clients instead (InsecureSkipVerify). Then TLS no longer
// protects against an attacker on the way.
func newCertificate(hosts ...string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		// The name is for people. Programs read the hosts.
		Subject:     pkix.Name{CommonName: "examples/subprotocol"},
		NotBefore:   time.Now().Add(-time.Hour), // for clocks that are late
		NotAfter:    time.Now().AddDate(0, 0, 30),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if host != "" {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}
