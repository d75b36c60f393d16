package main

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plainsocket/websocket"
)

// A registry is the server's knowledge of its devices: their presence, and their reports. The
// reports are in a journal, because the server may be killed at any time. The presence is forgotten
// then, and shows itself again.
type registry struct {
	mu      sync.Mutex // guards all below
	journal *journal
	devices map[string]*deviceRecord // by the name in the certificate
	events  []event                  // the newest ones, the oldest first
	eventID int                      // of the newest
	changed chan struct{}            // closed at the next change, and replaced
}

type deviceRecord struct {
	conn       *websocket.Conn // nil while it is away
	about      string
	address    string
	why        string            // it is away
	heard      time.Time         // when it last said anything
	upTo       map[string]uint64 // by outbox: the last report that was counted
	reports    int               // counted, each once
	duplicates int               // that came again, and were not
	recent     []report          // the newest ones, the oldest first
}

// An event is a line of the page's log.
type event struct {
	ID     int       `json:"id"` // 1, 2, 3, … since the server started
	At     time.Time `json:"at"`
	Device string    `json:"device"`
	Text   string    `json:"text"`
}

// The limits of the page.
const (
	recentReports = 40
	recentEvents  = 50
)

// A registryLine is the journal's line for a report.
type registryLine struct {
	Device string `json:"device"`
	Outbox string `json:"outbox"`
	Report report `json:"report"`
}

// openRegistry goes on with the reports in a file, or begins without any.
func openRegistry(file string) (*registry, error) {
	g := &registry{devices: make(map[string]*deviceRecord), changed: make(chan struct{})}
	var err error
	g.journal, err = openJournal(file, func(line []byte) error {
		var l registryLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		g.device(l.Device).count(l.Outbox, l.Report)
		return nil
	})
	return g, err
}

// device returns a device's record, a new one for a device that is new.
func (g *registry) device(name string) *deviceRecord {
	d := g.devices[name]
	if d == nil {
		d = &deviceRecord{why: "not seen since the server started", upTo: make(map[string]uint64)}
		g.devices[name] = d
	}
	return d
}

func (d *deviceRecord) count(outbox string, r report) {
	d.upTo[outbox] = r.Seq
	d.reports++
	d.recent = append(d.recent, r)
	d.recent = d.recent[max(0, len(d.recent)-recentReports):]
}

// arrive notes that a device has registered on c. It returns the connection
// that the device had until now, nil for none, and the last report that was
// counted of its outbox.
func (g *registry) arrive(name string, c *websocket.Conn, outbox, about string) (old *websocket.Conn, upTo uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.device(name)
	old, d.conn = d.conn, c
	d.about, d.address, d.heard = about, c.RemoteAddr().String(), time.Now()
	g.happened(name, "is here")
	return old, d.upTo[outbox]
}

// depart notes that a device's connection ended, unless it has a newer one.
func (g *registry) depart(name string, c *websocket.Conn, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := g.device(name); d.conn == c {
		d.conn, d.why = nil, why
		g.happened(name, why)
	}
}

// hear notes that a device said something.
func (g *registry) hear(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.device(name).heard = time.Now()
	g.change()
}

// count counts a report, unless it was counted before, and returns the number up to which the
// server has them all. When it returns, the report will survive the server.
//
// Reports come in order on every connection, beginning with the one behind the last that was
// counted when the device registered. So a number that is not greater than the last one is of a
// report that came again.
func (g *registry) count(name, outbox string, r report) (upTo uint64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.device(name)
	if r.Seq <= d.upTo[outbox] {
		d.duplicates++
		g.change()
		return d.upTo[outbox], nil
	}
	if err := g.journal.append(registryLine{name, outbox, r}); err != nil {
		return 0, err
	}
	d.count(outbox, r)
	g.change()
	return r.Seq, nil
}

func (g *registry) happened(name, text string) {
	g.eventID++
	g.events = append(g.events, event{g.eventID, time.Now(), name, text})
	g.events = g.events[max(0, len(g.events)-recentEvents):]
	g.change()
}

// change wakes up all goroutines that show the registry.
func (g *registry) change() {
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *registry) close() error { return g.journal.close() }

// A view is the content of the page.
type view struct {
	Devices []deviceView `json:"devices"`
	Events  []event      `json:"events"`
}

type deviceView struct {
	Name       string   `json:"name"`
	Here       bool     `json:"here"`
	Why        string   `json:"why"` // it is away
	About      string   `json:"about"`
	Address    string   `json:"address"`
	Silent     int64    `json:"silent"` // milliseconds since it was heard, or -1 for never
	Reports    int      `json:"reports"`
	Duplicates int      `json:"duplicates"`
	Recent     []report `json:"recent"`
}

// view returns the present view, and a channel that is closed when it changes.
func (g *registry) view() (view, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := view{Devices: []deviceView{}, Events: slices.Clone(g.events)}
	for name, d := range g.devices {
		silent := int64(-1)
		if !d.heard.IsZero() {
			silent = time.Since(d.heard).Milliseconds()
		}
		v.Devices = append(v.Devices, deviceView{
			Name: name, Here: d.conn != nil, Why: d.why, About: d.about, Address: d.address, Silent: silent,
			Reports: d.reports, Duplicates: d.duplicates, Recent: slices.Clone(d.recent),
		})
	}
	slices.SortFunc(v.Devices, func(a, b deviceView) int { return strings.Compare(a.Name, b.Name) })
	return v, g.changed
}
