package browser

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
)

// offer connects the page with a list of subprotocols.
func offer(page *Page, protocols, path string) {
	page.t.Helper()
	page.Fill("#offer", protocols)
	page.do("choosing "+path, chromedp.SetValue(chromedp.CSS("#path"), path))
	page.Click("#connect")
}

func hangUp(page *Page) {
	page.t.Helper()
	page.Click("#disconnect")
	page.See("#state", "closed")
	page.See("#closed", "code 1000", "wasClean true")
}

func TestSubprotocol(t *testing.T) {
	server := Start(t, "subprotocol")
	page := Open(t, server.URL)
	page.See("#state", "not connected")
	page.Labelled()

	t.Log("wss, once the certificate is accepted, as one can in the browser's warning")
	url, _, _ := strings.Cut(strings.TrimPrefix(server.WaitOutput("or https://"), "or "), ",")
	page.do("accepting the certificate", call(security.SetIgnoreCertificateErrors,
		security.SetIgnoreCertificateErrorsParams{Ignore: true}), chromedp.Navigate(url))
	offer(page, "chat.v2", "chat")
	page.See("#state", "connected")
	page.See("#address", "wss://")
	page.See("#agreed", "chat.v2")
	page.Click("#send")
	page.See(last, "received", "from browser")
	page.do("going on without TLS", chromedp.Navigate(server.URL))

	t.Log("the newer version")
	offer(page, "chat.v2, chat", "chat")
	page.See("#state", "connected")
	page.See("#agreed", "chat.v2")
	page.Fill("#say", "Grüße 👋")
	page.Click("#send")
	page.See(last, "received", "from browser", `"text":"Grüße 👋"`)
	hangUp(page)

	t.Log("the server's order")
	offer(page, "chat, chat.v2", "strict")
	page.See("#agreed", "chat.v2")
	page.See("#meaning", "the server's order decides")
	hangUp(page)

	t.Log("the older version")
	offer(page, "soap, chat", "chat")
	page.See("#agreed", "chat")
	page.Fill("#say", "as text")
	page.Press("\r")
	page.See(last, "received", "no time in this version", "browser: as text")
	hangUp(page)

	t.Log("nothing offered, nothing agreed on")
	offer(page, "", "chat")
	page.See("#state", "connected")
	page.See("#agreed", "none")
	hangUp(page)

	t.Log("a list that is none")
	page.Fill("#offer", "chat, chat")
	page.Click("#connect")
	page.See("#error", "SyntaxError")
	page.Fill("#offer", "no token")
	page.Click("#connect")
	page.See("#error", "SyntaxError")
	page.Quiet()

	t.Log("nothing in common: the server agrees to a connection, the browser does not")
	offer(page, "chat.v3", "chat")
	page.See("#state", "closed")
	page.See("#error", "")
	page.See("#closed", "code 1006", "wasClean false")
	page.See("#meaning", "a browser fails the connection")
	server.WaitOutput(`"browser" offers chat.v3, gets none`)
	server.WaitOutput(`"browser": `) // close 1006, or a reset when "is here" had not been read
	page.SeeComplaint("Sent non-empty 'Sec-WebSocket-Protocol' header but no response was received")

	t.Log("a refusal looks the same to a script")
	offer(page, "chat.v3", "strict")
	page.See("#state", "closed")
	page.See("#closed", "code 1006", "wasClean false")
	page.SeeComplaint("Unexpected response code: 400")

	t.Log("on a phone")
	offer(page, "chat", "chat")
	page.See("#state", "connected")
	page.Resize(320, 640)
	page.Fill("#say", "still here")
	page.Click("#send")
	page.See(last, "browser: still here")

	t.Log("the server is interrupted")
	server.Interrupt()
	page.See("#closed", "code 1001", "wasClean true")
	server.WaitExit()
}

// SeeComplaint waits until the browser's console has a text in it.
func (p *Page) SeeComplaint(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(strings.Join(p.complaints(), "\n"), text); time.Sleep(interval) {
		if time.Now().After(deadline) {
			p.t.Fatalf("the browser does not complain of %q, but: %q", text, p.complaints())
		}
	}
}
