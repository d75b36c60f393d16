package browser

import (
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

	t.Log("one page is busy for ten seconds: it gets fewer, and the other does not notice")
	// It cannot answer meanwhile, so it looks at itself.
	evaluate[any](slow, `
		new MutationObserver(() => {
			if (!document.querySelector("#superseded").textContent.startsWith("0 ")) document.title = "behind";
		}).observe(document.querySelector("#superseded"), { childList: true });
		setTimeout(() => { for (const end = performance.now() + 10_000; performance.now() < end;); }, 100);`)
	time.Sleep(9 * time.Second)
	fast.See("#received", ",") // a thousand and more
	time.Sleep(5 * time.Second)
	slow.See("#received", ",")
	if title := evaluate[string](slow, "document.title"); title != "behind" {
		t.Error("nothing was superseded for the slow page")
	}

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
