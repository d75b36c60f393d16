package browser

import "testing"

func TestAuth(t *testing.T) {
	t.Setenv("AUTH_PASSWORD", "correct horse")
	server := Start(t, "auth")
	page := Open(t, server.URL)
	page.Labelled()

	t.Log("after: asked over the connection")
	page.Click("#connect-after")
	page.See("#log", "user name:")
	for _, line := range []string{"demo", "wrong", "demo", "correct horse", "hello"} {
		page.Fill("#line", line)
		page.Press("\r")
	}
	page.See("#log", "attempts left: 2", "welcome, demo", "your submit context: hello")
	page.Click("#exit")
	page.See("#state", "closed: 1000")

	t.Log("wrong three times")
	page.Click("#connect-after")
	page.See("#state", "connected")
	for range 6 {
		page.Fill("#line", "wrong")
		page.Press("\r")
	}
	page.See("#state", "closed: 1008 too many wrong passwords")
	page.Resize(320, 640)
	page.Resize(1200, 900)

	t.Log("before: logged in by a form")
	page.Fill("#name", "demo")
	page.Fill("#password", "correct horse")
	page.Click("#login-form button")
	page.See("#login-result", "Logged in")
	page.Click("#connect-before")
	page.See("#state", "connected")
	page.Fill("#line", "hello again")
	page.Press("\r")
	page.See("#log", "your submit context: hello again")
	page.Resize(320, 640)
	page.Quiet()

	t.Log("not logged in")
	page.Click("#logout")
	page.See("#login-result", "Logged out")
	page.Click("#connect-before")
	page.See("#error", "Are you logged in?")
}
