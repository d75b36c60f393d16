package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// This file has the actions of a user. A page's elements are named by CSS selectors.

// Click moves the mouse to an element that is visible and enabled, and clicks.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.do("clicking "+selector,
		chromedp.WaitEnabled(chromedp.CSS(selector)),
		chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Fill replaces the content of a field. The text comes in one piece, as from an input method or an
// emoji picker, because no keyboard has a key for every character.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	p.do("filling "+selector,
		chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := chromedp.Evaluate[any](`document.activeElement.select()`)(ctx, t)
			return err
		}),
		chromedp.KeyEvent(kb.Backspace),
		call(input.InsertText, input.InsertTextParams{Text: text}))
}

// Press presses a key, such as "\r" for Enter, in the element that has the focus.
func (p *Page) Press(key string) {
	p.t.Helper()
	p.do(fmt.Sprintf("pressing %q", key), chromedp.KeyEvent(key))
}

// ChooseFile picks a file in a file field.
func (p *Page) ChooseFile(selector, path string) {
	p.t.Helper()
	p.do("choosing a file in "+selector, chromedp.SetUploadFiles(chromedp.CSS(selector), []string{path}))
}

// Text returns the visible text of the first such element, "" if there is none.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return evaluate[string](p, fmt.Sprintf(
		`(e => e && e.checkVisibility() ? e.innerText : "")(document.querySelector(%q))`, selector))
}

// See waits until the visible text of an element contains each of the wanted texts.
func (p *Page) See(selector string, wanted ...string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(interval) {
		text := p.Text(selector)
		missing := missing(text, wanted)
		if missing == nil {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s shows %q after %v, without %q", selector, text, patience, missing)
		}
	}
}

func missing(text string, wanted []string) (m []string) {
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			m = append(m, w)
		}
	}
	return m
}

// Resize makes the window this large in CSS pixels, and requires that nothing
// sticks out to the right.
func (p *Page) Resize(width, height int64) {
	p.t.Helper()
	p.do("resizing", chromedp.EmulateViewport(width, height))
	if w := evaluate[int64](p, `document.documentElement.scrollWidth`); w > width {
		p.t.Errorf("the page is %d pixels wide in a window of %d", w, width)
	}
}

// Quiet requires that the browser's console is empty: no exception, no file
// that is missing, nothing that the content security policy had to stop.
func (p *Page) Quiet() {
	p.t.Helper()
	if c := p.complaints(); len(c) > 0 {
		p.t.Errorf("the browser complains: %s", strings.Join(c, "; "))
	}
}

// Labelled requires that every control has a name that a screen reader can say.
func (p *Page) Labelled() {
	p.t.Helper()
	var controls int
	p.do("reading the accessibility tree", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		tree, err := cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		for _, n := range tree.Nodes {
			switch role := said(n.Role); role {
			case "button", "textbox", "checkbox", "radio", "combobox", "slider", "spinbutton", "link", "log", "main":
				controls++
				if said(n.Name) == "" && role != "main" {
					p.t.Errorf("a %s has no accessible name", role)
				}
			}
		}
		return err
	}))
	if controls == 0 {
		p.t.Error("the accessibility tree shows no control at all")
	}
}

// said returns a value of the accessibility tree, which comes as JSON.
func said(v *accessibility.Value) (s string) {
	if v != nil {
		json.Unmarshal(v.Value, &s) // other values than strings have no text
	}
	return s
}

// do performs steps, all of them within the patience for one thing.
func (p *Page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

func evaluate[T any](p *Page, script string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return v
}
