package websocket

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// farewells opens n connections, shuts the server down, and returns when each client was told, with
// which code, after how long.
func farewells(t *testing.T, srv *Server, ctx context.Context, n int) (told []time.Duration, codes map[int]int, err error) {
	l := newListener()
	go srv.Serve(l)
	codes = make(map[int]int)
	var mu sync.Mutex
	var start time.Time
	var clients sync.WaitGroup
	for range n {
		c := l.dial(t)
		clients.Go(func() {
			_, _, err := c.ReadMessage()
			e, _ := errors.AsType[*CloseError](err)
			mu.Lock()
			defer mu.Unlock()
			if e != nil {
				codes[e.Code]++
			} else {
				codes[0]++
			}
			told = append(told, time.Since(start))
			c.Close()
		})
	}
	synctest.Wait()
	mu.Lock()
	start = time.Now()
	mu.Unlock()
	err = srv.Shutdown(ctx)
	clients.Wait()
	slices.Sort(told)
	return told, codes, err
}

func TestShutdownSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 500
		srv := &Server{Handler: echo, ShutdownSpread: 10 * time.Second, ShutdownCode: CloseServiceRestart}
		told, codes, err := farewells(t, srv, t.Context(), n)
		if err != nil || codes[CloseServiceRestart] != n {
			t.Errorf("codes %v, %v", codes, err)
		}
		// One after the other, with even gaps, in an order that has nothing to do with how they
		// came.
		for i, after := range told {
			if want := time.Duration(i) * 10 * time.Second / n; after < want-100*time.Millisecond || after > want+100*time.Millisecond {
				t.Fatalf("number %d of %d was told after %v", i, n, after)
			}
		}
	})
}

// Connections serve on until they are told.
func TestShutdownSpreadServesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: echo, ShutdownSpread: time.Minute}
		l := newListener()
		go srv.Serve(l)
		c := l.dial(t)
		answers := 0
		go srv.Shutdown(t.Context())
		for {
			time.Sleep(time.Second)
			if err := c.WriteMessage(TextMessage, []byte("hello")); err != nil {
				break
			}
			if _, _, err := c.ReadMessage(); err != nil {
				if !IsCloseError(err, CloseGoingAway) {
					t.Error(err)
				}
				break
			}
			answers++
		}
		t.Logf("%d answers", answers)
		c.Close()
	})
}

func TestShutdownSpreadLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		spread, deadline, last time.Duration
		ends                   bool // with ctx's error
	}{
		"no deadline":            {spread: 20 * time.Second, last: 20 * time.Second},
		"a late deadline":        {spread: 20 * time.Second, deadline: time.Minute, last: 20 * time.Second},
		"CloseTimeout is left":   {spread: time.Minute, deadline: 30 * time.Second, last: 25 * time.Second},
		"half of the time":       {spread: time.Minute, deadline: 6 * time.Second, last: 3 * time.Second},
		"a deadline that passed": {spread: time.Minute, deadline: -1},
		"less than 0":            {spread: -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.deadline != 0 {
					var cancel func()
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				srv := &Server{Handler: echo, ShutdownSpread: tt.spread}
				told, codes, err := farewells(t, srv, ctx, 100)
				if last := told[len(told)-1]; last > tt.last+100*time.Millisecond || last < tt.last*9/10 {
					t.Errorf("the last was told after %v, want %v", last, tt.last)
				}
				if tt.deadline >= 0 && (err != nil || codes[CloseGoingAway] != 100) {
					t.Errorf("codes %v, %v", codes, err)
				}
			})
		})
	}
}

// A peer that does not answer is cut off CloseTimeout after it was told, not at the end of all.
func TestShutdownSpreadCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const spread, n = time.Minute, 60
		srv := &Server{Handler: echo, ShutdownSpread: spread}
		l := newListener()
		go srv.Serve(l)
		start := time.Now()
		for range n {
			l.dial(t) // and never reads
		}
		synctest.Wait()
		go func() {
			time.Sleep(spread / 2)
			srv.members.mu.Lock()
			defer srv.members.mu.Unlock()
			// Half of them were told, and those before the last 5 s are gone.
			if left := len(srv.members.list) - len(srv.members.free); left < n/2 || left > n/2+8 {
				t.Errorf("%d of %d are left after half of the time", left, n)
			}
		}()
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > spread+6*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// The longest times that there are do not cut a peer off at once.
func TestShutdownWithoutLimits(t *testing.T) {
	for name, srv := range map[string]*Server{
		"CloseTimeout":   {Upgrader: Upgrader{CloseTimeout: math.MaxInt64}, ShutdownSpread: time.Second},
		"ShutdownSpread": {ShutdownSpread: math.MaxInt64},
		"both":           {Upgrader: Upgrader{CloseTimeout: math.MaxInt64}, ShutdownSpread: math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv.Handler, srv.PingInterval = echo, -1
				l := newListener()
				go srv.Serve(l)
				c := l.dial(t)
				defer c.Close()
				go io.Copy(io.Discard, c.nc) // takes everything, answers nothing
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- srv.Shutdown(ctx) }()
				if err, ok := within(ended, time.Hour); ok {
					t.Fatalf("Shutdown returned %v without an answer of the peer", err)
				}
				cancel()
				if err := <-ended; err != context.Canceled {
					t.Errorf("Shutdown: %v", err)
				}
			})
		})
	}
}

func TestShutdownCodeThatCannotBeSent(t *testing.T) {
	srv := &Server{Handler: echo, ShutdownCode: 999}
	if err := srv.Shutdown(t.Context()); err == nil || srv.members.isClosed() {
		t.Errorf("Shutdown with code 999: %v", err)
	}
}
