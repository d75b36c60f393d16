package websocket

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// The end of a server with many connections. If all of them get their close frame in the same
// instant, all clients come back in the same instant, and the next server has to do all their
// opening handshakes at once. So the close frames may be spread over a time.

// Shutdown closes the listeners, sends every connection a close frame with ShutdownCode, over the
// time of ShutdownSpread, and waits for their handlers to return. A peer that does not answer
// within CloseTimeout is cut off. If ctx ends first, all connections that are left are cut off, and
// Shutdown returns ctx's error.
//
// If ShutdownCode cannot be sent, Shutdown returns an error and has done nothing.
//
// An http.Server in front knows nothing of the connections that were upgraded, and its Shutdown
// does not wait for them: call both.
func (s *Server) Shutdown(ctx context.Context) error {
	bye, err := s.newFarewell(ctx)
	if err != nil {
		return err
	}
	s.closeListeners()
	var unanswered <-chan time.Time
	if bye.patience > 0 {
		t := time.NewTimer(bye.spread + bye.patience)
		defer t.Stop()
		unanswered = t.C
	}
	empty := s.members.close()
	defer close(bye.over)
	go s.members.dismiss(bye)
	for {
		select {
		case <-empty:
			return nil
		case <-unanswered:
			s.members.cutOff()
		case <-ctx.Done():
			s.members.cutOff()
			return ctx.Err()
		}
	}
}

// Close closes the listeners and all connections at once, without a closing handshake. It does not
// wait for the handlers.
func (s *Server) Close() error {
	s.closeListeners()
	s.members.close()
	s.members.cutOff()
	return nil
}

// A farewell says how a Server's connections are closed.
type farewell struct {
	code     int
	spread   time.Duration // from the first close frame to the last
	patience time.Duration // for a peer to answer, 0 or less for no limit but the end
	over     chan struct{} // closed at the end
}

func (s *Server) newFarewell(ctx context.Context) (farewell, error) {
	const longest = math.MaxInt64 / 4 // sums of two do not overflow
	bye := farewell{
		code:     cmp.Or(s.ShutdownCode, CloseGoingAway),
		spread:   min(s.ShutdownSpread, longest),
		patience: min(cmp.Or(s.CloseTimeout, defaultCloseTimeout), longest),
		over:     make(chan struct{}),
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		bye.spread = min(bye.spread, max(left-max(bye.patience, 0), left/2))
	}
	bye.spread = max(bye.spread, 0)
	return bye, checkClose(FormatCloseMessage(bye.code, ""))
}

// dismiss sends every member a close frame, behind its queued messages. A connection
// that is still in the opening handshake is cut off.
func (m *members) dismiss(bye farewell) {
	var later []*Conn
	m.each(func(c *Conn, ready bool) {
		switch {
		case !ready:
			go c.Close() // in a goroutine, as the Close of TLS may wait
		case bye.spread > 0:
			later = append(later, c)
		default:
			c.goAway(bye.code)
		}
	})
	rand.Shuffle(len(later), func(i, j int) { later[i], later[j] = later[j], later[i] })
	bye.tell(later)
}

// tell sends the close frames in the order of the list, and cuts off the peers that do not answer
// in time. It needs no goroutine and no timer for each connection.
func (bye *farewell) tell(list []*Conn) {
	offset := rand.Float64() // so that several servers do not begin in the same instant
	due := func(i int) time.Duration {
		return time.Duration((float64(i) + offset) / float64(len(list)) * float64(bye.spread))
	}
	const tick = 10 * time.Millisecond
	told, cut := 0, 0
	for start := time.Now(); cut < len(list); {
		elapsed := time.Since(start)
		for ; told < len(list) && due(told) <= elapsed; told++ {
			if c := list[told]; !c.flags.has(flagClosed) {
				c.goAway(bye.code)
			}
		}
		if bye.patience <= 0 {
			cut = told // no peer is cut off before the end
		}
		for ; cut < told && due(cut)+bye.patience <= elapsed; cut++ {
			list[cut].closeInTurn()
			list[cut] = nil
		}
		next := due(cut) + bye.patience
		if told < len(list) {
			next = min(next, due(told))
		}
		select {
		case <-bye.over:
			return
		case <-time.After(max(next-elapsed, tick)):
		}
	}
}

// goAway begins the closing handshake. The goroutine that reads gets the peer's answer. If no
// goroutine reads, Shutdown has to, unless the program is in the middle of a message.
func (c *Conn) goAway(code int) {
	c.enqueueCloseLast(FormatCloseMessage(code, ""))
	if c.readLock.tryLock() {
		begun := c.in.open
		c.unlockRead()
		if !begun {
			go c.Shutdown(context.Background(), code, "")
		}
	}
}
