package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/plainsocket/websocket"
)

// A printer is the only one to write. Standard output gets the server's messages and nothing else,
// so that it can be piped on. Everything else goes to standard error. On a terminal both come
// together, around the prompt.
type printer struct {
	mu             sync.Mutex
	stdout, stderr io.Writer
	prompts        bool // a user types, so show prompts and notices
	safe           bool // stdout is a terminal, which obeys control characters
	prompted       bool // the prompt stands at the end
}

// prompt asks for a line.
func (p *printer) prompt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restore()
}

// entered notes that a line was typed, so the prompt is not at the end any more.
func (p *printer) entered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prompted = false
}

// finish takes the prompt away for good.
func (p *printer) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

// clear takes the prompt away, so that something can be printed in its place. The text that was
// typed behind it stays with the terminal, though out of sight.
func (p *printer) clear() {
	if p.prompted {
		io.WriteString(p.stderr, "\r\x1b[K")
		p.prompted = false
	}
}

func (p *printer) restore() {
	if p.prompts {
		io.WriteString(p.stderr, "> ")
		p.prompted = true
	}
}

// print writes text and a line break to w, in front of the prompt.
func (p *printer) print(w io.Writer, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	again := p.prompted
	p.clear()
	fmt.Fprintln(w, text)
	if again {
		p.restore()
	}
}

// dumped is the number of bytes of a binary message that are shown.
const dumped = 512

func (p *printer) message(messageType int, data []byte) {
	if messageType == websocket.BinaryMessage {
		text := fmt.Sprintf("binary, %d bytes\n%s", len(data), hex.Dump(data[:min(len(data), dumped)]))
		if len(data) > dumped {
			text += "…"
		}
		p.print(p.stdout, strings.TrimSuffix(text, "\n"))
		return
	}
	text := string(data)
	if p.safe {
		text = harmless(text)
	}
	p.print(p.stdout, text)
}

// pong shows a pong. took is less than 0 if no ping asked for it.
func (p *printer) pong(payload string, took time.Duration) {
	text := fmt.Sprintf("pong %q", payload)
	if took >= 0 {
		text += " after " + took.Round(time.Microsecond).String()
	} else {
		text += ", unasked"
	}
	p.print(p.stdout, text)
}

// notice prints text for users who type. A script only wants to hear of failures.
func (p *printer) notice(text string) {
	if p.prompts {
		p.print(p.stderr, harmless(text))
	}
}

func (p *printer) failure(text string) { p.print(p.stderr, harmless(text)) }

func (p *printer) help() { p.print(p.stderr, strings.TrimSuffix(help, "\n")) }

// harmless makes control characters visible, because a server's messages must not rule the
// terminal.
func harmless(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			fmt.Fprintf(&b, `\x%02x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
