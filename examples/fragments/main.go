// Fragments shows how and why one message becomes several frames.
//
// It is a server and a client in one program. The client asks for three messages, and a Trace
// prints every frame that it gets:
//
//	1  "hello" in one frame
//	2  one message in three frames, with a ping between two of them
//	3  a file of many megabytes as one message, in constant memory
//
// RFC 6455 section 5.4 names the purpose of fragments: "The primary purpose of fragmentation is to
// allow sending a message that is of unknown size when the message is started without having to
// buffer that message".
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/plainsocket/websocket"
)

func main() {
	size := flag.Int64("size", 64<<20, "bytes of the message that is streamed")
	file := flag.String("file", "", "stream this `file` instead")
	flag.Parse()
	var source io.Reader = io.LimitReader(zeros{}, *size)
	if *file != "" {
		f, err := os.Open(*file)
		if err != nil {
			log.Fatal(err)
		}
		defer f.Close()
		source = f
	}
	if err := run(os.Stdout, source); err != nil {
		log.Fatal(err)
	}
}

// run serves on a port of this machine, and is its own client.
func run(w io.Writer, source io.Reader) error {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	srv := &websocket.Server{Handler: func(c *websocket.Conn, r *http.Request) {
		if err := serve(c, r.URL.Path, source); err != nil {
			log.Print(err)
		}
	}}
	go srv.Serve(l)
	defer srv.Close()

	for _, path := range []string{"/hello", "/fragments", "/stream"} {
		fmt.Fprintf(w, "%s\n", path)
		if err := fetch(w, "ws://"+l.Addr().String()+path); err != nil {
			return err
		}
	}
	return nil
}

// serve sends one message, and leaves the rest to the Server, which closes the
// connection when its handler returns.
func serve(c *websocket.Conn, path string, source io.Reader) error {
	switch path {
	case "/hello":
		return c.WriteMessage(websocket.TextMessage, []byte("hello"))
	case "/fragments":
		return sendInParts(c, "and a ", "happy new ", "year!")
	default:
		return stream(c, source)
	}
}

// sendInParts sends one message, a frame for each part. A control frame may come between fragments,
// so that a long message does not keep a ping, or a close, waiting. Another message may not
// (section 5.4).
func sendInParts(c *websocket.Conn, parts ...string) error {
	w, err := c.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	for i, part := range parts {
		if i == 1 {
			if err := c.WriteControl(websocket.PingMessage, []byte("still there?"), time.Now().Add(time.Second)); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(w, part); err != nil {
			return err
		}
		if i == len(parts)-1 {
			break // Close sends the last part, with FIN
		}
		// NextWriter's writer gathers 32 KiB for a frame. Flush does not wait for them.
		if err := w.(interface{ Flush() error }).Flush(); err != nil {
			return err
		}
	}
	return w.Close()
}

// stream sends all that a reader has. io.Copy fills frame after frame, and none of them waits for
// the next.
func stream(c *websocket.Conn, source io.Reader) error {
	w, err := c.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, source); err != nil {
		return err
	}
	return w.Close()
}

// zeros stands for a file that is too large for this machine's memory.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// fetch connects, receives one message, and closes.
func fetch(w io.Writer, url string) error {
	frames := &framePrinter{w: w}
	dialer := websocket.Dialer{
		Trace: &websocket.Trace{Frame: frames.print},
		// A stream has no size to be limited, neither in bytes nor in frames. Only a program that
		// keeps nothing of it, as here, can do without both limits.
		ReadLimit:    -1,
		MaxFragments: -1,
	}
	c, _, err := dialer.Dial(url, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := receive(w, c, frames); err != nil {
		return err
	}
	return c.Shutdown(context.Background(), websocket.CloseNormalClosure, "")
}

// receive reads a message as a stream, prints its frames, and describes it.
func receive(w io.Writer, c *websocket.Conn, frames *framePrinter) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, r, err := c.NextReader()
	if err != nil {
		return err
	}
	sum := sha256.New()
	start := make([]byte, 40)
	n, err := io.ReadFull(r, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	sum.Write(start[:n])
	rest, err := io.Copy(sum, r)
	if err != nil {
		return err
	}
	runtime.ReadMemStats(&after)
	frames.rest()
	if rest == 0 {
		fmt.Fprintf(w, "  = %q\n\n", start[:n])
	} else {
		fmt.Fprintf(w, "  = %d bytes, SHA-256 %.8x…; %d KiB were allocated meanwhile, by both sides together\n\n",
			int64(n)+rest, sum.Sum(nil), (after.TotalAlloc-before.TotalAlloc)/1024)
	}
	return nil
}

// A framePrinter prints the first frames, and counts the others.
type framePrinter struct {
	w     io.Writer
	count int
	last  websocket.Frame
	done  bool // the message has ended, and a close frame follows
}

const printed = 6

var opcodes = map[int]string{0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}

func (p *framePrinter) print(_ *websocket.Conn, f websocket.Frame) {
	if f.Sent || p.done {
		return
	}
	if p.count++; p.count <= printed {
		p.line(f)
	}
	p.last = f
}

func (p *framePrinter) line(f websocket.Frame) {
	fmt.Fprintf(p.w, "  FIN %d  opcode %2d %-12s  %5d bytes   % x\n", b2i(f.Fin), f.Opcode, opcodes[f.Opcode], f.Length, f.Header)
}

// rest prints the last frame, and the number of frames left out before it.
func (p *framePrinter) rest() {
	p.done = true
	if p.count > printed {
		fmt.Fprintf(p.w, "  … %d more\n", p.count-printed-1)
		p.line(p.last)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
