package main

import (
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plainsocket/websocket"
)

// delivered waits until the server has acknowledged everything.
func (w *world) delivered(devices ...*device) {
	w.t.Helper()
	start := time.Now()
	for _, d := range devices {
		for len(d.outbox.after(0)) > 0 {
			if time.Since(start) > time.Hour {
				w.t.Fatalf("after an hour %d reports are not acknowledged", len(d.outbox.after(0)))
			}
			time.Sleep(time.Second)
		}
	}
}

func TestReportsArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		d, _ := w.start("kitchen")
		addReports(t, d.outbox, 3) // before there is a connection
		synctest.Wait()
		expectReports(t, "connected", d.outbox.after(0))
		addReports(t, d.outbox, 2)
		synctest.Wait() // at once: no time has passed
		expectReports(t, "later", d.outbox.after(0))
		w.end()
		checkJournal(t, w.dir, "kitchen", 5)
	})
}

func TestDeviceMeasures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		d := w.device("kitchen")
		d.every = 5 * time.Second
		stop := w.run(d)
		time.Sleep(time.Minute + time.Second)
		if v := w.see("kitchen"); v.Reports != 12 || v.Recent[0].Celsius < 10 || v.Recent[0].Celsius > 30 {
			t.Errorf("after a minute: %+v", v)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.end()
	})
}

// The connection breaks again and again, at any place, and the server is killed and started again.
// No report is lost, and none is counted twice.
func TestNothingIsLostNorCountedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rounds, reports = 25, 4
		w := newWorld(t, "kitchen", "cellar")
		kitchen, _ := w.start("kitchen")
		cellar, _ := w.start("cellar")
		for range rounds {
			for range reports {
				addReports(t, kitchen.outbox, 1)
				addReports(t, cellar.outbox, 1)
				time.Sleep(rand.N(10 * time.Second))
			}
			switch rand.N(4) {
			case 0:
				w.cut()
			case 1: // reports arrive, acknowledgements do not
				w.lose(false, true)
			// heartbeats tell the server, and pings tell the devices
			case 2:
				w.lose(true, true)
			case 3:
				w.kill()
				time.Sleep(rand.N(2 * time.Minute))
				w.startServer()
			}
		}
		w.delivered(kitchen, cellar)
		w.end()
		checkJournal(t, w.dir, "kitchen", rounds*reports)
		checkJournal(t, w.dir, "cellar", rounds*reports)
	})
}

// The acknowledgement gets lost, so the report comes again, and the server
// knows it: also one that was killed and started again in between.
func TestDuplicates(t *testing.T) {
	for _, kill := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "kitchen")
			c := w.connect("kitchen", "o")
			w.lose(false, true)
			c.WriteJSON(message{Type: "report", Report: &report{Seq: 1, Celsius: 1}})
			if v := w.see("kitchen"); v.Reports != 1 {
				t.Fatalf("the server knows %+v", v)
			}
			if kill {
				w.kill()
				w.startServer()
			}
			// A device that trusted its memory rather than the welcome.
			c = w.connect("kitchen", "o")
			c.WriteJSON(message{Type: "report", Report: &report{Seq: 1, Celsius: 1}})
			if m := w.read(c); m.UpTo != 1 {
				t.Errorf("the server says %+v", m)
			}
			if v := w.see("kitchen"); v.Reports != 1 || v.Duplicates != 1 {
				t.Errorf("the server knows %+v", v)
			}
			w.end()
			checkJournal(t, w.dir, "kitchen", 1)
		})
	}
}

// The welcome names the last report that the server has. The reports up to that one are not sent.
func TestWelcomeAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		d, _ := w.start("kitchen")
		synctest.Wait()
		w.lose(false, true)
		addReports(t, d.outbox, 3)
		synctest.Wait()
		expectReports(t, "counted, and no acknowledgement", d.outbox.after(0), 1, 2, 3)
		w.delivered(d)
		if v := w.see("kitchen"); v.Reports != 3 || v.Duplicates != 0 {
			t.Errorf("the server knows %+v", v)
		}
		w.end()
	})
}

// A server that lost its journal gets the reports that are left, and counts from there.
func TestServerWithoutMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		d, _ := w.start("kitchen")
		addReports(t, d.outbox, 3)
		w.delivered(d)
		w.kill()
		g := w.server.registry
		journal, err := openJournal(filepath.Join(w.dir, "reports.jsonl"), func([]byte) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		journal.clear()
		journal.close()
		w.startServer()
		if w.server.registry == g {
			t.Fatal("it is the same server")
		}
		addReports(t, d.outbox, 1)
		w.delivered(d)
		if v := w.see("kitchen"); v.Reports != 1 || v.Recent[0].Seq != 4 {
			t.Errorf("the server knows %+v", v)
		}
		w.end()
	})
}

// The other end has gone, and TCP does not say so. Pings do, in time.
func TestDeviceNoticesADeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		w.start("kitchen")
		time.Sleep(time.Minute)
		w.lose(true, true)
		start := time.Now()
		// a ping after 3 s, 6 s for the pong, up to 5 s of back-off, and some more
		time.Sleep(20 * time.Second)
		dials := w.dialTimes()
		if len(dials) != 2 || dials[1].Sub(start) < 6*time.Second {
			t.Errorf("connections at %v, the network went dead at %v", dials, start)
		}
		if v := w.see("kitchen"); !v.Here {
			t.Errorf("the server knows %+v", v)
		}
		w.end()
	})
}

// While the server is away, the attempts are ever rarer, and not at fixed times.
func TestDeviceBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		w.start("kitchen")
		time.Sleep(time.Second)
		w.kill()
		time.Sleep(time.Hour)
		dials := w.dialTimes()[1:]
		// The wait is a minute at most, half of it on average. 30 more or less are seven
		// deviations.
		if n := len(dials); n < 90 || n > 160 {
			t.Errorf("%d attempts in an hour", n)
		}
		for i, bound := range []time.Duration{5, 10, 20, 40, 60, 60, 60} {
			if i > 0 && dials[i].Sub(dials[i-1]) >= bound*time.Second {
				t.Errorf("attempt %d came %v after the one before", i, dials[i].Sub(dials[i-1]))
			}
		}
		w.startServer()
		time.Sleep(time.Minute)
		if v := w.see("kitchen"); !v.Here {
			t.Errorf("the server is back for a minute, and knows %+v", v)
		}
		before := len(w.dialTimes())
		w.cut()
		time.Sleep(5 * time.Second) // success has brought the first bound back
		if n := len(w.dialTimes()); n != before+1 {
			t.Errorf("%d attempts in 5 seconds", n-before)
		}
		w.end()
	})
}

// A server that only accepts connections does not count as one that is there.
func TestDeviceBacksOffFromAUselessServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		if err := w.stop(); err != nil {
			t.Error(err)
		}
		config, err := serverTLS(w.dir)
		if err != nil {
			t.Fatal(err)
		}
		useless := &websocket.Server{TLSConfig: config, Handler: func(*websocket.Conn, *http.Request) {}}
		go useless.ServeTLS(w.listen(), "", "")
		_, stop := w.start("kitchen")
		time.Sleep(time.Hour)
		if n := len(w.dialTimes()); n > 170 {
			t.Errorf("%d attempts in an hour", n)
		}
		stop()
		useless.Close()
		time.Sleep(time.Minute) // TLS says goodbye to nobody
	})
}

// A device that was replaced by another does not fight it.
func TestReplacedDeviceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		_, stop := w.start("kitchen")
		synctest.Wait()
		w.connect("kitchen", "another")
		synctest.Wait()
		if err := stop(); err != errReplaced {
			t.Errorf("the device ended with %v", err)
		}
		if v := w.see("kitchen"); !v.Here {
			t.Errorf("the server knows %+v", v)
		}
		w.end()
	})
}

// A device that is told to end says so, and the server does not wait for it.
func TestDeviceEndsPolitely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "kitchen")
		_, stop := w.start("kitchen")
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if v := w.see("kitchen"); v.Here || v.Why != "left" {
			t.Errorf("the server knows %+v", v)
		}
		w.end()
	})
}
