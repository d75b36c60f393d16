package websocket

import (
	"io"
	"iter"
	"strings"
)

// A messageReader reads one message as a stream. NextReader returns it.
type messageReader struct {
	c   *Conn
	err error // io.EOF after the message's end or the next NextReader. The holder of c.readLock owns it
}

// NextReader waits for the next message and returns its type and a reader for
// its payload, which ends with io.EOF. If the message before was not read to its end,
// the rest is skipped. Memory does not depend on the message's size.
//
// The reader's errors are ReadMessage's. After a deadline has passed it can be
// read further. The bytes of a text message are valid UTF-8 as far as they
// go. A character may be divided between two reads, and the bytes before a wrong one
// may have been delivered.
func (c *Conn) NextReader() (messageType int, r io.Reader, err error) {
	c.lockRead()
	defer c.unlockRead()
	err = c.await()
	// A message that ReadMessage began, and a deadline ended, is not skipped.
	if err == nil && (!c.in.open || c.in.reader != nil) {
		err = c.beginMessage()
	}
	if err != nil {
		return noMessage, nil, c.readFailed(err)
	}
	c.in.reader = &messageReader{c: c}
	return int(c.in.messageType), c.in.reader, nil
}

func (r *messageReader) Read(p []byte) (int, error) {
	c := r.c
	c.lockRead()
	defer c.unlockRead()
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if c.flags.has(flagClosed) {
		return 0, c.readFailed(errReadClosed)
	}
	n, err := c.readSome(p)
	// io.EOF may be the message's end, or the transport's: that one failed.
	if err != nil && r.err == nil {
		return 0, c.readFailed(err) // without the bytes, which are not valid
	}
	return n, err
}

// readSome reads from the open reader's message.
func (c *Conn) readSome(p []byte) (int, error) {
	in := c.in
	if len(in.partial) == 0 && len(in.chunks) > 0 {
		in.partial, in.chunks = in.chunks[0], in.chunks[1:]
	}
	if len(in.partial) > 0 {
		n := copy(p, in.partial)
		in.partial = in.partial[n:]
		return n, nil
	}
	if in.rules.compressed {
		return c.readInflated(p)
	}
	for in.left == 0 {
		if in.fin {
			return 0, c.endReader()
		}
		if err := c.nextFrame(); err != nil {
			return 0, err
		}
	}
	return c.readPayload(p)
}

// readInflated is readSome for a compressed message.
func (c *Conn) readInflated(p []byte) (int, error) {
	if !c.in.open { // the last call met the end
		return 0, c.endReader()
	}
	q, done, err := c.inflateSome(p[:0], len(p))
	if done && err == nil && len(q) == 0 {
		err = c.endReader()
	}
	return len(q), err
}

// endReader ends the open reader with its message.
func (c *Conn) endReader() error {
	if err := c.endMessage(); err != nil {
		return err
	}
	c.in.leaveReader()
	c.lookAhead()
	c.release()
	return io.EOF
}

// leaveReader makes the open reader, if there is one, an ended one.
func (in *readState) leaveReader() {
	if in.reader == nil {
		return
	}
	if in.reader.err == nil {
		in.reader.err = io.EOF
	}
	in.reader = nil
}

// skipMessage reads the open message to its end and drops it.
func (c *Conn) skipMessage() error {
	in := c.in
	if in.reader != nil && in.reader.err == nil {
		in.reader.err = io.EOF
	}
	in.partial, in.chunks = nil, nil
	if in.rules.compressed {
		return c.skipInflated()
	}
	for {
		for in.left > 0 {
			if len(in.unread) == 0 {
				if err := c.fill(); err != nil {
					return err
				}
			}
			n := min(in.left, int64(len(in.unread)))
			p := in.unread[:n]
			in.unread = in.unread[n:]
			if err := in.unmaskAndValidate(p); err != nil {
				return err
			}
		}
		if in.fin {
			return c.endMessage()
		}
		if err := c.nextFrame(); err != nil {
			return err
		}
	}
}

// A Message is one message of Messages.
type Message struct {
	Type int    // TextMessage or BinaryMessage
	Data []byte // the receiver's to keep
}

// Messages returns the messages to come, for use with range:
//
//	for msg, err := range c.Messages() {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// The sequence ends after its first error. A close by the peer that means no
// harm (code 1000, 1001, or none) ends it without one. After a deadline has
// passed, a new sequence goes on after the last message of this one.
func (c *Conn) Messages() iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			messageType, data, err := c.ReadMessage()
			switch {
			case IsCloseError(err, CloseNormalClosure, CloseGoingAway, CloseNoStatusReceived):
				return
			case err != nil:
				yield(Message{}, err)
				return
			}
			if !yield(Message{messageType, data}, nil) {
				return
			}
		}
	}
}

// JoinMessages returns a reader for all messages of c, one after the other. Each is followed by
// term, so "\n" makes lines of them. The reader ends with the error with which reading c ends.
// While it is used, nothing else should read from c.
func JoinMessages(c *Conn, term string) io.Reader {
	return &joinedMessages{c: c, term: term}
}

// A joinedMessages is the reader that JoinMessages returns.
type joinedMessages struct {
	c    *Conn
	term string
	r    io.Reader // the message and then term, or nil between messages
}

// Read reads from the present message, or waits for the next one.
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
