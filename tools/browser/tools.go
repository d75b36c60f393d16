package browser

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tools holds the content of the developer tools' Network and Console panels. It is a second
// witness, because a page can be wrong about itself.
type tools struct {
	mu       sync.Mutex
	sent     []network.WebSocketFrame
	received []network.WebSocketFrame
	problems []string
}

// observe runs on the goroutine that reads from the browser.
func (w *tools) observe(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *network.EventWebSocketFrameSent:
		w.sent = append(w.sent, *e.Response)
	case *network.EventWebSocketFrameReceived:
		w.received = append(w.received, *e.Response)
	case *network.EventWebSocketFrameError:
		w.problems = append(w.problems, "WebSocket: "+e.ErrorMessage)
	case *runtime.EventExceptionThrown:
		w.problems = append(w.problems, "exception: "+e.ExceptionDetails.Text+" "+describe(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		w.problems = append(w.problems, fmt.Sprintf("console.%s", e.Type))
	case *cdplog.EventEntryAdded:
		w.problems = append(w.problems, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	}
}

func describe(o *runtime.RemoteObject) string {
	if o == nil {
		return ""
	}
	return o.Description
}

// complaints returns the lines of the Console panel. A good page has none.
func (w *tools) complaints() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.problems)
}

// Messages returns the WebSocket messages of the page, sent and received.
func (w *tools) Messages() (sent, received []network.WebSocketFrame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sent), slices.Clone(w.received)
}

// call makes a step of a command whose result does not matter.
func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}
