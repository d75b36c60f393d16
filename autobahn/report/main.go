// Command report is the half of run.sh that reads and writes files. It deals the cases of the
// Autobahn suite to several wstest processes. After they are done, it joins their results and
// compares them with the list of cases.
//
//	report specs [flags] DIR                 write DIR/1/spec.json, DIR/2/spec.json, …
//	report check [flags] DIR                 read DIR/1/index.json, DIR/2/index.json, …
//
// Both need -list. Use -help after the verb to see the other flags.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

// errNotPassed makes the exit status 1. The table has already said why.
var errNotPassed = errors.New("not passed")

func main() {
	err := run(os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, errNotPassed):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "specs":
			return specs(os.Stdout, args[1:])
		case "check":
			return check(os.Stdout, args[1:])
		}
	}
	return errors.New("usage: report specs|check [flags] DIR")
}

// selection holds the flags that both verbs share. They must mean the same cases. Otherwise a case
// that was never run would not be missed.
type selection struct {
	list, patterns *string
}

func selectionFlags(fs *flag.FlagSet) selection {
	return selection{
		list:     fs.String("list", "", "`file` with the id of every case of the suite, one a line"),
		patterns: fs.String("cases", "*", "comma-separated `patterns` of case ids, as in 1.*,6.4.1"),
	}
}

func (s selection) cases() ([]string, error) {
	data, err := os.ReadFile(*s.list)
	if err != nil {
		return nil, err
	}
	return selectCases(parseList(string(data)), *s.patterns)
}
