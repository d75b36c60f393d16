package websocket

import (
	"io"
	"strings"
)

// JoinMessages returns a reader for all messages of c, one behind the other,
// each followed by term: "\n" makes lines of them. It ends with the error that
// reading c ends with. Like NextReader, it should have c's reading for itself.
func JoinMessages(c *Conn, term string) io.Reader {
	return &joinedMessages{c: c, term: term}
}

type joinedMessages struct {
	c    *Conn
	term string
	r    io.Reader // the message, and term behind it; nil between messages
}

func (j *joinedMessages) Read(p []byte) (int, error) {
	for {
		if j.r == nil {
			_, r, err := j.c.NextReader()
			if err != nil {
				return 0, err
			}
			j.r = io.MultiReader(r, strings.NewReader(j.term))
		}
		n, err := j.r.Read(p)
		if err == io.EOF {
			j.r, err = nil, nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}
