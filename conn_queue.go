package websocket

import (
	"errors"
	"reflect"
	"time"
)

// Queued messages: writing without waiting for the peer. A server that sends the
// same to many peers, or a goroutine that has other things to do, must not be held
// up by one peer that does not read. Enqueue sends the bytes that the transport takes
// at once and keeps the rest in the outbox, in order with all other writes.
//
// The queue is bounded twice: by QueueLimit in bytes, because a slow peer costs memory,
// and by QueueTimeout in age, because a peer that is too far behind is better off when
// it connects again. A limit in messages would cut off healthy peers in a burst of
// small ones.

// ErrQueueFull is returned by Enqueue, EnqueuePrepared and EnqueueLatest if more bytes would wait
// for the peer than QueueLimit allows. Nothing of the message is sent, and the connection can be
// used further.
var ErrQueueFull = errors.New("websocket: the queue for a slow peer is full (see QueueLimit)")

// ErrQueueTimeout is returned by reads and writes after the peer did not take the messages that
// were queued for it within QueueTimeout. The transport is then closed. The error is a net.Error,
// its Timeout is true, and it is final.
var ErrQueueTimeout error = queueTimeoutError{}

type queueTimeoutError struct{}

func (queueTimeoutError) Error() string {
	return "websocket: the peer did not take queued messages in time (see QueueTimeout)"
}
func (queueTimeoutError) Timeout() bool   { return true }
func (queueTimeoutError) Temporary() bool { return false }

// A queuedMessage is a message that waits to be sent. It is compressed when it is
// sent: messages may refer to those before them.
type queuedMessage struct {
	op       opcode
	frame    []byte           // the payload, with room for a header in front
	prepared *PreparedMessage // or this
	key      any              // of EnqueueLatest, nil for none
	at       time.Time        // when it was queued
}

// size returns the bytes of payload.
func (m *queuedMessage) size() int {
	if m.prepared != nil {
		return len(m.prepared.payload)
	}
	return len(m.frame) - maxHeaderLen
}

// leastCost is the smallest cost of a message: the memory of a queuedMessage, rounded.
const leastCost = 64

// cost returns the number of bytes for which a message of size bytes counts in QueueLimit.
func cost(size int) int { return max(size, leastCost) }

// withRoom returns a copy of payload with room for a header in front.
func withRoom(payload []byte) []byte {
	return append(make([]byte, maxHeaderLen, maxHeaderLen+len(payload)), payload...)
}

// messageQueue holds the messages that wait. Numbers count all messages that were
// ever in it.
type messageQueue struct {
	waiting []queuedMessage
	first   uint64         // the number of waiting[0]
	bytes   int            // of payload in waiting
	cost    int            // of waiting, for QueueLimit
	closes  int            // close frames in waiting: at most one, the last
	latest  map[any]uint64 // key to number of the messages in waiting that have one
}

func (q *messageQueue) len() int    { return len(q.waiting) }
func (q *messageQueue) end() uint64 { return q.first + uint64(len(q.waiting)) }

// since returns when the oldest message was queued, or the zero time.
func (q *messageQueue) since() (t time.Time) {
	if len(q.waiting) > 0 {
		t = q.waiting[0].at
	}
	return t
}

// ready reports whether the first message can be taken. Only control frames may come
// between the frames of an open message (RFC 6455 section 5.4).
func (q *messageQueue) ready(messageOpen bool) bool {
	return len(q.waiting) > 0 && (!messageOpen || q.waiting[0].op.isControl())
}

// dataFirst reports whether a message is the first of those that wait, and no close frame.
func (q *messageQueue) dataFirst() bool {
	return len(q.waiting) > 0 && !q.waiting[0].op.isControl()
}

// take takes the first message out of the queue, if it may be sent now.
func (q *messageQueue) take(messageOpen bool) (m queuedMessage, ok bool) {
	if !q.ready(messageOpen) {
		return m, false
	}
	return q.removeFirst(), true
}

func (q *messageQueue) removeFirst() queuedMessage {
	m := q.waiting[0]
	q.waiting[0] = queuedMessage{} // keep nothing of it
	q.waiting = q.waiting[1:]
	q.first++
	q.bytes -= m.size()
	q.cost -= cost(m.size())
	if m.op.isControl() {
		q.closes--
	}
	if m.key != nil {
		delete(q.latest, m.key)
	}
	return m
}

func (q *messageQueue) add(m queuedMessage) {
	if m.key != nil {
		if q.latest == nil {
			q.latest = make(map[any]uint64)
		}
		q.latest[m.key] = q.end()
	}
	if m.op.isControl() {
		q.closes++
	}
	q.bytes += m.size()
	q.cost += cost(m.size())
	q.waiting = append(q.waiting, m)
}

// replace puts m in the place of the waiting message with the same key, if there
// is one. m gets the age of that message: the peer is as slow as before.
func (q *messageQueue) replace(m queuedMessage) bool {
	number, ok := q.latest[m.key]
	if !ok {
		return false
	}
	old := &q.waiting[number-q.first]
	q.bytes += m.size() - old.size()
	q.cost += cost(m.size()) - cost(old.size())
	m.at = old.at
	*old = m
	return true
}

func (q *messageQueue) reset() { *q = messageQueue{} }

// Enqueue sends a message without waiting for the peer. It sends the bytes that the
// transport takes at once, and queues the rest: in order with all other writes, and
// compressed when it is sent. A call of WriteMessage goes behind the queued messages,
// and waits for them.
//
// It copies data if it has to keep it. It may be called by any number of
// goroutines, also while a message of NextWriter is open: queued messages wait for its
// end. A nil error does not mean that the message was sent. The messages that are still
// queued when the connection ends are reported once to Trace.Dropped.
//
// If more than QueueLimit bytes would wait, Enqueue returns ErrQueueFull and has
// done nothing. One message may pass the limit if no other waits. If the oldest
// message waits for longer than QueueTimeout, the transport is closed, and reads
// and writes return ErrQueueTimeout. After the connection's end the error is that
// of the other writes.
//
// messageType is as in WriteMessage. Control messages do not count for QueueLimit
// and go out before the queued messages, as soon as the frame under way is sent. A
// close message ends the connection: the queued messages are dropped then. Of pings
// and pongs at most 64 may wait.
func (c *Conn) Enqueue(messageType int, data []byte) error {
	op := opcode(messageType)
	switch {
	case op == opClose:
		return c.enqueueClose(data)
	case op.isControl():
		if err := c.checkControl(messageType, data); err != nil {
			return err
		}
		return c.enqueueControl(queuedMessage{op: op, frame: withRoom(data)})
	}
	if _, err := dataOpcode(messageType); err != nil {
		return err
	}
	if done, err := c.enqueueNow(op, data); done {
		return err
	}
	return c.enqueue(queuedMessage{op: op, frame: withRoom(data)})
}

// EnqueuePrepared is Enqueue for a prepared message, which is shared and not
// copied.
func (c *Conn) EnqueuePrepared(pm *PreparedMessage) error {
	switch {
	case pm.frame == nil:
		return errZeroPrepared
	case pm.op == opClose:
		return c.enqueueClose(pm.payload)
	case pm.op.isControl():
		return c.Enqueue(int(pm.op), pm.payload)
	}
	return c.enqueue(queuedMessage{op: pm.op, prepared: pm})
}

// EnqueueLatest is EnqueuePrepared for state that supersedes the state before,
// such as a price. If a message with the same key still waits, pm takes its place
// in the queue, and the limit does not count. It reports whether that was so. The
// key must be comparable, and not nil.
func (c *Conn) EnqueueLatest(key any, pm *PreparedMessage) (replaced bool, err error) {
	switch {
	case pm.frame == nil:
		return false, errZeroPrepared
	case pm.op.isControl():
		return false, errors.New("websocket: EnqueueLatest is for TextMessage and BinaryMessage")
	case key == nil || !reflect.ValueOf(key).Comparable():
		return false, errors.New("websocket: EnqueueLatest: the key is nil or not comparable")
	}
	m := queuedMessage{op: pm.op, prepared: pm, key: key}
	if box := c.lockOutboxIfAny(); box != nil {
		replaced = box.queue.replace(m)
		box.mu.Unlock()
	}
	if replaced {
		return true, nil
	}
	return false, c.enqueue(m)
}

// MakeRoom drops the oldest queued messages, as many as it takes for one of size
// bytes to be queued within QueueLimit, and reports how many these were. Trace.Dropped
// is told of them. It drops none if that would not help: messages that the transport has
// taken a part of stay, and so does a close frame, behind which nothing can be queued.
func (c *Conn) MakeRoom(size int) (dropped int) {
	limit := c.queueLimit()
	return c.dropFirst(func(box *outbox) bool { return box.canMakeRoom(size, limit) && !box.hasRoom(size, limit) })
}

// DropQueued drops all queued messages, and reports how many these were. Trace.Dropped is
// told of them. Messages that the transport has taken a part of stay, and so do control
// frames.
func (c *Conn) DropQueued() (dropped int) {
	return c.dropFirst(func(*outbox) bool { return true })
}

// dropFirst drops the first of the queued messages, and the next ones, while isNeeded.
func (c *Conn) dropFirst(isNeeded func(box *outbox) bool) (dropped int) {
	box := c.lockOutboxIfAny()
	if box == nil {
		return 0
	}
	bytes := 0
	for box.queue.dataFirst() && isNeeded(box) {
		m := box.queue.removeFirst()
		dropped++
		bytes += m.size()
	}
	box.mu.Unlock()
	c.traceDropped(dropped, bytes)
	return dropped
}

// ReportDropped tells Trace.Dropped of messages that the program dropped itself, such as one for
// which Enqueue returned ErrQueueFull, with their number and their bytes of payload. So the Trace
// knows of every message that this connection's peer does not get.
func (c *Conn) ReportDropped(messages, bytes int) { c.traceDropped(messages, bytes) }

// Queued returns how many messages wait for the peer, with how many bytes of
// payload, and for how long the oldest has waited. Messages that the transport has
// taken a part of count whole.
func (c *Conn) Queued() (messages, bytes int, age time.Duration) {
	box := c.lockOutboxIfAny()
	if box == nil {
		return 0, 0, 0
	}
	defer box.mu.Unlock()
	messages = box.queue.len() - box.queue.closes + box.sendingMessages
	since := box.queue.since()
	if box.sendingMessages > 0 {
		since = box.sendingSince
	}
	if !since.IsZero() {
		age = time.Since(since)
	}
	return messages, box.queue.bytes + box.sendingBytes, age
}

func (c *Conn) queueLimit() int {
	return c.settings.Load().queueLimit
}

// hasRoom reports whether a message of size bytes may be queued.
func (box *outbox) hasRoom(size, limit int) bool {
	waiting := box.queue.cost + box.sendingBytes
	return waiting == 0 || limit < 0 || cost(size) <= limit-waiting
}

// canMakeRoom reports whether a message of size bytes might be queued if the messages that
// wait were not there.
func (box *outbox) canMakeRoom(size, limit int) bool {
	sending := box.sendingBytes
	return box.queue.closes == 0 && (sending == 0 || limit < 0 || cost(size) <= limit-sending)
}

// enqueueNow sends an uncompressed message, if nothing has to go before it. It reports
// false if the message has to be queued.
func (c *Conn) enqueueNow(op opcode, data []byte) (done bool, err error) {
	if !c.canAttempt() || len(data) > copyLimit || !c.out.lock.tryLock() {
		return false, nil
	}
	holder := true
	defer c.unlockIf(&holder)
	if c.out.err != nil || c.out.writer != nil || c.deflate.wants(len(data)) {
		return c.out.err != nil, c.out.err
	}
	c.out.writing = true // a Trace function that panics would lose the pending answers
	b := c.newBatch()
	b.useBuffer()
	start := len(b.small)
	b.small = c.appendFrame(b.small, op, data)
	c.traceFrameBytes(b.small[start:])
	holder, err = c.sendNow(b, len(data))
	return true, err
}

func (c *Conn) unlockIf(holder *bool) {
	if *holder {
		c.unlockWrite()
	}
}

// sendNow sends b, in which a message of size bytes is the last one. It reports
// false if the rest went to a goroutine, together with out.lock.
func (c *Conn) sendNow(b batch, size int) (stillHolder bool, err error) {
	rest := b
	done, err := c.attempt(&rest)
	if err != nil {
		err = c.writeFailed(err, true)
	}
	if done || err != nil {
		b.recycle()
		return true, err
	}
	box := c.lockOutbox()
	box.sendingMessages, box.sendingBytes, box.sendingSince = 1, size, time.Now()
	c.startDraining(box, rest)
	return false, nil
}

// enqueue sends m, or queues it.
func (c *Conn) enqueue(m queuedMessage) error {
	if done, err := c.enqueueFrame(m); done {
		return err
	}
	if err := c.put(m); err != nil {
		return err
	}
	c.leave()
	return nil
}

// enqueueFrame is enqueueNow for a message of any size, compressed or not.
func (c *Conn) enqueueFrame(m queuedMessage) (done bool, err error) {
	if !c.out.lock.tryLock() {
		return false, nil
	}
	holder := true
	defer c.unlockIf(&holder)
	if c.out.err != nil || c.out.writer != nil || !c.canAttempt() || m.op.isControl() {
		return c.out.err != nil, c.out.err
	}
	c.out.writing = true // as in enqueueNow
	b := c.newBatch()
	c.addFrame(&b, m)
	holder, err = c.sendNow(b, m.size())
	return true, err
}

// put queues m if there is room for it.
func (c *Conn) put(m queuedMessage) error {
	box := c.lockOutbox()
	defer box.unlock()
	if box.hasClose() || box.queue.closes > 0 {
		return ErrCloseSent
	}
	if !m.op.isControl() && !box.hasRoom(m.size(), c.queueLimit()) {
		return ErrQueueFull
	}
	m.at = time.Now()
	box.queue.add(m)
	box.watch()
	return nil
}

// maxQueuedControls bounds the pings and pongs of a program that sends more of them than
// the peer takes.
const maxQueuedControls = 64

// endOfWriting returns the final error of writing, or nil if there is none. It also returns
// nil if out.lock is held, because it must not wait for the holder.
func (c *Conn) endOfWriting() error {
	if !c.out.lock.tryLock() {
		return nil
	}
	defer c.unlockWrite()
	return c.out.err
}

// enqueueControl is Enqueue for a ping or a pong.
func (c *Conn) enqueueControl(m queuedMessage) error {
	if err := c.endOfWriting(); err != nil {
		return err
	}
	box := c.lockOutbox()
	switch {
	case box.hasClose():
		box.unlock()
		return ErrCloseSent
	case len(box.controls) >= maxQueuedControls:
		box.unlock()
		return ErrQueueFull
	}
	box.controls = append(box.controls, m)
	box.mu.Unlock()
	c.leave()
	return nil
}

// enqueueClose is Enqueue for a close message.
func (c *Conn) enqueueClose(payload []byte) error {
	if err := checkControl(CloseMessage, payload); err != nil {
		return err
	}
	if err := c.endOfWriting(); err != nil {
		return err
	}
	if !c.leaveClose(payload) {
		return ErrCloseSent
	}
	return nil
}

// enqueueCloseLast sends a close frame behind the queued messages.
func (c *Conn) enqueueCloseLast(payload []byte) {
	c.enqueue(queuedMessage{op: opClose, frame: withRoom(payload)})
}

// frameOf returns m's frame, and the buffer in which it lies if that is to go back
// to deflateBuffers. Its caller holds out.lock.
func (c *Conn) frameOf(m queuedMessage) (frame []byte, deflated *[]byte) {
	if m.prepared != nil && !c.client {
		return c.preparedFrame(m.prepared), nil
	}
	payload := m.frame
	if m.prepared != nil {
		payload = withRoom(m.prepared.payload)
	}
	if !m.op.isControl() && c.deflate.wants(len(payload)-maxHeaderLen) {
		if frame, deflated = c.deflatedFrame(m.op, payload[maxHeaderLen:]); frame != nil {
			return frame, deflated
		}
	}
	return c.buildFrame(payload, frameHeader{frameBits: frameBits{fin: true}, opcode: m.op}), nil
}
