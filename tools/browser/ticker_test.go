package browser

import (
	"strings"
	"testing"
	"time"
)

func TestTicker(t *testing.T) {
	server := Start(t, "ticker")
	fast, slow := Open(t, server.URL), Open(t, server.URL)
	for _, page := range []*Page{fast, slow} {
		page.See("#state", "connected")
		page.See("#prices", "AAA", "ABN")
		page.See("#received", "a second")
		page.Labelled()
	}

	t.Log("one page has work for each message: it gets fewer, and the other does not notice")
	evaluate[any](slow, `document.querySelector("#pause").value = 50;
		document.querySelector("#pause").dispatchEvent(new Event("input"))`)
	slow.See("#pause-shown", "50 ms")
	for deadline := time.Now().Add(time.Minute); strings.HasPrefix(slow.Text("#superseded"), "0"); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was superseded for the slow page")
		}
	}
	fast.See("#received", ",") // a thousand and more

	t.Log("on a phone")
	fast.Resize(320, 640)
	for _, page := range []*Page{fast, slow} {
		page.Quiet()
	}

	t.Log("a server that ends says that it restarts")
	server.Interrupt()
	fast.See("#state", "reconnecting", "1012")
	server.WaitExit()
	fast.SeeComplaint("ERR_CONNECTION_REFUSED") // an attempt that failed
	slow.SeeComplaint("ERR_CONNECTION_REFUSED")
}
