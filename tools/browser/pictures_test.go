package browser

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var pictures = flag.String("pictures", "", "make the pictures of chat and ticker for the documentation in this `directory`, ../../docs")

// Picture keeps the look of the page in a window of this size.
func (p *Page) Picture(name string, width, height int64) {
	p.t.Helper()
	p.Resize(width, height)
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(*pictures, name), png, 0o666)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("not asked for with -pictures")
	}
	t.Run("chat", func(t *testing.T) {
		server := Start(t, "chat")
		ann, bob := Open(t, server.URL), Open(t, server.URL)
		ann.Resize(900, 480) // before the first line, so that the last one is in sight
		joinChat(ann, "Ann")
		joinChat(bob, "Bob")
		say := func(page *Page, text string) {
			page.Fill("#text", text)
			page.Press("\r")
			ann.See("#log", text)
		}
		say(ann, "Hello, Bob!")
		say(bob, "Hello Ann. Did you see the server restart just now?")
		say(ann, "The page came back by itself, and my draft was still here.")
		say(bob, "So was mine. Grüße!")
		ann.Fill("#text", "One more thing")
		evaluate[any](bob, `document.querySelector("#text").value = "W";
			document.querySelector("#text").dispatchEvent(new Event("input"))`)
		ann.See("#typing", "Bob typing")
		ann.Picture("chat.png", 900, 480)
	})
	t.Run("ticker", func(t *testing.T) {
		page := Open(t, Start(t, "ticker").URL)
		page.See("#state", "connected")
		time.Sleep(5 * time.Second)
		page.Picture("ticker.png", 1000, 640)
	})
}
