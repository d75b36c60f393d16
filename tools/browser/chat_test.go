package browser

import (
	"strings"
	"syscall"
	"testing"
)

func joinChat(page *Page, name string) {
	page.t.Helper()
	page.Fill("#name", name)
	page.Click("#name-form button")
	page.See("#state", "you are "+name)
}

func value(page *Page, selector string) string {
	page.t.Helper()
	return evaluate[string](page, `document.querySelector("`+selector+`").value`)
}

// times counts a line in the chat's list.
func times(page *Page, line string) int {
	page.t.Helper()
	return strings.Count(page.Text("#log"), line)
}

// runAgain runs a chat that has ended once more, at the same address.
func runAgain(t *testing.T, ended *Server) *Server {
	t.Helper()
	s := Run(t, ended.cmd.Path, "-addr", strings.TrimPrefix(ended.URL, "http://"))
	s.waitURL()
	return s
}

func TestChat(t *testing.T) {
	server := Start(t, "chat")
	ann, bob := Open(t, server.URL), Open(t, server.URL)
	ann.Labelled()
	if focus := evaluate[string](ann, "document.activeElement.id"); focus != "name" {
		t.Errorf("the focus is on %q, not on the name", focus)
	}
	joinChat(ann, "Ann")

	t.Log("a name that cannot be seen")
	bob.Fill("#name", "\u200b")
	bob.Press("\r")
	bob.See("#error", "Your name is missing")
	bob.See("#state", "who are you?")
	joinChat(bob, "Bob")
	bob.See("#error", "")
	bob.Labelled()
	for _, page := range []*Page{ann, bob} {
		page.See("#people", "Ann", "Bob")
	}

	t.Log("talk")
	ann.Fill("#text", "Grüße, <b>Bob</b> 👋")
	ann.Click("#text-form button")
	for _, page := range []*Page{ann, bob} {
		page.See("#log", "Ann", "Grüße, <b>Bob</b> 👋")
	}
	bob.Fill("#text", "hello")
	bob.Press("\r")
	ann.See("#log", "hello")

	t.Log("who types")
	ann.Fill("#text", "h")
	evaluate[any](ann, `document.querySelector("#text").dispatchEvent(new Event("input"))`)
	bob.See("#typing", "Ann typing")

	t.Log("another path is another room")
	tea := Open(t, server.URL+"/tea")
	tea.See("#room-name", "tea")
	joinChat(tea, "Ann")
	tea.See("#people", "Ann")
	if n := times(tea, "hello"); n != 0 {
		t.Error("another room hears what is said here")
	}
	tea.Quiet()

	t.Log("a newcomer sees what was said")
	eve := Open(t, server.URL)
	eve.Fill("#name", "Ann")
	eve.Press("\r")
	eve.See("#state", "you are Ann (2)")
	eve.See("#log", "Grüße", "hello")

	t.Log("too fast: what was not said is back in the field")
	evaluate[any](eve, `for (let i = 0; i < 7; i++) {
		document.querySelector("#text").value = "line" + i;
		document.querySelector("#text-form").requestSubmit();
	}`)
	eve.See("#error", "Not so fast")
	eve.See("#log", "line4")
	if got := value(eve, "#text"); !strings.Contains(got, "line6") || times(eve, "line6") != 0 {
		t.Errorf("the field holds %q", got)
	}

	t.Log("on a phone")
	eve.Resize(320, 640)
	for _, page := range []*Page{ann, bob, eve} {
		page.Quiet()
	}
}

func TestChatComesBack(t *testing.T) {
	server := Start(t, "chat")
	ann, bob := Open(t, server.URL), Open(t, server.URL)
	joinChat(ann, "Ann")
	joinChat(bob, "Bob")
	ann.Fill("#text", "before")
	ann.Press("\r")
	bob.See("#log", "before")

	t.Log("the server goes away; the draft stays")
	ann.Fill("#text", "a draft")
	server.Interrupt()
	ann.See("#state", "reconnecting", "restarts")
	server.WaitExit()
	ann.Click("#text-form button")
	ann.See("#error", "Your text stays here")
	ann.SeeComplaint("ERR_CONNECTION_REFUSED") // an attempt that failed
	ann.See("#state", "reconnecting", "restarts")
	ann.Resize(320, 640)

	t.Log("it comes back, and so does everybody, by themselves")
	server = runAgain(t, server)
	ann.See("#state", "you are Ann")
	bob.See("#state", "you are Bob")
	ann.See("#people", "Bob")
	bob.See("#people", "Ann")
	ann.See("#error", "")
	if got := value(ann, "#text"); got != "a draft" {
		t.Errorf("the draft became %q", got)
	}
	ann.Click("#text-form button")
	for _, page := range []*Page{ann, bob} {
		page.See("#log", "before", "a draft")
	}

	t.Log("what was sent to a server that dies without reading it is back in the field")
	server.signal(syscall.SIGSTOP)
	ann.Fill("#text", "into the void")
	ann.Press("\r")
	ann.Fill("#text", "and a draft")
	server.signal(syscall.SIGKILL)
	<-server.exited
	ann.See("#state", "reconnecting", "lost")
	runAgain(t, server)
	ann.See("#error", "in the field again")
	if got := value(ann, "#text"); got != "into the void and a draft" {
		t.Errorf("the field holds %q", got)
	}
	for _, line := range []string{"before", "a draft"} {
		if n := times(ann, line); n != 1 {
			t.Errorf("%q is shown %d times", line, n)
		}
	}
}
