package main

// This file serves with gobwas/ws, by its low-level functions, whose user decides about buffers and
// writes. Answers are gathered here as long as a whole further frame is buffered, and go out in one
// write.

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

func serveGobwas(ln net.Listener, j *job) error {
	return accept(ln, func(nc net.Conn) {
		var u ws.Upgrader
		if j.Deflate {
			u.Negotiate = (&wsflate.Extension{Parameters: wsflate.DefaultParameters}).Negotiate
		}
		if _, err := u.Upgrade(nc); err != nil {
			nc.Close()
			return
		}
		go gobwasServe(nc, j) // on a new stack: the upgrade's has grown
	})
}

func gobwasHandler(j *job) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if nc, _, _, err := ws.UpgradeHTTP(r, w); err == nil {
			go gobwasServe(nc, j)
		}
	}
}

var gobwasPrepared = ws.MustCompileFrame(ws.NewBinaryFrame(broadcastPayload))

func gobwasServe(nc net.Conn, j *job) {
	defer nc.Close()
	if j.hub != nil {
		j.hub.join(func() error { _, err := nc.Write(gobwasPrepared); return err })
	}
	br := bufio.NewReaderSize(nc, j.bufferSize(4096))
	if j.Deflate {
		gobwasDeflated(nc, br)
	} else {
		gobwasLoop(nc, br)
	}
}

// gatherLimit is the number of bytes that are gathered for one write.
const gatherLimit = 16 << 10

func gobwasLoop(nc net.Conn, br *bufio.Reader) {
	var out appender
	for {
		h, err := ws.ReadHeader(br)
		if err != nil || out.echo(h, br) != nil {
			return
		}
		if len(out) < gatherLimit && wholeFrameBuffered(br) {
			continue
		}
		if _, err := nc.Write(out); err != nil || h.OpCode == ws.OpClose {
			return
		}
		out = out[:0]
	}
}

// An appender is a slice that ws.WriteHeader can write to.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

// echo appends the answer to a frame: itself, but a pong to a ping.
func (a *appender) echo(h ws.Header, br *bufio.Reader) error {
	mask := h.Mask
	h.Masked = false
	if h.OpCode == ws.OpPing {
		h.OpCode = ws.OpPong
	}
	ws.WriteHeader(a, h)
	start := len(*a)
	*a = slices.Grow(*a, int(h.Length))[:start+int(h.Length)]
	if _, err := io.ReadFull(br, (*a)[start:]); err != nil {
		return err
	}
	ws.Cipher((*a)[start:], mask, 0)
	return nil
}

// wholeFrameBuffered reports whether the next frame can be read without waiting.
func wholeFrameBuffered(br *bufio.Reader) bool {
	b, _ := br.Peek(min(br.Buffered(), ws.MaxHeaderSize))
	if len(b) < 2 {
		return false
	}
	n, size := ws.MinHeaderSize+4, uint64(b[1]&0x7f)
	switch {
	case size == 126 && len(b) >= 4:
		n, size = n+2, uint64(binary.BigEndian.Uint16(b[2:]))
	case size == 127 && len(b) >= 10:
		n, size = n+8, binary.BigEndian.Uint64(b[2:])
	case size >= 126:
		return false
	}
	return uint64(br.Buffered()) >= uint64(n)+size
}
