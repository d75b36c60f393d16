package conformance

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/plainsocket/websocket/internal/parktest"
)

// TestMain looks for goroutines that a connection left behind.
func TestMain(m *testing.M) {
	parktest.Always.Store(true) // for the targets of that name
	before := runtime.NumGoroutine()
	code := m.Run()
	if fuzzing := flag.Lookup("test.fuzz"); code != 0 || fuzzing != nil && fuzzing.Value.String() != "" {
		os.Exit(code)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			os.Exit(0)
		}
		time.Sleep(50 * time.Millisecond) // some are just ending
	}
	buf := make([]byte, 1<<20)
	fmt.Fprintf(os.Stderr, "leak: %d goroutines before the tests, %d after\n%s\n", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
	os.Exit(1)
}
