package websocket

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// TestMain runs all tests and then checks that they left nothing behind. Every goroutine and
// descriptor of a connection must end with it.
func TestMain(m *testing.M) {
	flag.Parse()
	waitTogether()
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()
	if runtime.GOOS == "js" {
		goroutines++ // the runtime's own, which handles events
	}
	code := m.Run()
	if fuzzing := flag.Lookup("test.fuzz"); fuzzing != nil && fuzzing.Value.String() != "" {
		os.Exit(code) // the fuzzer has goroutines of its own
	}
	if code == 0 && !settles(goroutines, descriptors) {
		buf := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "leak: %d goroutines and %d descriptors before the tests, %d and %d after\n%s\n",
			goroutines, descriptors, runtime.NumGoroutine(), openDescriptors(), buf[:runtime.Stack(buf, true)])
		code = 1
	}
	os.Exit(code)
}

// waitTogether lets more parallel tests run than there are processors, unless -parallel says
// otherwise, because most of their time is waiting.
func waitTogether() {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", strconv.Itoa(max(8, runtime.GOMAXPROCS(0))))
	}
}

// settles waits for goroutines that are just ending.
func settles(goroutines, descriptors int) bool {
	for range 100 {
		// The test binary opens a few descriptors of its own: the poller's, and
		// those of files given on the command line.
		if runtime.NumGoroutine() <= goroutines && openDescriptors() <= descriptors+4 {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}

// openDescriptors counts this process's descriptors, or returns 0 if the system cannot tell.
func openDescriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
