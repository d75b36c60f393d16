package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/plainsocket/websocket"
)

// A device measures, and reports its measurements, even if its connection breaks.
type device struct {
	url    string // of the server
	dialer *websocket.Dialer
	outbox *outbox
	about  string // for people
	every  time.Duration
	log    *slog.Logger
}

// newDialer makes connections for a device. A server that was cut off from the
// network sends nothing, not even an end: pings find out. Nobody stands beside a device, so
// that it never gives up. firstWait bounds the wait before it comes back, 0 for 5 s.
func newDialer(firstWait time.Duration) *websocket.Dialer {
	return &websocket.Dialer{
		Retry: &websocket.Retry{
			FirstWait: firstWait,
			GiveUp:    func(*websocket.ConnectError) bool { return false },
		},
		PingInterval: defaultHeartbeat,
		PongTimeout:  2 * defaultHeartbeat,
		ReadLimit:    messageLimit,
		CloseTimeout: time.Second,
	}
}

// welcomeTimeout is the time that a server has to answer register.
const welcomeTimeout = 10 * time.Second

// errReplaced ends a device. If it came back, it would only drive the other one away.
var errReplaced = errors.New("another device uses this certificate")

// run measures and keeps up a connection until ctx ends.
func (d *device) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var measuring sync.WaitGroup
	measuring.Go(func() { d.measure(ctx) })
	defer measuring.Wait()
	defer stop()
	for c, err := range d.connections(ctx) {
		if err != nil {
			break // ctx has ended
		}
		if err := d.session(c); websocket.IsCloseError(err, closeReplaced) {
			return errReplaced
		}
	}
	return nil
}

// connections returns one connection after the other, and logs why there is none.
func (d *device) connections(ctx context.Context) iter.Seq2[*websocket.Conn, error] {
	dialer, retry := *d.dialer, *d.dialer.Retry
	retry.Waiting = func(err error, wait time.Duration) {
		d.log.Warn("not connected", "why", err, "next attempt in", wait.Round(time.Millisecond), "reports waiting", len(d.outbox.after(0)))
	}
	dialer.Retry = &retry
	return dialer.Connect(ctx, d.url, nil)
}

// measure makes a report from time to time, of a thermometer that this machine does not have.
func (d *device) measure(ctx context.Context) {
	celsius := 18 + 4*rand.Float64()
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		celsius += rand.Float64() - 0.5 + (20-celsius)/50
		if err := d.outbox.add(time.Now().UTC(), math.Round(celsius*10)/10); err != nil {
			d.log.Error("a measurement is lost", "error", err)
		}
	}
}

// session is one connection, from its beginning to its end.
func (d *device) session(c *websocket.Conn) error {
	heartbeat, upTo, err := d.register(c)
	if err != nil {
		return err
	}
	listening := make(chan struct{})
	var heard error // the error that ended listening
	go func() {
		defer close(listening)
		heard = d.listen(c)
		d.leave(c) // which also ends a write that is stuck
	}()
	err = d.speak(c, heartbeat, upTo, listening)
	c.Close()
	<-listening
	if err == nil || !errors.Is(heard, net.ErrClosed) { // the cause, rather than its consequence
		err = heard
	}
	return err
}

// leave does the closing handshake, or the rest of it.
func (d *device) leave(c *websocket.Conn) {
	c.Shutdown(context.Background(), websocket.CloseGoingAway, "") // CloseTimeout bounds it
}

// register sends this device's outbox, and learns which of its reports the server has.
func (d *device) register(c *websocket.Conn) (heartbeat time.Duration, upTo uint64, err error) {
	c.SetReadDeadline(time.Now().Add(welcomeTimeout))
	defer c.SetReadDeadline(time.Time{})
	if err := c.WriteJSON(message{Type: "register", Outbox: d.outbox.id, About: d.about}); err != nil {
		return 0, 0, err
	}
	m, err := parse(c.ReadMessage())
	if err != nil {
		return 0, 0, err
	}
	if m.Type != "welcome" || m.Heartbeat <= 0 {
		return 0, 0, fmt.Errorf("the server says %q instead of welcome", m.Type)
	}
	d.log.Info("registered", "as", m.Name, "reports up to", m.UpTo)
	return time.Duration(m.Heartbeat) * time.Millisecond, m.UpTo, d.outbox.acknowledge(m.UpTo)
}

// speak sends reports as they come, beginning behind upTo, and heartbeats. It returns after
// listening has ended.
func (d *device) speak(c *websocket.Conn, heartbeat time.Duration, upTo uint64, listening <-chan struct{}) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	if err := c.WriteJSON(message{Type: "time", Asked: time.Now().UTC()}); err != nil {
		return err
	}
	for {
		for _, r := range d.outbox.after(upTo) {
			if err := c.WriteJSON(message{Type: "report", Report: &r}); err != nil {
				return err
			}
			upTo = r.Seq
		}
		select {
		case <-d.outbox.added:
		case <-beat.C:
			if err := c.WriteJSON(message{Type: "heartbeat"}); err != nil {
				return err
			}
		case <-listening:
			return nil
		}
	}
}

// listen takes the server's messages, until there are no more.
func (d *device) listen(c *websocket.Conn) error {
	for {
		m, err := parse(c.ReadMessage())
		if err != nil {
			return err
		}
		switch m.Type {
		case "acknowledge":
			if err := d.outbox.acknowledge(m.UpTo); err != nil {
				return err
			}
		case "time":
			// The answer was written halfway between question and now, as far
			// as one can tell: that is how NTP does it.
			took := time.Since(m.Asked)
			d.log.Info("the server's date and time", "time", m.Time, "ahead of this clock", m.Time.Sub(m.Asked.Add(took/2)).Round(time.Microsecond))
		}
	}
}
