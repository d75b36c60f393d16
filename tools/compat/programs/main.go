// Command programs runs small programs that use github.com/gorilla/websocket over the loopback
// interface, and prints their observations, as JSON. The test in the directory above builds it
// twice, once with gorilla's package and once with this library in its place, and compares.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// A program uses the library in one way and records its observations in p.
type program struct {
	name string
	run  func(p *probe)
}

// timeLimit is the time that a program has. All are done in a fraction of it, on a busy machine
// too.
const timeLimit = time.Minute

func main() {
	log.SetFlags(0)
	var programs []program
	for _, group := range [][]program{closePrograms, readPrograms, brokenPrograms, writePrograms, jsonPrograms,
		handlerPrograms, deadlinePrograms, upgradePrograms, requestPrograms, dialPrograms, dialerPrograms, transportPrograms} {
		programs = append(programs, group...)
	}
	seen := make([]map[string]string, len(programs))
	var wg sync.WaitGroup
	turns := make(chan bool, 8) // they mostly wait
	for i, pr := range programs {
		turns <- true
		wg.Go(func() {
			seen[i] = execute(pr)
			<-turns
		})
	}
	wg.Wait()
	byName := make(map[string]map[string]string)
	for i, pr := range programs {
		if byName[pr.name] != nil {
			log.Fatalf("two programs are called %q", pr.name)
		}
		byName[pr.name] = seen[i]
	}
	if err := json.NewEncoder(os.Stdout).Encode(byName); err != nil {
		log.Fatal(err)
	}
}

// A probe collects the observations of a program.
type probe struct {
	mu    sync.Mutex
	seen  map[string]string // names and values, guarded by mu
	after []func()          // guarded by mu
}

// execute runs a program to its end, or to the end of its time.
func execute(pr program) map[string]string {
	p := &probe{seen: make(map[string]string)}
	done := start(func() {
		defer func() {
			if v := recover(); v != nil {
				p.see("panic", v)
			}
		}()
		pr.run(p)
	})
	select {
	case <-done:
		p.mu.Lock()
		after := p.after
		p.mu.Unlock()
		for _, f := range after {
			f()
		}
	case <-time.After(timeLimit):
		p.see("hangs", true)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.seen)
}

// see records an observation. Values are compared as fmt.Sprint writes them, errors as describe
// does.
func (p *probe) see(what string, value any) {
	text := fmt.Sprint(value)
	if err, ok := value.(error); ok {
		text = describe(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, n := what, 2; p.seen[what] != ""; n++ {
		what = fmt.Sprintf("%s (%d)", name, n)
	}
	p.seen[what] = text
}

// cleanup registers f to be called after the program.
func (p *probe) cleanup(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = append(p.after, f)
}

// keep keeps the connection of an Upgrade to the program's end. After its handler has returned,
// nothing else refers to it, and the garbage collector would close it.
func (p *probe) keep(c *websocket.Conn, err error) (*websocket.Conn, error) {
	if err == nil {
		p.cleanup(func() { c.Close() })
	}
	return c, err
}

// must ends the program if a step fails that the program is not about.
func (p *probe) must(err error) {
	if err != nil {
		panic(fmt.Sprintf("setting up: %v", err))
	}
}

// start calls f in a goroutine, for writes that the peer has to read at the same time. The channel
// that it returns is closed when f is done. gorilla's connections want one writer at a time, and
// notice.
func start(f func()) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

// patience is the time after which a program calls something blocked.
const patience = time.Second

// blocks reports whether f takes longer than patience.
func blocks(f func()) bool {
	select {
	case <-start(f):
		return false
	case <-time.After(patience):
		return true
	}
}
