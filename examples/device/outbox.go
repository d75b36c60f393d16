package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"
)

// An outbox keeps a device's reports until the server has acknowledged them,
// in memory to send them and in a journal in case the device dies.
type outbox struct {
	id    string        // its name: see message.Outbox
	added chan struct{} // holds something if there may be a new report

	mu      sync.Mutex // guards the fields below
	journal *journal
	done    uint64   // the reports up to this one are acknowledged
	reports []report // the others: done+1, done+2, …
}

// An outboxLine is the journal's line for a report. Acknowledgements are written down with the next
// report only. If a device forgets some of them, the server's next welcome reminds it.
type outboxLine struct {
	Outbox string `json:"outbox"`
	Done   uint64 `json:"done"`
	Report report `json:"report"`
}

// openOutbox goes on with the outbox in a file, or begins one.
func openOutbox(file string) (*outbox, error) {
	o := &outbox{id: rand.Text(), added: make(chan struct{}, 1)}
	var err error
	o.journal, err = openJournal(file, func(line []byte) error {
		var l outboxLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		o.id = l.Outbox
		o.forget(l.Done)
		if l.Report.Seq != o.last()+1 {
			return errors.New("a report is missing before this one")
		}
		o.reports = append(o.reports, l.Report)
		return nil
	})
	return o, err
}

func (o *outbox) last() uint64 { return o.done + uint64(len(o.reports)) }

// forget drops the reports up to seq.
func (o *outbox) forget(seq uint64) {
	if seq > o.done {
		o.reports = slices.Delete(o.reports, 0, min(int(seq-o.done), len(o.reports)))
		o.done = seq
	}
}

// add makes a report, whether there is a connection or not.
func (o *outbox) add(at time.Time, celsius float64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := report{o.last() + 1, at, celsius}
	if err := o.journal.append(outboxLine{o.id, o.done, r}); err != nil {
		return err
	}
	o.reports = append(o.reports, r)
	select {
	case o.added <- struct{}{}:
	default: // it is known already
	}
	return nil
}

// after returns the reports behind seq that are not acknowledged.
func (o *outbox) after(seq uint64) []report {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := min(max(seq, o.done)-o.done, uint64(len(o.reports)))
	return slices.Clone(o.reports[seen:])
}

// tidySize is the largest size of a journal that holds nothing but old lines.
const tidySize = 64 << 10

// acknowledge drops the reports up to seq, because the server has them.
func (o *outbox) acknowledge(seq uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if seq > o.last() {
		return errors.New("the server acknowledges reports that were never made")
	}
	o.forget(seq)
	if len(o.reports) == 0 && o.journal.size > tidySize {
		return o.journal.clear()
	}
	return nil
}

func (o *outbox) close() error { return o.journal.close() }
