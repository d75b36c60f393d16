package browser

import "testing"

func TestChat(t *testing.T) {
	server := Start(t, "chat")
	ann, bob := Open(t, server.URL), Open(t, server.URL)
	for page, name := range map[*Page]string{ann: "Ann", bob: "Bob"} {
		page.Labelled()
		page.Fill("#name", name)
		page.Click("#name-form button")
		page.See("#state", "you are "+name)
	}
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

	t.Log("a newcomer sees what was said")
	eve := Open(t, server.URL)
	eve.Fill("#name", "Ann")
	eve.Click("#name-form button")
	eve.See("#state", "you are Ann (2)")
	eve.See("#log", "Grüße", "hello")

	t.Log("on a phone")
	eve.Resize(320, 640)

	t.Log("the server goes away; the draft stays")
	ann.Fill("#text", "a draft")
	server.Interrupt()
	ann.See("#state", "reconnecting", "going away")
	server.WaitExit()
	ann.Click("#text-form button")
	ann.See("#error", "Your text stays here")
	if got := evaluate[string](ann, `document.querySelector("#text").value`); got != "a draft" {
		t.Errorf("the draft became %q", got)
	}
}
