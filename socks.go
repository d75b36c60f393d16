package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
)

// SOCKS5, RFC 1928, as far as a client needs it to have a proxy connect
// somewhere: methods, perhaps a user name and password (RFC 1929), a request,
// a reply.
//
//	client                          proxy
//	05 n methods            ──►
//	                        ◄──     05 method
//	01 n user n password    ──►                    only for method 02
//	                        ◄──     01 00
//	05 01 00 address port   ──►
//	                        ◄──     05 00 00 address port
const (
	socksVersion     = 5
	socksAuthVersion = 1
	socksConnect     = 1

	socksNoAuth   = 0x00
	socksPassword = 0x02
	socksNone     = 0xff // no acceptable methods

	socksIPv4   = 1
	socksDomain = 3
	socksIPv6   = 4
)

// socksReplies are the texts of section 6.
var socksReplies = []string{"succeeded", "general failure", "not allowed by its rules", "network unreachable", "host unreachable",
	"connection refused", "TTL expired", "command not supported", "address type not supported"}

// openSOCKS asks a SOCKS5 proxy to connect nc to addr. Names are looked up by
// the proxy.
func openSOCKS(nc net.Conn, user *url.Userinfo, addr string) error {
	request, err := appendSOCKSRequest(nil, addr)
	if err != nil {
		return err
	}
	if err := authorizeSOCKS(nc, user); err != nil {
		return err
	}
	if _, err := nc.Write(request); err != nil {
		return err
	}
	return readSOCKSReply(nc, addr)
}

// authorizeSOCKS agrees on a method (section 3), and goes through it.
func authorizeSOCKS(nc net.Conn, user *url.Userinfo) error {
	hello := []byte{socksVersion, 1, socksNoAuth}
	if user != nil {
		hello = []byte{socksVersion, 2, socksNoAuth, socksPassword}
	}
	var answer [2]byte
	if err := askSOCKS(nc, hello, answer[:]); err != nil {
		return err
	}
	switch {
	case answer[0] != socksVersion:
		return fmt.Errorf("it is no SOCKS5 proxy: it answered % x", answer)
	case answer[1] == socksNoAuth:
		return nil
	case answer[1] == socksPassword && user != nil:
		return passwordSOCKS(nc, user)
	case answer[1] == socksNone && user == nil:
		return errors.New("it wants a user name and password, which belong into the proxy's URL")
	}
	return fmt.Errorf("it has no method of authentication in common with this client (%#02x)", answer[1])
}

// passwordSOCKS is RFC 1929.
func passwordSOCKS(nc net.Conn, user *url.Userinfo) error {
	name := user.Username()
	password, _ := user.Password()
	if len(name) == 0 || len(name) > 255 || len(password) > 255 {
		return errors.New("SOCKS5 user names have 1 to 255 octets, passwords up to 255")
	}
	request := append([]byte{socksAuthVersion, byte(len(name))}, name...)
	request = append(append(request, byte(len(password))), password...)
	var answer [2]byte
	if err := askSOCKS(nc, request, answer[:]); err != nil {
		return err
	}
	if answer[1] != 0 { // "the client MUST close the connection"
		return errors.New("it refused the user name and password")
	}
	return nil
}

func askSOCKS(nc net.Conn, request, answer []byte) error {
	if _, err := nc.Write(request); err != nil {
		return err
	}
	_, err := io.ReadFull(nc, answer)
	return unexpectedEOF(err)
}

// appendSOCKSRequest appends the request to connect to addr (section 4).
func appendSOCKSRequest(b []byte, addr string) ([]byte, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q is no number below 65536", portText)
	}
	b = append(b, socksVersion, socksConnect, 0)
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && ip.Is4():
		b = append(append(b, socksIPv4), ip.AsSlice()...)
	case err == nil:
		b = append(append(b, socksIPv6), ip.AsSlice()...)
	case len(host) > 255:
		return nil, fmt.Errorf("the name of the host has %d octets, and SOCKS5 takes 255", len(host))
	default:
		b = append(append(b, socksDomain, byte(len(host))), host...)
	}
	return append(b, byte(port>>8), byte(port)), nil
}

// readSOCKSReply reads the reply (section 6), to its last octet: what follows
// is the server's.
func readSOCKSReply(nc net.Conn, addr string) error {
	var b [4 + 1]byte // up to the address's first octet
	if _, err := io.ReadFull(nc, b[:]); err != nil {
		// In these words, which programs look for.
		return fmt.Errorf("failed to read connect reply from SOCKS5 proxy: %w", unexpectedEOF(err))
	}
	if b[0] != socksVersion {
		return fmt.Errorf("malformed SOCKS5 reply % x", b)
	}
	if reply := int(b[1]); reply != 0 {
		text := fmt.Sprintf("error %#02x", reply)
		if reply < len(socksReplies) {
			text = socksReplies[reply]
		}
		return fmt.Errorf("connecting to %s: %s", addr, text)
	}
	rest := 2 // the port
	switch b[3] {
	case socksIPv4:
		rest += 3
	case socksIPv6:
		rest += 15
	case socksDomain:
		rest += int(b[4])
	default:
		return fmt.Errorf("malformed SOCKS5 reply % x", b)
	}
	_, err := io.CopyN(io.Discard, nc, int64(rest))
	return unexpectedEOF(err)
}
