// Command benchmarks sets this library beside others.
//
//	go run .           measures them; writes RESULTS.md and plot.svg
//	go run . -h        how to measure a part only
//	go run . hubs      what a message to all members costs, with members that are stuck among them
//	go run . others    measures some beside servers in other languages; writes OTHERS.md
//	go run . facts     a table of what each does, every cell by experiment
package main

import (
	"fmt"
	"os"
	"runtime/debug"
)

func main() {
	var command string
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	var err error
	switch command {
	case "facts":
		printFacts(os.Stdout)
	case "others":
		err = measureOthers(os.Args[2:])
	case "hubs":
		err = measureHubs(os.Args[2:])
	case "serve-hub": // a child of that
		err = serveHub(os.Args[2:])
	case "serve": // a child of the measuring process
		err = serveChild(os.Args[2:])
	default:
		err = measureAll(os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// version returns the version of the module that this program was built with, or "" for a directory
// that replaces it.
func version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == module && m.Replace == nil {
			return m.Version
		}
	}
	return ""
}
