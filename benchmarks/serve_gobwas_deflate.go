package main

// Compression with gobwas/ws: its wsflate around compress/flate at level 1,
// which gorilla and coder use too. It knows no context takeover.

import (
	"bufio"
	"bytes"
	"compress/flate"
	"io"
	"net"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// A gobwasCodec has the parts that are needed to inflate one message and deflate it again.
type gobwasCodec struct {
	plain, deflated, out bytes.Buffer
	reader               *wsflate.Reader
	writer               *wsflate.Writer
}

var gobwasCodecs = sync.Pool{New: func() any {
	return &gobwasCodec{
		reader: wsflate.NewReader(nil, func(r io.Reader) wsflate.Decompressor { return gobwasInflater{flate.NewReader(r)} }),
		writer: wsflate.NewWriter(io.Discard, func(w io.Writer) wsflate.Compressor {
			fw, _ := flate.NewWriter(w, flate.BestSpeed)
			return fw
		}),
	}
}}

// A gobwasInflater is compress/flate's reader with the method by which wsflate uses a decompressor
// again. Without it there would be a new one per message.
type gobwasInflater struct{ io.Reader }

func (f gobwasInflater) Reset(src io.Reader) { f.Reader.(flate.Resetter).Reset(src, nil) }

func gobwasDeflated(nc net.Conn, br *bufio.Reader) {
	var frame []byte
	for {
		h, err := ws.ReadHeader(br)
		if err != nil || h.OpCode.IsControl() {
			return
		}
		if cap(frame) < int(h.Length) {
			frame = make([]byte, h.Length)
		}
		frame = frame[:h.Length]
		if _, err := io.ReadFull(br, frame); err != nil {
			return
		}
		ws.Cipher(frame, h.Mask, 0)
		codec := gobwasCodecs.Get().(*gobwasCodec)
		err = codec.echo(nc, h.OpCode, frame)
		gobwasCodecs.Put(codec)
		if err != nil {
			return
		}
	}
}

// echo sends a compressed message back, compressed anew.
func (c *gobwasCodec) echo(nc net.Conn, op ws.OpCode, frame []byte) error {
	c.plain.Reset()
	c.reader.Reset(bytes.NewReader(frame))
	if _, err := c.plain.ReadFrom(c.reader); err != nil {
		return err
	}
	c.deflated.Reset()
	c.writer.Reset(&c.deflated)
	if _, err := c.writer.Write(c.plain.Bytes()); err != nil {
		return err
	}
	if err := c.writer.Flush(); err != nil {
		return err
	}
	c.out.Reset()
	if err := ws.WriteHeader(&c.out, ws.Header{Fin: true, Rsv: ws.Rsv(true, false, false), OpCode: op, Length: int64(c.deflated.Len())}); err != nil {
		return err
	}
	c.out.Write(c.deflated.Bytes())
	_, err := nc.Write(c.out.Bytes())
	return err
}
