package websocket

import "unicode/utf8"

// The fast path of reading: a message that is one frame, is not compressed, and
// lies in the read buffer from its first octet to its last. Most are small, and
// small ones mostly come so. Nothing is in progress before such a message and
// nothing after it, so none of readHalf's state changes but unread. An echo
// of 125 octets takes an eighth less time so, outside of the kernel.

// takeWhole takes the next message where it lies in the read buffer, without
// copying it, if it is such a one; it is valid until more is read. It reports
// false where it is not, or where something may be wrong with it, and has changed
// nothing then: nextFrame finds out.
func (c *Conn) takeWhole() (messageType int, data []byte, ok bool, err error) {
	in := c.in
	if in.open || in.reader != nil || in.traced != nil {
		return noMessage, nil, false, nil
	}
	h, n, err := consumeHeader(in.unread)
	if err != nil || n == 0 || h.length > int64(len(in.unread)-n) || !in.rules.acceptsWhole(h, c.settings.Load().limit) {
		return noMessage, nil, false, nil
	}
	end := n + int(h.length)
	if h.masked {
		mask(in.unread[n:end], h.key)
	}
	data, in.unread = in.unread[n:end:end], in.unread[end:]
	if h.opcode == opText && !utf8.Valid(data) {
		return noMessage, nil, true, c.readFailed(errInvalidUTF8)
	}
	c.lookAhead()
	return int(h.opcode), data, true, nil
}
