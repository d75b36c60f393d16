// Package browser drives the pages of the examples in a real Chromium, as a user would. So the
// library meets a WebSocket client that was written elsewhere. The package is a module of its own
// because it needs a client for the protocol of Chromium's developer tools.
//
// Each page has one test file, which starts with
//
//	server := Start(t, "echo")
//	page := Open(t, server.URL)
//
// and goes on with the user's actions and the page's answers.
package browser

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

var (
	chrome      = flag.String("chrome", os.Getenv("CHROME"), "`path` of Chromium or Chrome (default: it is looked for)")
	screenshots = flag.String("screenshots", os.TempDir(), "`directory` for a picture of each page whose test fails")
)

const (
	patience = 10 * time.Second      // the longest wait for one thing to happen
	interval = 10 * time.Millisecond // the time between two looks
	lifetime = 2 * time.Minute       // the longest life of a browser
)

// Page is a tab in a browser of its own.
type Page struct {
	t   testing.TB
	ctx context.Context // of the tab: chromedp keeps the connection to it there
	tools
}

// Open starts a browser that shows url. The browser ends with the test. If the test fails, it
// leaves a picture of the page.
func Open(t testing.TB, url string) *Page {
	t.Helper()
	path := findChrome(t)
	ctx, cancelTime := context.WithTimeout(context.Background(), lifetime)
	// Without a directory for the user's data chromedp makes one and removes it
	// at the end, and with it every process that still uses it.
	ctx, wait := chromedp.NewExecAllocator(ctx,
		chromedp.ExecPath(path),
		chromedp.Headless,
		chromedp.NoFirstRun,
		chromedp.NoSandbox, // the sandbox asks for rights that root in a container does not have
		chromedp.DisableGPU,
		chromedp.WindowSize(1200, 900),
		// The example is all that there is to reach.
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("ignore-certificate-errors", true), // a test's certificate is its own
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-breakpad", true), // no process that waits for crashes
	)
	ctx, _ = chromedp.NewContext(ctx)
	p := &Page{t: t, ctx: ctx}
	t.Cleanup(func() {
		p.report()
		chromedp.Cancel(ctx) // asks the browser to end
		wait()
		cancelTime()
	})

	// The browser lives as long as the context of its first command does, so
	// that one has no time limit of its own.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	if err := chromedp.Listen(ctx, p.observe); err != nil {
		t.Fatal(err)
	}
	p.do("opening "+url, call(network.Enable, network.EnableParams{}), call(cdplog.Enable, cdp.Empty{}), chromedp.Navigate(url))
	return p
}

func findChrome(t testing.TB) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}
	if *chrome != "" {
		names = []string{*chrome}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("cannot run %s: install Chromium, or name it with -chrome or $CHROME", strings.Join(names, ", "))
	return ""
}

// report logs, after a failure, the look of the page and its complaints.
func (p *Page) report() {
	if !p.t.Failed() {
		return
	}
	for _, complaint := range p.complaints() {
		p.t.Logf("the browser complained: %s", complaint)
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.MkdirAll(*screenshots, 0o777)
	}
	file := filepath.Join(*screenshots, strings.ReplaceAll(p.t.Name(), "/", "-")+".png")
	if err == nil {
		err = os.WriteFile(file, png, 0o666)
	}
	if err != nil {
		p.t.Logf("no picture of the page: %v", err)
		return
	}
	p.t.Logf("the page looked like this: %s", file)
}
