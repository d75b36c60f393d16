package main

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"strings"
)

const (
	windowSize  = 32 << 10 // as far back as DEFLATE can refer (RFC 1951 section 2)
	maxPacked   = 1 << 20  // bytes of a compressed message that are inflated
	maxInflated = 8 << 20
)

// tail has the bytes that a sender takes off every message, 00 00 ff ff (RFC 7692 section 7.2.1),
// and an empty last block, because compress/flate wants to see an end.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

var (
	errTooLarge = errors.New("too large to be decompressed here")
	errLost     = errors.New("may refer to an earlier message that was not decompressed here")
)

// An inflater decompresses the messages of one direction. It uses compress/flate, a second opinion
// on the output of the library's own codec.
type inflater struct {
	history []byte // the end of the messages before, which later ones may refer to
	lost    bool
}

// inflate returns the first bytes of a message, and its length.
func (in *inflater) inflate(packed []byte) (first hexBytes, length int, err error) {
	if in.lost {
		return nil, 0, errLost
	}
	r := flate.NewReaderDict(io.MultiReader(bytes.NewReader(packed), strings.NewReader(tail)), in.history)
	buf := make([]byte, 16<<10)
	for err == nil {
		var n int
		n, err = r.Read(buf)
		length += n
		first = first.keep(buf[:n])
		in.remember(buf[:n])
		if length > maxInflated {
			err = errTooLarge
		}
	}
	if err != io.EOF {
		in.lost = true
		return first, length, err
	}
	return first, length, nil
}

func (in *inflater) remember(p []byte) {
	in.history = append(in.history, p...)
	if surplus := len(in.history) - windowSize; surplus > 0 {
		in.history = append(in.history[:0], in.history[surplus:]...)
	}
}
