package websocket

import (
	"context"
	"sync"
	"time"
)

// A program may attach two things to a connection: a value of its own, and a context
// that ends with the connection. Most connections have neither, so both together are
// one pointer in a Conn. The reason for the connection's end lies there too.

// extras are the parts that most connections do not have.
type extras struct {
	mu    sync.Mutex   // guards all below
	value any          // of SetValue
	err   error        // why the connection has ended, nil before
	ctx   *connContext // nil until it is asked for
}

// extra returns c's extras. It makes them if there are none.
func (c *Conn) extra() *extras {
	if x := c.extras.Load(); x != nil {
		return x
	}
	x := new(extras)
	if !c.extras.CompareAndSwap(nil, x) {
		x = c.extras.Load()
	}
	return x
}

// SetValue gives the connection a value of the program's own, such as the name of the user at the
// other end. [Conn.Value] returns it. It replaces the value before, and nil stands for none. The
// value lives as long as the Conn does.
func (c *Conn) SetValue(v any) {
	x := c.extra()
	x.mu.Lock()
	x.value = v
	x.mu.Unlock()
}

// Value returns the value of the last SetValue, or nil before the first one.
func (c *Conn) Value() any {
	x := c.extras.Load()
	if x == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.value
}

// Context returns a context that ends with the connection: when its transport is
// closed by this side, or when a read finds that nothing more will come. Its Err is
// context.Canceled then, and context.Cause says why: the error is the one that reads
// return, or net.ErrClosed after this side's Close. It has no deadline and no values.
//
// A read finds the end only while some goroutine reads. A context that is never asked for
// costs nothing, and context.AfterFunc costs no goroutine before the end.
func (c *Conn) Context() context.Context {
	x := c.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ctx == nil {
		x.ctx = new(connContext)
		if x.err != nil {
			x.ctx.end(x.err)
		}
	}
	return x.ctx
}

// end notes that the connection has ended, and why, unless it had ended before. It
// returns the reason that counts, which is the first one.
func (c *Conn) end(err error) error {
	x := c.extra()
	x.mu.Lock()
	if x.err != nil {
		defer x.mu.Unlock()
		return x.err
	}
	x.err = err
	ctx := x.ctx
	x.mu.Unlock()
	if ctx != nil {
		ctx.end(err)
	}
	c.traceClosed(err)
	return err
}

// hasEnded returns why the connection has ended, or nil if it has not.
func (c *Conn) hasEnded() error {
	x := c.extras.Load()
	if x == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}

// A connContext is the context of a Conn. One made by context.WithCancelCause would do as well, but
// each function that waits for its end would cost 200 bytes more.
type connContext struct {
	mu    sync.Mutex      // guards all below
	done  chan struct{}   // closed at the end, nil until it is asked for
	first *endFunc        // of the functions to be called at the end
	ended context.Context // a context that has ended, with the cause. Nil before the end
}

// An endFunc is a function that is called when a context ends. It lies in the context's list, and
// ctx.mu guards it.
type endFunc struct {
	ctx        *connContext
	f          func()
	prev, next *endFunc
	listed     bool
}

// end ends the context.
func (ctx *connContext) end(err error) {
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(err)
	ctx.mu.Lock()
	ctx.ended = ended
	if ctx.done != nil {
		close(ctx.done)
	}
	first := ctx.first
	ctx.first = nil
	for e := first; e != nil; e = e.next {
		e.listed = false
	}
	ctx.mu.Unlock()
	for e := first; e != nil; e = e.next {
		go e.f()
	}
}

func (ctx *connContext) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

func (ctx *connContext) Done() <-chan struct{} {
	ctx.mu.Lock()
	defer ctx.mu.Unlock()
	if ctx.done == nil {
		ctx.done = make(chan struct{})
		if ctx.ended != nil {
			close(ctx.done)
		}
	}
	return ctx.done
}

func (ctx *connContext) Err() error {
	if ended := ctx.hasEnded(); ended != nil {
		return ended.Err()
	}
	return nil
}

// Value returns nothing but the cause, for which context.Cause asks by a key of its own.
func (ctx *connContext) Value(key any) any {
	if ended := ctx.hasEnded(); ended != nil {
		return ended.Value(key)
	}
	return nil
}

func (ctx *connContext) String() string { return "websocket.Conn.Context" }

func (ctx *connContext) hasEnded() context.Context {
	ctx.mu.Lock()
	defer ctx.mu.Unlock()
	return ctx.ended
}

// AfterFunc has f called on a goroutine of its own when ctx has ended. Package context
// looks for this method, and then needs no goroutine that waits for Done. The function
// that it returns takes f back, and reports whether that was in time.
func (ctx *connContext) AfterFunc(f func()) (stop func() bool) {
	e := &endFunc{ctx: ctx, f: f}
	ctx.mu.Lock()
	defer ctx.mu.Unlock()
	if ctx.ended != nil {
		go f()
		return e.stop
	}
	e.listed = true
	if e.next = ctx.first; e.next != nil {
		e.next.prev = e
	}
	ctx.first = e
	return e.stop
}

// stop takes e out of its context's list, and reports whether it was there.
func (e *endFunc) stop() bool {
	e.ctx.mu.Lock()
	defer e.ctx.mu.Unlock()
	if !e.listed {
		return false
	}
	e.listed = false
	if e.prev == nil {
		e.ctx.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	return true
}
