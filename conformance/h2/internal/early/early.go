// Package early turns WebSocket over HTTP/2 on for this module's tests and commands, as an operator
// does by GODEBUG=http2xconnect=1.
//
// Package net/http reads that variable once, when it is initialized. Packages are initialized in the
// order of their paths, as soon as those that they import are. This one imports os only, which
// net/http needs too, and its path comes first.
package early

import "os"

// Before is the value that GODEBUG had.
var Before = os.Getenv("GODEBUG")

func init() {
	value := "http2xconnect=1"
	if Before != "" {
		value = Before + "," + value
	}
	os.Setenv("GODEBUG", value)
}
