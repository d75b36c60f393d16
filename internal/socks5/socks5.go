// Package socks5 asks a SOCKS5 proxy (RFC 1928) to connect a client to a server.
//
// A client that may not connect to a server itself connects to a proxy, and asks the proxy to
// connect to the server. After that the proxy passes bytes on in both directions, so the client
// uses its connection to the proxy as if the server were at the other end:
//
//	client                          proxy
//	05 n methods            ──►
//	                        ◄──     05 method
//	01 n user n password    ──►                    only for method 02
//	                        ◄──     01 00
//	05 01 00 address port   ──►
//	                        ◄──     05 00 00 address port
//
// A method is a way to identify the client. This package knows two: no identification, and a user
// name with a password (RFC 1929).
package socks5

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
)

const (
	version         = 5
	passwordVersion = 1
	commandConnect  = 1

	methodNone      = 0x00 // no authentication
	methodPassword  = 0x02
	methodsRejected = 0xff // the proxy accepts none of the client's methods

	addressIPv4   = 1
	addressDomain = 3
	addressIPv6   = 4
)

// replies are the texts of RFC 1928 section 6.
var replies = []string{"succeeded", "general failure", "not allowed by its rules", "network unreachable", "host unreachable",
	"connection refused", "TTL expired", "command not supported", "address type not supported"}

// Connect asks the proxy at the other end of nc to connect to addr, a host and a port. The proxy
// looks up the host's name. user may be nil.
//
// If err is nil, the next byte that nc reads is the server's. Otherwise nc is of no further use,
// and closing it is up to the caller. Connect sets no deadline.
func Connect(nc net.Conn, user *url.Userinfo, addr string) error {
	request, err := appendRequest(nil, addr)
	if err != nil {
		return err
	}
	if err := authorize(nc, user); err != nil {
		return err
	}
	if _, err := nc.Write(request); err != nil {
		return err
	}
	return readReply(nc, addr)
}

// authorize agrees with the proxy on a method (section 3), and follows it.
func authorize(nc net.Conn, user *url.Userinfo) error {
	hello := []byte{version, 1, methodNone}
	if user != nil {
		hello = []byte{version, 2, methodNone, methodPassword}
	}
	var answer [2]byte
	if err := ask(nc, hello, answer[:]); err != nil {
		return err
	}
	switch {
	case answer[0] != version:
		return fmt.Errorf("it is no SOCKS5 proxy: it answered % x", answer)
	case answer[1] == methodNone:
		return nil
	case answer[1] == methodPassword && user != nil:
		return sendPassword(nc, user)
	case answer[1] == methodsRejected && user == nil:
		return errors.New("it wants a user name and password, which belong into the proxy's URL")
	}
	return fmt.Errorf("it has no method of authentication in common with this client (%#02x)", answer[1])
}

// sendPassword follows the method of RFC 1929.
func sendPassword(nc net.Conn, user *url.Userinfo) error {
	name := user.Username()
	password, _ := user.Password()
	if len(name) == 0 || len(name) > 255 || len(password) > 255 {
		return errors.New("SOCKS5 user names have 1 to 255 bytes, passwords up to 255")
	}
	request := append([]byte{passwordVersion, byte(len(name))}, name...)
	request = append(append(request, byte(len(password))), password...)
	var answer [2]byte
	if err := ask(nc, request, answer[:]); err != nil {
		return err
	}
	if answer[1] != 0 { // "the client MUST close the connection"
		return errors.New("it refused the user name and password")
	}
	return nil
}

// ask sends a request and fills answer.
func ask(nc net.Conn, request, answer []byte) error {
	if _, err := nc.Write(request); err != nil {
		return err
	}
	_, err := io.ReadFull(nc, answer)
	return unexpectedEOF(err)
}

// appendRequest appends the request to connect to addr (section 4).
func appendRequest(b []byte, addr string) ([]byte, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q is no number below 65536", portText)
	}
	b = append(b, version, commandConnect, 0)
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && ip.Is4():
		b = append(append(b, addressIPv4), ip.AsSlice()...)
	case err == nil:
		b = append(append(b, addressIPv6), ip.AsSlice()...)
	case len(host) > 255:
		return nil, fmt.Errorf("the name of the host has %d bytes, and SOCKS5 takes 255", len(host))
	default:
		b = append(append(b, addressDomain, byte(len(host))), host...)
	}
	return append(b, byte(port>>8), byte(port)), nil
}

// readReply reads the reply (section 6) and no byte more: the bytes behind it are the server's.
func readReply(nc net.Conn, addr string) error {
	var b [4 + 1]byte // up to the address's first byte
	if _, err := io.ReadFull(nc, b[:]); err != nil {
		// Programs look for these words.
		return fmt.Errorf("failed to read connect reply from SOCKS5 proxy: %w", unexpectedEOF(err))
	}
	if b[0] != version {
		return fmt.Errorf("malformed SOCKS5 reply % x", b)
	}
	if reply := int(b[1]); reply != 0 {
		text := fmt.Sprintf("error %#02x", reply)
		if reply < len(replies) {
			text = replies[reply]
		}
		return fmt.Errorf("connecting to %s: %s", addr, text)
	}
	rest := 2 // the port
	switch b[3] {
	case addressIPv4:
		rest += 3
	case addressIPv6:
		rest += 15
	case addressDomain:
		rest += int(b[4])
	default:
		return fmt.Errorf("malformed SOCKS5 reply % x", b)
	}
	_, err := io.CopyN(io.Discard, nc, int64(rest))
	return unexpectedEOF(err)
}

// unexpectedEOF returns err, and io.ErrUnexpectedEOF for io.EOF: the proxy has not said all.
func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
