package browser

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

var pictures = flag.String("pictures", "", "`directory` for the pictures of the documentation, which are made only if it is given")

// TestPictures makes the picture of the inspector that the README shows:
//
//	tools/browser/run.sh -run TestPictures -pictures "$PWD/docs"
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("no -pictures")
	}
	server := Start(t, "inspector")
	page := Open(t, server.URL)
	page.Click("#connect")
	page.See("#state", "connected")
	page.Click("#text-form button")
	page.See(last, "server → client", "Hello")
	page.Click("#log li:nth-child(2) button")
	page.See(selected, "Text frame, client → server")
	ctx, cancel := context.WithTimeout(page.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*pictures, "inspector.png"), png, 0o666); err != nil {
		t.Fatal(err)
	}
}
