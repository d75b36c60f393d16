package browser

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/debugger"
	"github.com/chromedp/cdproto/network"
)

// Pages of very different speed: one whose script stands still, and one behind a thin line.

// StandStill stops the page's script when it runs next: nothing reads what comes for it.
func (p *Page) StandStill() {
	p.t.Helper()
	p.do("stopping the script", call(debugger.Enable, debugger.EnableParams{}), call(debugger.Pause, cdp.Empty{}))
}

// GoOn lets the page's script run again.
func (p *Page) GoOn() {
	p.t.Helper()
	p.do("letting the script run", call(debugger.Resume, debugger.ResumeParams{}), call(debugger.Disable, cdp.Empty{}))
}

// Throttle makes the page's line this thin, in bytes a second in each direction.
func (p *Page) Throttle(bytes float64, latency time.Duration) {
	p.t.Helper()
	p.do("throttling", call(network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{
			Latency: float64(latency.Milliseconds()), DownloadThroughput: bytes, UploadThroughput: bytes}}}))
}

var spoken = regexp.MustCompile(`word \d+`)

func TestChatWithSlowPages(t *testing.T) {
	server := Start(t, "chat")
	ann, bob, still, thin := Open(t, server.URL), Open(t, server.URL), Open(t, server.URL), Open(t, server.URL)
	joinChat(ann, "Ann")
	joinChat(bob, "Bob")
	joinChat(still, "Still")
	joinChat(thin, "Thin")
	thin.Throttle(2000, 200*time.Millisecond)
	still.See("#people", "Ann", "Bob", "Still", "Thin")
	still.StandStill()

	t.Log("the others talk as if nothing was")
	var want []string
	for i := range 10 {
		from, to := ann, bob
		if i%2 == 1 {
			from, to = bob, ann
		}
		word := fmt.Sprintf("word %d", i)
		want = append(want, word)
		from.Fill("#text", word)
		from.Press("\r")
		from.See("#log", word)
		to.See("#log", word)
	}

	t.Log("somebody comes, finds it all, and goes")
	t.Run("Eve", func(t *testing.T) { // whose browser ends with this
		eve := Open(t, server.URL)
		joinChat(eve, "Eve")
		eve.See("#people", "Ann", "Bob", "Eve", "Still", "Thin")
		eve.See("#log", want...)
		ann.See("#people", "Eve")
		eve.Quiet()
	})
	ann.See("#log", "Eve left")

	t.Log("the slow ones get all of it in the end, once and in order")
	still.GoOn()
	for _, page := range []*Page{ann, bob, still, thin} {
		page.See("#log", "Eve left")
		if got := spoken.FindAllString(page.Text("#log"), -1); !slices.Equal(got, want) {
			t.Errorf("a page shows %q", got)
		}
		if people := page.Text("#people"); people != "Ann\nBob\nStill\nThin" {
			t.Errorf("a page shows that here are %q", people)
		}
		page.See("#state", "you are")
		page.Quiet()
	}
}

// prices returns the number that an element shows.
func prices(page *Page, id string) (n int) {
	page.t.Helper()
	return evaluate[int](page, `Number(document.querySelector("`+id+`").textContent.replace(/\D/g, ""))`)
}

func TestTickerWithSlowPages(t *testing.T) {
	server := Start(t, "ticker")
	fast, still, thin := Open(t, server.URL), Open(t, server.URL), Open(t, server.URL)
	for _, page := range []*Page{fast, still, thin} {
		page.See("#state", "connected")
		page.See("#received", "a second")
	}
	rate := prices(fast, "#rate")
	still.StandStill()
	thin.Throttle(10_000, 100*time.Millisecond)
	best := 0
	for range 8 {
		time.Sleep(time.Second)
		best = max(best, prices(fast, "#received"))
		t.Logf("fast %d of %d, %d ms late; thin %d, %d ms late", prices(fast, "#received"), rate, prices(fast, "#lag"),
			prices(thin, "#received"), prices(thin, "#lag"))
	}
	if best < rate/2 {
		t.Errorf("beside slow pages, a fast one gets %d of %d prices a second", best, rate)
	}
	still.GoOn()
	still.See("#state", "connected")
	for _, page := range []*Page{fast, still} {
		page.See("#received", ",") // a thousand and more
		page.Quiet()
	}
}
