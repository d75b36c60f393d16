// Package stream has the tests of Conn.Stream that need more than the standard library: the
// rules for a net.Conn of golang.org/x/net/nettest, and protocols that real programs run inside
// such a connection: TLS, yamux, SSH and HTTP/2. It is a module of its own, so that the library
// requires nothing.
package stream
