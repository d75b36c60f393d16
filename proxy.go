package websocket

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/plainsocket/websocket/internal/socks5"
)

// Reaching a server through a proxy, from networks that allow no direct connection.
//
// A client asks an HTTP proxy for a tunnel with the method CONNECT (RFC 9110 section 9.3.6), and a
// SOCKS5 proxy by a protocol of its own (internal/socks5). After that, the proxy passes on all
// bytes, and the transport is as good as a direct one.

// dialProxy connects to addr through a proxy.
func (d *Dialer) dialProxy(ctx context.Context, proxy *url.URL, addr string) (nc net.Conn, err error) {
	open := openTunnel
	switch proxy.Scheme {
	case "http", "https":
	case "socks5", "socks5h":
		open = socks5.Connect
	default:
		return nil, fmt.Errorf("websocket: proxy %s: want a scheme of http, https, socks5 or socks5h", proxy.Redacted())
	}
	addr, proxyAddr := withoutZone(addr), hostPort(proxy)
	switch {
	case proxy.Scheme != "https":
		nc, err = d.dial(ctx, proxyAddr)
	case d.NetDialTLSContext != nil:
		nc, err = d.NetDialTLSContext(ctx, "tcp", proxyAddr)
	default:
		nc, err = d.dialProxyTLS(ctx, proxy, proxyAddr)
	}
	if err == nil && nc == nil {
		err = errors.New("the dial function returned neither a connection nor an error")
	}
	if err != nil {
		return nil, fmt.Errorf("websocket: proxy %s: %w", proxyAddr, err)
	}
	if err = step(ctx, nc, func() error { return open(nc, proxy.User, addr) }); err != nil {
		return nil, fmt.Errorf("websocket: proxy %s: %w", proxyAddr, err)
	}
	return nc, nil
}

// dialProxyTLS connects to an https proxy. A ServerName in TLSClientConfig is the server's name, so
// it is not used for the proxy.
func (d *Dialer) dialProxyTLS(ctx context.Context, proxy *url.URL, addr string) (net.Conn, error) {
	nc, err := d.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	config := d.TLSClientConfig.Clone()
	if config != nil {
		config.ServerName = ""
	}
	return d.startTLS(ctx, nc, config, proxy.Hostname())
}

// openTunnel asks an HTTP proxy to connect nc to addr.
func openTunnel(nc net.Conn, user *url.Userinfo, addr string) error {
	request := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n"
	if user != nil {
		password, _ := user.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		request += "Proxy-Authorization: Basic " + credentials + "\r\n"
	}
	if _, err := io.WriteString(nc, request+"\r\n"); err != nil {
		return err
	}
	for budget := defaultMaxHeaderBytes; ; {
		header, err := readTunnelHeader(nc, budget)
		if err != nil {
			return err
		}
		budget -= len(header)
		status, err := tunnelStatus(header)
		switch {
		case err != nil:
			return err
		case status[0] == '2':
			return nil
		case status[0] != '1' || strings.HasPrefix(status, "101"):
			return fmt.Errorf("CONNECT %s was refused: %s", addr, status)
		}
		// This was an interim response (RFC 9110 section 15.2).
	}
}

// tunnelStatus returns the status of a response, such as "200 Connection established". The rest of
// the header does not matter: "A client MUST ignore any Content-Length or Transfer-Encoding header
// fields received in a successful response to CONNECT."
func tunnelStatus(header []byte) (string, error) {
	line, _, _ := strings.Cut(string(header), "\n")
	version, status, _ := strings.Cut(trimOWS(strings.TrimSuffix(line, "\r")), " ")
	code, _, _ := strings.Cut(status, " ")
	n, err := strconv.Atoi(code)
	if major, _, ok := http.ParseHTTPVersion(version); !ok || major != 1 || err != nil || n < 100 || n > 999 {
		return "", fmt.Errorf("malformed response to CONNECT: %.100q", line)
	}
	return status, nil
}

// readTunnelHeader reads a response's header, and no byte behind it. The bytes behind the header
// are the server's, and belong to TLS or the opening handshake.
func readTunnelHeader(nc net.Conn, limit int) ([]byte, error) {
	header := make([]byte, 0, 512)
	for {
		if len(header) >= limit {
			return nil, errHeaderTooLarge
		}
		header = append(header, 0)
		// Read one byte at a time. A response to CONNECT is short, and comes once a connection.
		if _, err := io.ReadFull(nc, header[len(header)-1:]); err != nil {
			return nil, unexpectedEOF(err)
		}
		if headerEnd(header, len(header)-1) > 0 {
			return header, nil
		}
	}
}
