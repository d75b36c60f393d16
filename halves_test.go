package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The matrix of halves. The two halves of a connection never wait for each other. Here one of them
// is blocked, in each way there is, while the other one does everything that it can do. A row is a
// way to be blocked and an event that happens meanwhile. It says what must happen at once, and
// which frames the peer has to see when it reads at last.

// atOnce bounds actions that must not wait for the peer. The faults that the matrix looks for take
// 5 s, or never end.
func atOnce() time.Duration {
	if raceEnabled() {
		return 4 * time.Second
	}
	return 3 * time.Second
}

const (
	halfAtLast  = 10 * time.Second // bounds actions that are not about time
	halfGoodbye = time.Second      // the time that crypto/tls takes to close, if the peer does not read
)

// halfSettle is enough time for actions that do not wait to be over.
var halfSettle = func() time.Duration {
	if raceEnabled() {
		return 200 * time.Millisecond
	}
	return 50 * time.Millisecond
}()

// A halfKind is a kind of connection: a column of the matrix.
type halfKind struct {
	transport string
	client    bool
	style     string
}

func (k halfKind) String() string {
	role := "server"
	if k.client {
		role = "client"
	}
	return k.transport + "/" + role + "/" + k.style
}

// halfStyles are the ways to read.
var halfStyles = []string{"ReadMessage", "ReadMessageContext", "NextReader", "HandleMessages", "OnMessage", "CoalesceWrites"}

// halfKinds are all columns. OnMessage is a Server's.
func halfKinds() (kinds []halfKind) {
	for _, transport := range []string{"pipe", "tcp", "tls"} {
		for _, client := range []bool{false, true} {
			for _, style := range halfStyles {
				if style != "OnMessage" || !client {
					kinds = append(kinds, halfKind{transport, client, style})
				}
			}
		}
	}
	return kinds
}

// A halfCase is one cell of the matrix: a connection, and a goroutine that reads it.
type halfCase struct {
	*rawConn
	kind halfKind
	errs []string

	got    chan string // messages that were read
	ends   chan error  // the errors that ended reading (after a timeout it goes on with the next context)
	resume chan struct{}
	cancel context.CancelFunc // of the first read, for ReadMessageContext

	stuck  chan error     // the result of the blocked action, or nil if none is
	open   io.WriteCloser // the message that is not closed
	first  []string       // the frames that the peer reads first
	may    []string       // frames that may come behind those, or their beginnings
	filled int            // messages that fill has sent
	retry  bool           // the state could not be reached
	later  chan error     // the result of a write after the end
}

func (h *halfCase) errorf(format string, args ...any) {
	h.errs = append(h.errs, fmt.Sprintf(format, args...))
}

// read reads until something ends it.
func (h *halfCase) read(ctx context.Context) error {
	for {
		var p []byte
		var err error
		switch h.kind.style {
		case "HandleMessages":
			return h.c.HandleMessages(func(_ *Conn, _ int, data []byte) { h.got <- string(data) })
		case "ReadMessageContext":
			_, p, err = h.c.ReadMessageContext(ctx)
		case "NextReader":
			var r io.Reader
			if _, r, err = h.c.NextReader(); err == nil {
				p, err = io.ReadAll(r)
			}
		default:
			_, p, err = h.c.ReadMessage()
		}
		if err != nil {
			return err
		}
		h.got <- string(p)
	}
}

// readOn reads until the connection has ended, and sends the error each time that reading stops.
func (h *halfCase) readOn(contexts ...context.Context) {
	defer close(h.ends)
	for _, ctx := range contexts {
		err := h.read(ctx)
		h.ends <- err
		if !isTimeout(err) && !errors.Is(err, context.Canceled) {
			return
		}
		if _, more := <-h.resume; !more {
			return
		}
	}
}

// wantGot requires that these messages are read at once.
func (h *halfCase) wantGot(want ...string) {
	for _, text := range want {
		if got, ok := within(h.got, atOnce()); !ok || got != text {
			h.errorf("message %q was not read within %v (but %q)", text, atOnce(), got)
			return
		}
	}
}

// wantEnd requires that reading ends at once, with an error that is as described.
func (h *halfCase) wantEnd(what string, is func(error) bool) {
	if h.kind.style == "OnMessage" {
		return // the library reads
	}
	if err, ok := within(h.ends, atOnce()); !ok {
		h.errorf("reading did not end within %v, want %s", atOnce(), what)
	} else if !is(err) {
		h.errorf("reading ended with %v, want %s", err, what)
	}
}

// wantWire requires that the peer now reads one of these sequences of frames.
func (h *halfCase) wantWire(ways ...[]string) {
	var got []string
	matches := func(way []string) bool { return len(got) <= len(way) && slices.Equal(got, way[:len(got)]) }
	for {
		if slices.ContainsFunc(ways, func(way []string) bool { return slices.Equal(got, way) }) {
			return
		}
		got = append(got, h.peer.next(halfAtLast))
		if !slices.ContainsFunc(ways, matches) {
			h.errorf("the peer read %s, want %s", halfShort(got), halfShort(ways[0]))
			return
		}
	}
}

// halfShort abbreviates a list that may be long.
func halfShort(list []string) string {
	if n := len(list) - 5; n > 0 {
		return fmt.Sprintf("%d times %q … %q", n, list[0], list[n:])
	}
	return fmt.Sprintf("%q", list)
}

// wantPongs is wantWire for pongs. The latest ping's pong is needed (RFC 6455 section 5.5.3). While
// the peer read nothing, only a few others can have been sent.
func (h *halfCase) wantPongs(first []string, latest string, most int) {
	h.wantWire(first)
	for n := 0; ; n++ {
		got := h.peer.next(halfAtLast)
		if got == latest {
			return
		}
		if !strings.HasPrefix(got, "pong") || n >= most {
			h.errorf("the peer read %q after %d pongs, want %q", got, n, latest)
			return
		}
	}
}

// writeLater begins a write that comes after everything else.
func (h *halfCase) writeLater() {
	h.later = make(chan error, 1)
	go func() { h.later <- h.c.WriteMessage(TextMessage, []byte("later")) }()
	time.Sleep(halfSettle / 10)
}

// wantLater requires that a write after a close frame was refused.
func (h *halfCase) wantLater() {
	err, ok := within(h.later, halfAtLast)
	switch {
	case !ok:
		h.errorf("a later write hangs")
	// the Server has closed since
	case h.kind.style == "OnMessage" && errors.Is(err, net.ErrClosed):
	case err != ErrCloseSent:
		h.errorf("a later write: %v, want ErrCloseSent", err)
	}
}

// finishMessage ends the message that is open.
func (h *halfCase) finishMessage() error {
	if _, err := io.WriteString(h.open, "second"); err != nil {
		return err
	}
	return h.open.Close()
}

// wantStuck requires an end of the blocked write. A nil is means that it was successful.
func (h *halfCase) wantStuck(what string, is func(error) bool) {
	if h.stuck == nil {
		return
	}
	err, ok := within(h.stuck, halfAtLast)
	if is == nil {
		what, is = "success", func(err error) bool { return err == nil }
	}
	if !ok {
		h.errorf("the blocked write did not end, want %s", what)
	} else if !is(err) {
		h.errorf("the blocked write: %v, want %s", err, what)
	}
}

// A halfState is a way in which the writing half is blocked, or just not free.
type halfState struct {
	name  string
	only  func(k halfKind) bool // nil for all
	begin func(h *halfCase)
}

var halfStates = []halfState{
	{"peer does not read", nil, func(h *halfCase) {
		h.block(rawStuckMessage)
	}},
	{"frame half sent", func(k halfKind) bool { return k.transport == "pipe" }, func(h *halfCase) {
		h.block(rawStuckMessage[:70_000])
		h.peer.r.Peek(1)
	}},
	{"kernel buffer full", func(k halfKind) bool { return k.transport == "tcp" }, (*halfCase).fill},
	{"NextWriter open", nil, func(h *halfCase) {
		w, err := h.c.NextWriter(TextMessage)
		if err != nil {
			h.errorf("NextWriter: %v", err)
			return
		}
		h.open = w
		io.WriteString(w, "first ")
		flushed := make(chan error, 1)
		go func() { flushed <- w.(interface{ Flush() error }).Flush() }()
		h.peer.r.Peek(1) // a pipe holds nothing
		if err, ok := within(flushed, halfAtLast); err != nil || !ok {
			h.errorf("Flush: %v", err)
		}
	}},
}

// block begins a write that cannot end while the peer does not read.
func (h *halfCase) block(data []byte) {
	h.stuck = make(chan error, 1)
	go func() { h.stuck <- h.c.WriteMessage(BinaryMessage, data) }()
	if h.kind.transport != "pipe" {
		h.peer.nc.SetReadDeadline(time.Now().Add(halfAtLast))
		h.peer.r.Peek(1) // it has begun
	}
	time.Sleep(halfSettle)
	h.first = []string{rawMessage(opBinary, nil, int64(len(data)))}
}

// fill fills the kernel's buffers with whole frames, so that no write is under way, and none can go
// on. They take the same number of bytes each time. The first frame is as long as it has to be for
// the last one to be whole.
func (h *halfCase) fill() {
	rest := halfRests[h.kind.client]()
	n := h.flood(rest)
	if h.retry = n%halfFiller != rest; h.retry {
		return
	}
	for range h.filled {
		h.wantGot("filled?")
	}
	h.first = []string{rawMessage(opBinary, nil, int64(rest+halfFiller-h.overhead()))}
	for range n/halfFiller - 1 {
		h.first = append(h.first, rawMessage(opBinary, nil, int64(halfFiller-h.overhead())))
	}
}

// halfFiller is the size of fill's frames on the wire.
const halfFiller = 1000

// halfRests measure how many bytes more than a number of such frames the kernel's buffers take.
var halfRests = map[bool]func() int{
	false: sync.OnceValue(func() int { return halfRest(false) }),
	true:  sync.OnceValue(func() int { return halfRest(true) }),
}

func halfRest(client bool) int {
	rc, err := rawOpen(rawOptions{transport: "tcp", client: client})
	if err != nil {
		return 0
	}
	defer rc.close()
	h := &halfCase{rawConn: rc, kind: halfKind{client: client}}
	return h.flood(0) % halfFiller
}

// overhead is the length of the header of fill's frames.
func (h *halfCase) overhead() int {
	if h.kind.client {
		return 8
	}
	return 4
}

// flood writes frames to the transport while it takes any, the first one longer than the others,
// and returns how many bytes it took.
func (h *halfCase) flood(longer int) (n int) {
	key := uint32(0)
	if h.kind.client {
		key = testKey
	}
	piece := func(size int) []byte { return frame(opBinary, true, strings.Repeat("x", size-h.overhead()), key) }
	b := append(piece(halfFiller+longer), bytes.Repeat(piece(halfFiller), rawStuck/halfFiller)...)
	for late := 0; late < 3; late++ {
		h.c.NetConn().SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		took, _ := h.c.NetConn().Write(b[n:])
		if n += took; took > 0 {
			late = 0
		}
		h.peer.sendText("filled?") // the request brings news of the peer's window
		h.filled++
	}
	h.c.NetConn().SetWriteDeadline(time.Time{})
	return n
}

// wantLast requires that the peer reads the message under way, and then this close frame. While a
// message is open, the close frame may also come between its frames, and then the message is never
// finished (section 5.5.1).
func (h *halfCase) wantLast(frame string) {
	if h.open == nil {
		var ways [][]string
		for n := range len(h.may) + 1 {
			ways = append(ways, append(slices.Concat(h.first, h.may[:n]), frame))
		}
		h.wantWire(ways...)
		return
	}
	result := make(chan error, 1)
	go func() { result <- h.finishMessage() }()
	whole := h.peer.next(halfAtLast)
	if whole != frame {
		h.wantWire([]string{frame})
	}
	err, _ := within(result, halfAtLast)
	switch {
	case whole == frame && err == ErrCloseSent:
	case whole == "text first second" && err == nil:
	default:
		h.errorf("the peer read %q, the end of the open message: %v", whole, err)
	}
}

// A halfEvent happens while the writing half is blocked.
type halfEvent struct {
	name    string
	only    func(k halfKind) bool // nil for all
	options func(*rawOptions)
	run     func(h *halfCase)
}

// halfPulls is for the styles in which the program reads, and so gets the timeouts.
func halfPulls(k halfKind) bool { return k.style != "OnMessage" }

func halfContext(k halfKind) bool { return k.style == "ReadMessageContext" }

func halfServes(k halfKind) bool { return !k.client }

func halfKeepalive(o *rawOptions) { o.ping, o.pong = 4*halfSettle, 4*halfSettle }

var halfEvents = []halfEvent{
	{name: "message", run: func(h *halfCase) {
		h.peer.sendText("a")
		h.wantGot("a")
		h.goesOn()
	}},
	{name: "two messages at once, then one", run: func(h *halfCase) {
		h.peer.sendText("a", "b")
		h.wantGot("a", "b")
		h.peer.sendText("c")
		h.wantGot("c")
		h.goesOn()
	}},
	{name: "ping, then message", run: func(h *halfCase) {
		h.peer.send(h.peer.frame(opPing, true, "p"))
		h.peer.sendText("a")
		h.wantGot("a")
		h.goesOn("pong p")
	}},
	{name: "ping and message at once, then message", run: func(h *halfCase) {
		h.peer.send(h.peer.frame(opPing, true, "p"), h.peer.frame(opText, true, "a"))
		h.wantGot("a")
		h.peer.sendText("b")
		h.wantGot("b")
		h.goesOn("pong p")
	}},
	{name: "100 pings, then message", run: func(h *halfCase) {
		for i := range 100 {
			h.peer.send(h.peer.frame(opPing, true, fmt.Sprint(i)))
		}
		h.peer.sendText("a")
		if h.open != nil {
			h.wantPongs(nil, "pong 99", 100)
			h.wantGot("a")
			h.goesOn()
			return
		}
		h.wantGot("a")
		most := 3
		if len(h.first) > 1 { // the kernel's buffer may have room for small frames after all
			most = 100
		}
		h.wantPongs(h.first, "pong 99", most)
		h.first = nil
		h.goesOn()
	}},
	{name: "close", run: func(h *halfCase) {
		h.peer.sendClose(4000)
		h.wantEnd("a CloseError with 4000", func(err error) bool { return IsCloseError(err, 4000) })
		h.letRead()
		h.isOver("close 4000")
	}},
	{name: "violation", run: func(h *halfCase) {
		h.peer.send(h.peer.frame(3, true, "no such opcode"))
		h.wantEnd("a ProtocolError", func(err error) bool {
			e, ok := errors.AsType[*ProtocolError](err)
			return ok && e.Code == CloseProtocolError
		})
		h.letRead()
		h.isOver("close 1002")
	}},
	{name: "read deadline", only: halfPulls, run: func(h *halfCase) {
		h.peer.sendText("a", "b")
		h.wantGot("a", "b")
		h.c.SetReadDeadline(time.Now().Add(halfSettle))
		h.timesOut("os.ErrDeadlineExceeded", isTimeout)
		h.goesOn()
	}},
	{name: "read deadline behind a ping", only: halfPulls, run: func(h *halfCase) {
		h.c.SetReadDeadline(time.Now().Add(2 * halfSettle))
		h.peer.send(h.peer.frame(opPing, true, "p"))
		h.timesOut("os.ErrDeadlineExceeded", isTimeout)
		h.goesOn("pong p")
	}},
	{name: "context", only: halfContext, run: func(h *halfCase) {
		h.peer.sendText("a", "b")
		h.wantGot("a", "b")
		h.cancel()
		h.timesOut("context.Canceled", func(err error) bool { return errors.Is(err, context.Canceled) })
		h.goesOn()
	}},
	{name: "context behind a ping", only: halfContext, run: func(h *halfCase) {
		h.peer.send(h.peer.frame(opPing, true, "p"))
		time.Sleep(halfSettle)
		h.cancel()
		h.timesOut("context.Canceled", func(err error) bool { return errors.Is(err, context.Canceled) })
		h.goesOn("pong p")
	}},
	{name: "keepalive, silent peer", options: halfKeepalive, run: func(h *halfCase) {
		gaveUp := func(err error) bool { return errors.Is(err, ErrPongTimeout) }
		h.wantEnd("ErrPongTimeout", gaveUp)
		h.wantStuck("ErrPongTimeout", gaveUp)
	}},
	{name: "keepalive, silent peer after two messages at once", options: halfKeepalive, run: func(h *halfCase) {
		gaveUp := func(err error) bool { return errors.Is(err, ErrPongTimeout) }
		h.peer.sendText("a", "b")
		h.wantGot("a", "b")
		h.wantEnd("ErrPongTimeout", gaveUp)
		h.wantStuck("ErrPongTimeout", gaveUp)
	}},
	{name: "keepalive, peer that talks", options: halfKeepalive, run: func(h *halfCase) {
		for i := 0; i < 20 && len(h.errs) == 0; i++ {
			h.peer.sendText("a", "b")
			h.wantGot("a", "b")
			time.Sleep(halfSettle / 2)
		}
	}},
	{name: "Shutdown, its context ends", run: func(h *halfCase) {
		ctx, cancel := context.WithTimeout(context.Background(), 3*halfSettle)
		defer cancel()
		h.endsSoon("Shutdown", func() error { return h.c.Shutdown(ctx, CloseNormalClosure, "") }, func(err error) bool { return err != nil })
		h.wantStuck("an error", func(err error) bool { return err != nil })
	}},
	{name: "Shutdown, the peer reads at last", run: func(h *halfCase) {
		result := make(chan error, 1)
		go func() { result <- h.c.Shutdown(context.Background(), CloseNormalClosure, "") }()
		time.Sleep(halfSettle)
		h.answersClose("Shutdown", "close 1000", result)
	}},
	{name: "Server.Shutdown, its context ends", only: halfServes, run: func(h *halfCase) {
		ctx, cancel := context.WithTimeout(context.Background(), 3*halfSettle)
		defer cancel()
		h.endsSoon("Server.Shutdown", func() error { return h.server.Shutdown(ctx) },
			func(err error) bool { return errors.Is(err, context.DeadlineExceeded) })
		h.wantStuck("an error", func(err error) bool { return err != nil })
	}},
	{name: "Server.Shutdown, the peer reads at last", only: halfServes, run: func(h *halfCase) {
		result := make(chan error, 1)
		go func() { result <- h.server.Shutdown(context.Background()) }()
		time.Sleep(halfSettle)
		h.answersClose("Server.Shutdown", "close 1001", result)
	}},
	{name: "Close", run: func(h *halfCase) {
		closed := func(err error) bool { return errors.Is(err, net.ErrClosed) }
		h.endsSoon("Close", h.c.Close, func(error) bool { return true })
		h.wantStuck("net.ErrClosed", closed)
		h.wantEnd("net.ErrClosed", closed)
	}},
}

// goesOn requires that the connection goes on as if nothing had happened. The peer reads at last:
// the message under way, these control frames, and a message that is written now.
func (h *halfCase) goesOn(control ...string) {
	if h.open == nil {
		h.wantWire(append(slices.Clone(h.first), control...))
		h.wantStuck("", nil)
	} else {
		h.wantWire(control) // they do not wait for the message's end
		h.write("the rest of the open message", h.finishMessage, "text first second")
	}
	h.write("a further write", func() error { return h.c.WriteMessage(TextMessage, []byte("further")) }, "text further")
	h.peer.sendText("z")
	h.wantGot("z")
}

// write writes, and wants success, and wants the peer to get the message.
func (h *halfCase) write(what string, f func() error, wire ...string) {
	result := make(chan error, 1)
	go func() { result <- f() }()
	h.wantWire(wire)
	if err, ok := within(result, atOnce()); err != nil || !ok {
		h.errorf("%s: %v (returned %v)", what, err, ok)
	}
}

// letRead waits until the frame was read that ends reading. With OnMessage, no result shows that.
func (h *halfCase) letRead() {
	if h.kind.style == "OnMessage" {
		select {
		case <-h.c.Context().Done():
		case <-time.After(atOnce()):
			h.errorf("reading did not end within %v", atOnce())
		}
	}
}

// isOver requires that the connection ends with this close frame of ours.
func (h *halfCase) isOver(frame string) {
	if h.open == nil {
		h.writeLater()
	}
	h.wantLast(frame)
	h.wantStuck("", nil)
	if h.open != nil {
		h.writeLater()
	}
	h.wantLater()
}

// timesOut requires that reading ends at once, and that the next read loses nothing.
func (h *halfCase) timesOut(what string, is func(error) bool) {
	h.wantEnd(what, is)
	h.c.SetReadDeadline(time.Time{})
	select {
	case h.resume <- struct{}{}:
	case <-time.After(atOnce()):
	}
	h.peer.sendText("c")
	h.wantGot("c")
}

// endsSoon calls a function that has to return soon.
func (h *halfCase) endsSoon(what string, f func() error, is func(error) bool) {
	result := make(chan error, 1)
	go func() { result <- f() }()
	if err, ok := within(result, atOnce()+halfGoodbye); !ok {
		h.errorf("%s does not return", what)
	} else if !is(err) {
		h.errorf("%s: %v", what, err)
	}
}

// answersClose is a peer that reads up to our close frame and answers it. Shutdown is successful
// then.
func (h *halfCase) answersClose(what, frame string, result <-chan error) {
	h.wantLast(frame)
	h.wantStuck("", nil)
	h.acceptsClose(what, result)
}

// acceptsClose is a peer that answers our close frame.
func (h *halfCase) acceptsClose(what string, result <-chan error) {
	h.peer.sendClose(CloseNormalClosure)
	if h.kind.client {
		h.peer.finish() // the server closes first (section 7.1.1)
	}
	if h.kind.style != "OnMessage" {
		within(h.ends, atOnce())
	}
	h.release()
	if err, ok := within(result, halfAtLast); err != nil || !ok {
		h.errorf("%s: %v (returned %v), want success", what, err, ok)
	}
}

// newHalfCase opens a connection and begins to read it.
func newHalfCase(kind halfKind, options func(*rawOptions)) (*halfCase, error) {
	h := &halfCase{kind: kind, got: make(chan string, 1000), ends: make(chan error, 10), resume: make(chan struct{})}
	o := rawOptions{transport: kind.transport, client: kind.client, coalesce: kind.style == "CoalesceWrites"}
	if kind.style == "OnMessage" {
		o.onMessage = func(_ *Conn, _ int, data []byte) { h.got <- string(data) }
	}
	if options != nil {
		options(&o)
	}
	rc, err := rawOpen(o)
	if err != nil {
		return nil, err
	}
	h.rawConn = rc
	if kind.style == "OnMessage" {
		close(h.ends)
		return h, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go h.readOn(ctx, context.Background())
	return h, nil
}

// end ends a case, and returns the faults that it leaves behind.
func (h *halfCase) end() {
	if err := h.close(); err != nil {
		h.errorf("%v", err)
		return
	}
	close(h.resume)
	deadline := time.After(halfAtLast)
	for {
		select {
		case _, more := <-h.ends:
			if !more {
				return
			}
		case <-deadline:
			h.errorf("a goroutine still reads after the end")
			return
		}
	}
}

// A halfRow is a state and an event or, in the other tables, the conditions of a cell.
type halfRow struct {
	name    string
	only    func(k halfKind) bool
	options func(*rawOptions)
	run     func(h *halfCase)
}

func (row halfRow) appliesTo(k halfKind) bool { return row.only == nil || row.only(k) }

// try runs one cell, and returns its faults.
func (row halfRow) try(kind halfKind) []string {
	for range 5 {
		h, err := newHalfCase(kind, row.options)
		if err != nil {
			return []string{err.Error()}
		}
		row.run(h)
		h.end()
		if !h.retry {
			return h.errs
		}
	}
	return nil // TestHalvesStates reports it
}

// halfTurns bounds the cells over sockets that run at the same time, in all columns of all tables.
var halfTurns = func() chan bool {
	if raceEnabled() {
		return make(chan bool, 12)
	}
	return make(chan bool, 32)
}()

// runHalves runs all cells of a table: those over sockets at the same time.
func runHalves(t *testing.T, kinds []halfKind, rows []halfRow) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			if kind.transport == "pipe" {
				for _, row := range rows {
					if row.appliesTo(kind) {
						t.Run(row.name, func(t *testing.T) {
							synctest.Test(t, func(t *testing.T) { row.report(t, kind) })
						})
					}
				}
				return
			}
			t.Parallel()
			var wg sync.WaitGroup
			for _, row := range rows {
				if row.appliesTo(kind) {
					halfTurns <- true
					wg.Go(func() { row.report(t, kind); <-halfTurns })
				}
			}
			wg.Wait()
		})
	}
}

func (row halfRow) report(t *testing.T, kind halfKind) {
	if errs := row.try(kind); len(errs) > 0 {
		t.Errorf("%s: %s", row.name, strings.Join(errs[:min(3, len(errs))], "; "))
	}
}

// A state that cannot be reached would make its rows meaningless.
func TestHalvesStates(t *testing.T) {
	for _, client := range []bool{false, true} {
		reached := halfRow{run: func(h *halfCase) {
			if h.fill(); h.retry {
				return
			}
			h.c.SetWriteDeadline(time.Now().Add(halfSettle))
			if err := h.c.WriteMessage(TextMessage, nil); !isTimeout(err) {
				t.Errorf("client %v: a write to a socket that is full: %v", client, err)
			}
			h.c.SetWriteDeadline(time.Time{})
			h.goesOn() // the write had not begun
		}}
		for _, err := range reached.try(halfKind{"tcp", client, "ReadMessage"}) {
			t.Errorf("client %v: %s", client, err)
		}
		if halfRests[client]() == 0 {
			t.Logf("client %v: no statement about a kernel buffer that is full", client)
		}
	}
}

// The reading half does not wait for the writing half.
func TestHalvesReading(t *testing.T) {
	t.Parallel()
	runHalves(t, halfKinds(), halfReadingRows())
}

func halfReadingRows() (rows []halfRow) {
	for _, state := range halfStates {
		for _, event := range halfEvents {
			rows = append(rows, halfRow{
				name: state.name + ", " + event.name,
				only: func(k halfKind) bool {
					return (state.only == nil || state.only(k)) && (event.only == nil || event.only(k))
				},
				options: event.options,
				run: func(h *halfCase) {
					if state.begin(h); !h.retry {
						event.run(h)
					}
				},
			})
		}
	}
	return rows
}

// halfReads are the states in which the reading half is blocked. Each returns the rest of the
// message that the peer has begun.
var halfReads = []struct {
	name  string
	begin func(h *halfCase) (rest []byte)
}{
	{"peer sends nothing", func(h *halfCase) []byte { return h.peer.frame(opText, true, "whole") }},
	{"header half received", func(h *halfCase) []byte { return h.begun(1) }},
	{"frame half received", func(h *halfCase) []byte { return h.begun(8) }},
	{"message half received", func(h *halfCase) []byte {
		h.peer.send(h.peer.frame(opText, false, "wh"))
		return h.peer.frame(opContinuation, true, "ole")
	}},
}

// begun sends the first n bytes of a message.
func (h *halfCase) begun(n int) (rest []byte) {
	b := append(h.peer.frame(opText, false, "wh"), h.peer.frame(opContinuation, true, "ole")...)
	h.peer.send(b[:min(n, len(b)-1)])
	return b[min(n, len(b)-1):]
}

// A halfAction is an action of the writing half during that time, and the frames that the peer
// sees.
type halfAction struct {
	name string
	do   func(c *Conn) error
	wire string
}

var halfActions = []halfAction{
	{"WriteMessage", func(c *Conn) error { return c.WriteMessage(TextMessage, []byte("x")) }, "text x"},
	{"WriteMessage, large", func(c *Conn) error { return c.WriteMessage(BinaryMessage, rawStuckMessage) },
		rawMessage(opBinary, nil, rawStuck)},
	{"WriteMessageContext", func(c *Conn) error { return c.WriteMessageContext(context.Background(), TextMessage, []byte("x")) }, "text x"},
	{"NextWriter", func(c *Conn) error { return writeInPieces(c, []byte("pieces")) }, "text pieces"},
	{"WriteJSON", func(c *Conn) error { return c.WriteJSON(1) }, "text 1"},
	{"WritePreparedMessage", func(c *Conn) error {
		pm, err := NewPreparedMessage(TextMessage, []byte("x"))
		if err == nil {
			err = c.WritePreparedMessage(pm)
		}
		return err
	}, "text x"},
	{"ping", func(c *Conn) error { return c.WriteControl(PingMessage, []byte("x"), time.Time{}) }, "ping x"},
}

// The writing half does not wait for the reading half.
func TestHalvesWriting(t *testing.T) {
	t.Parallel()
	runHalves(t, halfKinds(), halfWritingRows())
}

func halfWritingRows() (rows []halfRow) {
	for _, state := range halfReads {
		for _, action := range halfActions {
			rows = append(rows, halfRow{name: state.name + ", " + action.name, run: func(h *halfCase) {
				rest := state.begin(h)
				time.Sleep(halfSettle / 5)
				h.write(action.name, func() error { return action.do(h.c) }, action.wire)
				h.peer.send(rest)
				h.wantGot("whole")
			}})
		}
		rows = append(rows,
			halfRow{name: state.name + ", close", run: func(h *halfCase) {
				rest := state.begin(h)
				h.write("the close frame", func() error {
					return h.c.WriteControl(CloseMessage, FormatCloseMessage(4001, ""), time.Time{})
				}, "close 4001")
				h.writeLater()
				h.wantLater()
				h.peer.send(rest)
				h.wantGot("whole") // the message is still read (section 5.5.1)
				h.peer.sendClose(4001)
				h.wantEnd("a CloseError with 4001", func(err error) bool { return IsCloseError(err, 4001) })
			}},
			halfRow{name: state.name + ", Shutdown", run: func(h *halfCase) {
				rest := state.begin(h)
				result := make(chan error, 1)
				go func() { result <- h.c.Shutdown(context.Background(), CloseNormalClosure, "") }()
				h.wantWire([]string{"close 1000"})
				h.peer.send(rest)
				h.acceptsClose("Shutdown", result)
			}},
			halfRow{name: state.name + ", Server.Shutdown", only: halfServes, run: func(h *halfCase) {
				rest := state.begin(h)
				result := make(chan error, 1)
				go func() { result <- h.server.Shutdown(context.Background()) }()
				h.wantWire([]string{"close 1001"})
				h.peer.send(rest)
				h.acceptsClose("Server.Shutdown", result)
			}},
			halfRow{name: state.name + ", Close", run: func(h *halfCase) {
				state.begin(h)
				h.endsSoon("Close", h.c.Close, func(error) bool { return true })
				h.wantEnd("net.ErrClosed", func(err error) bool { return errors.Is(err, net.ErrClosed) })
			}},
			halfRow{name: state.name + ", keepalive", options: halfKeepalive, run: func(h *halfCase) {
				state.begin(h)
				h.wantWire([]string{"ping"})
				h.wantEnd("ErrPongTimeout", func(err error) bool { return errors.Is(err, ErrPongTimeout) })
			}},
		)
	}
	return rows
}
