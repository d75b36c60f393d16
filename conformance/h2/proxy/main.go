// Proxy is a proxy from WebSocket over HTTP/1.1 to WebSocket over HTTP/2, for tests. Each of its
// connections begins with a line that has the server's address, which is on the loopback interface.
//
// It ends when its standard input does.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"

	"github.com/plainsocket/websocket/conformance/h2"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		nc, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(nc.(*net.TCPConn))
	}
}

// buffered is a connection of which the first bytes were read ahead.
type buffered struct {
	*net.TCPConn
	r *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

func serve(nc *net.TCPConn) {
	defer nc.Close()
	in := bufio.NewReader(nc)
	addr, err := in.ReadString('\n')
	if err != nil {
		return
	}
	c, err := h2.Dial(strings.TrimSpace(addr), nil, h2.Options{})
	if err != nil {
		return
	}
	defer c.Close()
	c.Translate(buffered{nc, in})
}
