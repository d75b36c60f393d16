package main

import (
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

func TestAskedAfter(t *testing.T) {
	addr := start(t, time.Minute)
	const wrong = "wrong user name or password; attempts left: "
	for _, tt := range []struct {
		name  string
		lines []string
		heard string // joined
		code  int
	}{
		{"right at once", []string{"demo", secret, "hello", ""},
			"user name:|password:|welcome, demo|your submit context: hello|your submit context: ", 1000},
		{"wrong name, then right", []string{"root", secret, "demo", secret, "x"},
			"user name:|password:|" + wrong + "2|user name:|password:|welcome, demo|your submit context: x", 1000},
		{"three times wrong", []string{"demo", "", "demo", secret + "x", "demo", secret[1:], "demo", secret},
			"user name:|password:|" + wrong + "2|user name:|password:|" + wrong + "1|user name:|password:", 1008},
		{"leaves while asked", nil, "user name:", 1000},
		{"much too long", []string{strings.Repeat("x", 2000)}, "user name:", 1009},
	} {
		c, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/after", nil)
		if err != nil {
			t.Fatal(err)
		}
		heard, end := converse(t, c, tt.code == 1000, tt.lines...)
		if got := strings.Join(heard, "|"); got != tt.heard || !websocket.IsCloseError(end, tt.code) {
			t.Errorf("%s: heard %q and %v; want %q and %d", tt.name, got, end, tt.heard, tt.code)
		}
	}
}

func TestLoggingInTakesTooLong(t *testing.T) {
	addr := start(t, 50*time.Millisecond)
	c, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/after", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for {
		_, _, err := c.ReadMessage()
		if err == nil {
			continue // the question
		}
		if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) || !strings.Contains(err.Error(), "too long") {
			t.Errorf("no answer: %v, want 1008", err)
		}
		return
	}
}

// A visitor who is logged in is not a stranger any more: neither time nor size are limited so
// tightly.
func TestLimitsEndWithLogin(t *testing.T) {
	const patience = time.Second
	c, _, err := websocket.DefaultDialer.Dial("ws://"+start(t, patience)+"/after", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, line := range []string{"demo", secret} {
		c.WriteMessage(websocket.TextMessage, []byte(line))
	}
	for range 3 { // two questions and the welcome
		if _, _, err := c.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(patience + patience/10)
	long := strings.Repeat("x", 10_000)
	heard, end := converse(t, c, true, long)
	if len(heard) != 1 || heard[0] != "your submit context: "+long || !websocket.IsCloseError(end, websocket.CloseNormalClosure) {
		t.Errorf("%d bytes after %v: %.50q, %v", len(long), patience, heard, end)
	}
}
