package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
	"github.com/plainsocket/websocket"
)

// A peer is a library, as a server behind net/http in the style of its own documentation. A
// behaviour is nil if the library's API cannot ask for it.
type peer struct {
	name      string
	module    string
	echo      http.HandlerFunc
	timeout   http.HandlerFunc // reads with a deadline of 50 ms, then again without, and echoes
	storm     http.HandlerFunc // reads a message, then sends it from 50 goroutines 20 times each
	stuck     stuckHandler
	kept      http.HandlerFunc // echoes with keepalive
	broadcast func() (join joiner, publish func(payload []byte))
}

var peers = []peer{
	{"plainsocket", "github.com/plainsocket/websocket",
		plainEcho, plainTimeout, plainStorm, plainStuck, plainKept, plainBroadcast},
	{"gorilla", "github.com/gorilla/websocket",
		gorillaEcho, gorillaTimeout, gorillaStorm, gorillaStuck, gorillaKept, gorillaBroadcast},
	{"coder", "github.com/coder/websocket",
		coderEcho, coderTimeout, coderStorm, coderStuck, coderKept, coderBroadcast},
	{"gobwas", "github.com/gobwas/ws",
		gobwasEcho, gobwasTimeout, gobwasStorm, gobwasStuck, nil, gobwasBroadcast},
	{"gws", "github.com/lxzan/gws",
		gwsEcho, nil, gwsStorm, gwsStuck, gwsKept, gwsBroadcast},
}

const (
	patience      = 50 * time.Millisecond
	stormWriters  = 50
	stormMessages = 20
)

// storm calls send from many goroutines. A panic in one counts as an error.
func storm(send func() error) {
	var wg sync.WaitGroup
	for range stormWriters {
		wg.Go(func() {
			defer func() { recover() }()
			for range stormMessages {
				if send() != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}

var plainServer = &websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) {
	var buf []byte
	for {
		t, p, err := c.AppendMessage(buf[:0])
		if err != nil || c.WriteMessage(t, p) != nil {
			return
		}
		buf = p
	}
}}

func plainEcho(w http.ResponseWriter, r *http.Request) { plainServer.ServeHTTP(w, r) }

func plainUpgrade(w http.ResponseWriter, r *http.Request, f func(*websocket.Conn)) {
	if c, err := new(websocket.Upgrader).Upgrade(w, r, nil); err == nil {
		defer c.Close()
		f(c)
	}
}

func plainTimeout(w http.ResponseWriter, r *http.Request) {
	plainUpgrade(w, r, func(c *websocket.Conn) {
		c.SetReadDeadline(time.Now().Add(patience))
		t, p, err := c.ReadMessage()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.SetReadDeadline(time.Time{})
			t, p, err = c.ReadMessage()
		}
		if err == nil {
			c.WriteMessage(t, p)
		}
	})
}

func plainStorm(w http.ResponseWriter, r *http.Request) {
	plainUpgrade(w, r, func(c *websocket.Conn) {
		t, p, _ := c.ReadMessage()
		storm(func() error { return c.WriteMessage(t, p) })
	})
}

func gorillaUpgrade(w http.ResponseWriter, r *http.Request, f func(*gorilla.Conn)) {
	if c, err := new(gorilla.Upgrader).Upgrade(w, r, nil); err == nil {
		defer c.Close()
		f(c)
	}
}

func gorillaEcho(w http.ResponseWriter, r *http.Request) {
	gorillaUpgrade(w, r, func(c *gorilla.Conn) {
		for {
			t, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(t, p) != nil {
				return
			}
		}
	})
}

func gorillaTimeout(w http.ResponseWriter, r *http.Request) {
	gorillaUpgrade(w, r, func(c *gorilla.Conn) {
		c.SetReadDeadline(time.Now().Add(patience))
		t, p, err := c.ReadMessage()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.SetReadDeadline(time.Time{})
			t, p, err = c.ReadMessage()
		}
		if err == nil {
			c.WriteMessage(t, p)
		}
	})
}

func gorillaStorm(w http.ResponseWriter, r *http.Request) {
	gorillaUpgrade(w, r, func(c *gorilla.Conn) {
		t, p, _ := c.ReadMessage()
		storm(func() error { return c.WriteMessage(t, p) })
	})
}

func coderAccept(w http.ResponseWriter, r *http.Request, f func(context.Context, *coder.Conn)) {
	if c, err := coder.Accept(w, r, nil); err == nil {
		defer c.CloseNow()
		f(r.Context(), c)
	}
}

func coderEcho(w http.ResponseWriter, r *http.Request) {
	coderAccept(w, r, func(ctx context.Context, c *coder.Conn) {
		for {
			t, p, err := c.Read(ctx)
			if err != nil || c.Write(ctx, t, p) != nil {
				return
			}
		}
	})
}

func coderTimeout(w http.ResponseWriter, r *http.Request) {
	coderAccept(w, r, func(ctx context.Context, c *coder.Conn) {
		short, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		t, p, err := c.Read(short)
		if errors.Is(err, context.DeadlineExceeded) {
			t, p, err = c.Read(ctx)
		}
		if err == nil {
			c.Write(ctx, t, p)
		}
	})
}

func coderStorm(w http.ResponseWriter, r *http.Request) {
	coderAccept(w, r, func(ctx context.Context, c *coder.Conn) {
		t, p, _ := c.Read(ctx)
		storm(func() error { return c.Write(ctx, t, p) })
	})
}

func gobwasEcho(w http.ResponseWriter, r *http.Request) {
	nc, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	go func() {
		defer nc.Close()
		for {
			p, op, err := wsutil.ReadClientData(nc)
			if err != nil || wsutil.WriteServerMessage(nc, op, p) != nil {
				return
			}
		}
	}()
}

func gobwasTimeout(w http.ResponseWriter, r *http.Request) {
	nc, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer nc.Close()
	nc.SetReadDeadline(time.Now().Add(patience))
	p, op, err := wsutil.ReadClientData(nc)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		nc.SetReadDeadline(time.Time{})
		p, op, err = wsutil.ReadClientData(nc)
	}
	if err == nil {
		wsutil.WriteServerMessage(nc, op, p)
	}
}

func gobwasStorm(w http.ResponseWriter, r *http.Request) {
	nc, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer nc.Close()
	p, op, _ := wsutil.ReadClientData(nc)
	storm(func() error { return wsutil.WriteServerMessage(nc, op, p) })
}

type gwsFacts struct {
	gws.BuiltinEventHandler
	onMessage func(c *gws.Conn, m *gws.Message)
}

func (h *gwsFacts) OnMessage(c *gws.Conn, m *gws.Message) { h.onMessage(c, m) }

// OnPing answers, as the interface's default does not.
func (h *gwsFacts) OnPing(c *gws.Conn, p []byte) { c.WritePong(p) }

var (
	gwsEchoUpgrader = gws.NewUpgrader(&gwsFacts{onMessage: func(c *gws.Conn, m *gws.Message) {
		defer m.Close()
		c.WriteMessage(m.Opcode, m.Bytes())
	}}, nil)
	gwsStormUpgrader = gws.NewUpgrader(&gwsFacts{onMessage: func(c *gws.Conn, m *gws.Message) {
		defer m.Close()
		storm(func() error { return c.WriteMessage(m.Opcode, m.Bytes()) })
		c.NetConn().Close()
	}}, nil)
)

func gwsServe(u *gws.Upgrader, w http.ResponseWriter, r *http.Request) {
	if c, err := u.Upgrade(w, r); err == nil {
		go c.ReadLoop()
	}
}

func gwsEcho(w http.ResponseWriter, r *http.Request)  { gwsServe(gwsEchoUpgrader, w, r) }
func gwsStorm(w http.ResponseWriter, r *http.Request) { gwsServe(gwsStormUpgrader, w, r) }
