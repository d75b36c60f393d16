package websocket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A seeded stress: both ends of a connection do all that they can, in several goroutines each, and
// a model judges the results. A message that was reported as written arrives once, whole, in the
// order of its writer, or the connection has ended with an error that stays. Nothing is left
// behind.
//
//	PLAINSOCKET_STRESS=60s go test -race -run Stress .          for longer than 3 s
//	PLAINSOCKET_STRESS_SEED=123 go test -run Stress .           one round again, with other timing

type stressRand = rand.Rand

// stressWriters is the largest number of goroutines that write at each end. The one that reads may
// answer too.
const (
	stressWriters = 4
	stressAnswers = stressWriters // the number of the reader among an end's writers
)

// A stressWrite is a way to write a message. After a timeout it may be called again, unless it has
// done that itself.
type stressWrite struct {
	name   string
	write  func(c *Conn, p []byte, r *stressRand) error
	queues bool // it may return before anything is sent
}

var stressWrites = []stressWrite{
	{name: "WriteMessage", write: func(c *Conn, p []byte, _ *stressRand) error { return c.WriteMessage(BinaryMessage, p) }},
	{name: "WriteMessageContext", write: func(c *Conn, p []byte, r *stressRand) error {
		return c.WriteMessageContext(context.Background(), BinaryMessage, p)
	}},
	{name: "WritePreparedMessage", write: func(c *Conn, p []byte, _ *stressRand) error {
		pm, err := NewPreparedMessage(BinaryMessage, p)
		if err == nil {
			err = c.WritePreparedMessage(pm)
		}
		return err
	}},
	{name: "NextWriter", write: stressNextWriter},
}

// stressNextWriter writes in pieces, with Flush between some of them, and repeats calls that timed
// out.
func stressNextWriter(c *Conn, p []byte, r *stressRand) error {
	w, err := c.NextWriter(BinaryMessage)
	if err != nil {
		return err
	}
	for len(p) > 0 {
		n := min(len(p), 1+r.IntN(1+len(p)))
		piece := p[:n]
		p = p[n:]
		err := stressRepeat(func() error {
			n, err := w.Write(piece)
			piece = piece[n:]
			return err
		})
		if err == nil && r.IntN(3) == 0 {
			err = stressRepeat(w.(interface{ Flush() error }).Flush)
		}
		if err != nil {
			return stressHalf(err)
		}
	}
	return stressHalf(stressRepeat(w.Close))
}

// stressHalf is an error in the middle of a message, which cannot be written again.
func stressHalf(err error) error {
	if isTimeout(err) {
		return fmt.Errorf("message not finished: %v", err)
	}
	return err
}

// stressRepeat calls f again as long as a deadline ends it.
func stressRepeat(f func() error) (err error) {
	for range 200 {
		if err = f(); !isTimeout(err) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return err
}

// A stressEnd is one end of the connection in a round.
type stressEnd struct {
	round   *stressRound
	name    string
	c       *Conn
	acked   [stressWriters + 1]atomic.Int64 // messages that were reported as written
	got     [stressWriters + 1]atomic.Int64 // messages of the other end that were read
	queued  atomic.Bool                     // some of them by Enqueue
	answers bool
	readErr error
	done    chan struct{} // closed when reading has ended
}

// A stressRound is a connection that is opened, used, and ended.
type stressRound struct {
	seed   uint64
	about  string // describes the kind of connection
	rough  bool   // deadlines, and ends in the middle
	ends   [2]*stressEnd
	stop   chan struct{} // closed when no more is to be written
	failed atomic.Bool
	t      *testing.T
}

func (x *stressRound) errorf(format string, args ...any) {
	x.failed.Store(true)
	x.t.Errorf("PLAINSOCKET_STRESS_SEED=%d (%s): %s", x.seed, x.about, fmt.Sprintf(format, args...))
}

func TestStress(t *testing.T) {
	duration, workers := 3*time.Second, 4
	if s := os.Getenv("PLAINSOCKET_STRESS"); s != "" {
		var err error
		if duration, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	if s := os.Getenv("PLAINSOCKET_STRESS_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		stressPlay(t, seed)
		return
	}
	if testing.Short() {
		duration /= 3
	}
	var seeds atomic.Uint64
	seeds.Store(rand.Uint64() >> 16)
	begun, before := time.Now(), runtime.NumGoroutine()
	var rounds atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for time.Since(begun) < duration && !t.Failed() {
				stressPlay(t, seeds.Add(1))
				rounds.Add(1)
			}
		})
	}
	wg.Wait()
	t.Logf("%d rounds", rounds.Load())
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !t.Failed() {
		t.Errorf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), stressStacks())
	}
}

func stressStacks() []byte {
	b := make([]byte, 1<<20)
	return b[:runtime.Stack(b, true)]
}

// stressPlay plays one round.
func stressPlay(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	x := &stressRound{seed: seed, t: t, stop: make(chan struct{}), rough: r.IntN(2) == 0}
	o := rawOptions{transport: []string{"tcp", "tls", "pipe"}[r.IntN(3)], coalesce: r.IntN(2) == 0, closeTimeout: time.Minute, ping: -1}
	if x.rough {
		o.closeTimeout = 2 * time.Second // one end may be deaf
	}
	compression := "no compression"
	switch r.IntN(3) {
	case 0:
		o.compress, compression = &Compression{}, "takeover"
	case 1:
		o.compress, compression = &Compression{NoContextTakeover: true}, "compression"
	}
	if r.IntN(3) == 0 {
		o.ping, o.pong = 40*time.Millisecond, 30*time.Second
	}
	x.about = fmt.Sprintf("%s, %s, coalesce %v, ping %v, rough %v", o.transport, compression, o.coalesce, o.ping, x.rough)
	server, client, end, err := rawPair(o, nil, nil)
	if err != nil {
		x.errorf("opening handshake: %v", err)
		return
	}
	for i, c := range []*Conn{server, client} {
		x.ends[i] = &stressEnd{round: x, name: []string{"server", "client"}[i], c: c, answers: i == 0, done: make(chan struct{})}
	}
	begun := time.Now()
	x.play(r, end)
	if took := time.Since(begun); took > 3*time.Second {
		t.Logf("PLAINSOCKET_STRESS_SEED=%d (%s) took %v", x.seed, x.about, took)
	}
}

// child returns a source of random numbers for a goroutine.
func (x *stressRound) child(r *stressRand) *stressRand {
	return rand.New(rand.NewPCG(x.seed, r.Uint64()))
}

func (x *stressRound) play(r *stressRand, end func()) {
	var writers, others sync.WaitGroup
	for i, e := range x.ends {
		peer, child := x.ends[1-i], x.child(r)
		others.Go(func() { e.read(peer, child) })
		for w := range 1 + r.IntN(stressWriters) {
			child := x.child(r)
			writers.Go(func() { e.writeMany(w, child) })
		}
		if child := x.child(r); r.IntN(2) == 0 {
			others.Go(func() { e.disturb(child) })
		}
	}
	finished := make(chan struct{})
	go func() { writers.Wait(); close(finished) }()
	if x.rough && r.IntN(2) == 0 {
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
		x.endSuddenly(r)
	} else {
		x.endWell(r, finished)
	}
	if x.rough {
		time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
		end()
	}
	all := make(chan struct{})
	go func() {
		writers.Wait()
		for _, e := range x.ends {
			<-e.done
		}
		end()
		others.Wait()
		close(all)
	}()
	if _, ok := within(all, time.Minute); !ok {
		x.errorf("the round does not end\n%s", stressStacks())
		end()
		return
	}
	x.judge()
}

// endSuddenly ends the connection while everything goes on.
func (x *stressRound) endSuddenly(r *stressRand) {
	e := x.ends[r.IntN(2)]
	if r.IntN(2) == 0 {
		e.c.Close()
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(100))*time.Millisecond)
		defer cancel()
		e.c.Shutdown(ctx, CloseGoingAway, "")
	}
	close(x.stop)
}

// endWell waits until everything has arrived, and does the closing handshake.
func (x *stressRound) endWell(r *stressRand, finished <-chan struct{}) {
	wait := time.Duration(20+r.IntN(80)) * time.Millisecond
	time.AfterFunc(wait, func() { close(x.stop) })
	if _, ok := within(finished, time.Minute); !ok {
		x.errorf("writers do not end\n%s", stressStacks())
		return
	}
	deadline := time.Now().Add(20 * time.Second)
	for i, e := range x.ends {
		peer := x.ends[1-i]
		for !e.hasAllOf(peer) && !e.over() && !peer.over() && !peer.droppedSome() {
			if time.Now().After(deadline) {
				x.errorf("the %s has not read all that was written\n%s", e.name, stressStacks())
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	err := x.ends[r.IntN(2)].c.Shutdown(context.Background(), CloseNormalClosure, "")
	if err != nil && !x.rough {
		x.errorf("Shutdown: %v", err)
	}
}

func (e *stressEnd) hasAllOf(peer *stressEnd) bool {
	for w := range e.got {
		if e.got[w].Load() < peer.acked[w].Load() {
			return false
		}
	}
	return true
}

// droppedSome reports whether the end queued messages, and a deadline has ended its writing half
// with some of them left.
func (e *stressEnd) droppedSome() bool {
	if !e.round.rough || !e.queued.Load() {
		return false
	}
	ping := func() error { return e.c.WriteControl(PingMessage, nil, time.Now().Add(time.Minute)) }
	first := ping()
	return first != nil && first == ping()
}

func (e *stressEnd) over() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// judge compares the written messages with the messages that were read.
func (x *stressRound) judge() {
	for i, e := range x.ends {
		peer := x.ends[1-i]
		for w := range e.got {
			got, acked := e.got[w].Load(), peer.acked[w].Load()
			if got > acked+1 || got != acked && !x.rough {
				x.errorf("the %s read %d messages of writer %d, which has written %d", e.name, got, w, acked)
			}
		}
		if _, wrong := errors.AsType[*ProtocolError](e.readErr); wrong || e.readErr == nil {
			x.errorf("the %s's reading ended with %v", e.name, e.readErr)
		}
		if e.round.failed.Load() {
			continue
		}
		_, closed := errors.AsType[*CloseError](e.readErr)
		if !x.rough && !closed && !errors.Is(e.readErr, net.ErrClosed) && e.readErr != ErrPongTimeout {
			x.errorf("the %s's reading ended with %v, which is of no type that is documented", e.name, e.readErr)
		}
		if _, _, err := e.c.ReadMessage(); err != e.readErr {
			x.errorf("the %s's reading ended with %v, and then %v", e.name, e.readErr, err)
		}
		e.c.Close() // a Server's end of it may not be over yet
		first, second := e.c.WriteMessage(TextMessage, nil), e.c.WriteMessage(TextMessage, nil)
		if first == nil || first != second {
			x.errorf("the %s's writes at the end: %v, and then %v", e.name, first, second)
		}
	}
}

// stressMessage makes a writer's message of a number: of any size, and easy to check.
func stressMessage(w int, seq int64) []byte {
	r := rand.New(rand.NewPCG(uint64(w), uint64(seq)))
	size := r.IntN(300)
	switch r.IntN(20) {
	case 0:
		size = r.IntN(70_000)
	case 1:
		size = 16_000 + r.IntN(1000)
	}
	if r.IntN(200) == 0 {
		size = 300_000
	}
	p := make([]byte, 9+size)
	p[0] = byte(w)
	binary.BigEndian.PutUint64(p[1:], uint64(seq))
	for i := range p[9:] { // some of it can be compressed
		p[9+i] = byte(i/7) ^ byte(seq)
	}
	return p
}

// writeMany writes numbered messages. One that a deadline ended is written again.
func (e *stressEnd) writeMany(w int, r *stressRand) {
	for !e.stopped() {
		p := stressMessage(w, e.acked[w].Load())
		how := stressWrites[r.IntN(len(stressWrites))]
		if how.queues {
			e.queued.Store(true)
		}
		switch err := how.write(e.c, p, r); {
		case err == nil:
			e.acked[w].Add(1)
		case isTimeout(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errStressFull):
			time.Sleep(time.Millisecond)
		default:
			if !e.round.rough {
				e.round.errorf("%s of the %s: %v", how.name, e.name, err)
			}
			return
		}
		e.pause(r)
	}
}

// errStressFull is the result of a write that has sent nothing because a queue is full.
var errStressFull = errors.New("queue full")

func (e *stressEnd) stopped() bool {
	select {
	case <-e.round.stop:
		return true
	default:
		return false
	}
}

// pause lets others run, sometimes for long.
func (e *stressEnd) pause(r *stressRand) {
	switch r.IntN(40) {
	case 0:
		time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
	case 1, 2, 3:
		runtime.Gosched()
	}
}

// disturb makes calls that send no message: pings, Flush, and, in a rough round, deadlines.
func (e *stressEnd) disturb(r *stressRand) {
	for !e.stopped() && !e.over() {
		switch n := r.IntN(8); {
		case n == 0:
			e.c.Flush()
		case n <= 2:
			e.c.WriteControl(PingMessage, []byte("ping"), time.Now().Add(time.Minute))
		case n == 3 && e.round.rough && !isTLS(e.c.NetConn()):
			e.c.WriteControl(PingMessage, nil, time.Now().Add(time.Duration(r.IntN(1000))*time.Microsecond))
		case n <= 5 && e.round.rough:
			e.c.SetWriteDeadline(time.Now().Add(time.Duration(r.IntN(10)) * time.Millisecond))
		case n == 6 && e.round.rough:
			e.c.SetWriteDeadline(time.Time{})
		}
		time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
	}
	e.c.SetWriteDeadline(time.Time{})
}

// read reads in all styles until the connection has ended.
func (e *stressEnd) read(peer *stressEnd, r *stressRand) {
	defer close(e.done)
	for {
		err := e.readSome(peer, r)
		if isTimeout(err) || errors.Is(err, context.DeadlineExceeded) {
			e.c.SetReadDeadline(time.Time{})
			continue
		}
		if err != nil {
			e.readErr = err
			return
		}
		e.pause(r)
	}
}

func (e *stressEnd) readSome(peer *stressEnd, r *stressRand) error {
	soon := time.Now().Add(time.Duration(r.IntN(3000)) * time.Microsecond)
	var p []byte
	var err error
	switch r.IntN(8) {
	case 0, 1:
		_, p, err = e.c.ReadMessage()
	case 2:
		e.c.SetReadDeadline(soon)
		_, p, err = e.c.ReadMessage()
		e.c.SetReadDeadline(time.Time{})
	case 3:
		ctx, cancel := context.WithDeadline(context.Background(), soon)
		defer cancel()
		_, p, err = e.c.ReadMessageContext(ctx)
	case 4:
		_, p, err = e.c.AppendMessage(make([]byte, 0, 100))
	case 5, 6:
		p, err = e.readPieces(r)
	default:
		e.c.SetReadDeadline(soon)
		return e.c.HandleMessages(func(_ *Conn, _ int, data []byte) { e.take(data, r) })
	}
	if err == nil {
		e.take(p, r)
	}
	return err
}

// readPieces reads a message by NextReader, on after a deadline that passes.
func (e *stressEnd) readPieces(r *stressRand) (p []byte, err error) {
	_, rd, err := e.c.NextReader()
	if err != nil {
		return nil, err
	}
	if r.IntN(3) == 0 {
		e.c.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(1000)) * time.Microsecond))
	}
	buf := make([]byte, 1+r.IntN(5000))
	for {
		n, err := rd.Read(buf)
		p = append(p, buf[:n]...)
		switch {
		case err == io.EOF:
			e.c.SetReadDeadline(time.Time{})
			return p, nil
		case isTimeout(err):
			e.c.SetReadDeadline(time.Time{})
		case err != nil:
			return nil, err
		}
	}
}

// take checks a message that was read, and answers it sometimes.
func (e *stressEnd) take(p []byte, r *stressRand) {
	if len(p) < 9 || int(p[0]) > stressAnswers {
		e.round.errorf("the %s read a message of %d bytes that was never written", e.name, len(p))
		return
	}
	w := int(p[0])
	seq := e.got[w].Load()
	defer e.got[w].Add(1) // after the answer: the end waits for it
	if got := int64(binary.BigEndian.Uint64(p[1:])); got != seq {
		e.round.errorf("the %s read message %d of writer %d, want %d", e.name, got, w, seq)
	} else if want := stressMessage(w, seq); !bytes.Equal(p, want) {
		e.round.errorf("the %s read message %d of writer %d, but %d bytes that differ from its %d", e.name, seq, w, len(p), len(want))
	}
	if e.answers && r.IntN(3) == 0 { // not the other end too: both could wait for each other
		if e.c.WriteMessage(BinaryMessage, stressMessage(stressAnswers, e.acked[stressAnswers].Load())) == nil {
			e.acked[stressAnswers].Add(1)
		}
	}
}
