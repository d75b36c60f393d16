// Command coverage reads a profile of go test -coverprofile, and prints how many statements of
// each file ran. It fails if the rules of the protocol, which are pure functions of bytes and
// header fields, were not run to the last statement, or if less than 95 % of all others were.
//
//	go test -coverprofile=cover.out -coverpkg=./... ./...
//	go run ./tools/coverage cover.out
package main

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/plainsocket/websocket"

// pureRows is the number of rows of layerRows, in layers_test.go, that know nothing of connections.
// lock.go stands there too, but goroutines wait in it, and some of its branches need a race.
const (
	pureRows = 4
	lockFile = "lock.go"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("coverage: ")
	pure := flag.Float64("pure", 100, "the least percentage for the pure files, together")
	rest := flag.Float64("rest", 95, "the least percentage for the other files, together")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: coverage [flags] profile, in the root of the module")
	}
	profile, err := os.Open(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	blocks, err := readProfile(profile)
	if err != nil {
		log.Fatal(err)
	}
	names, err := pureFiles("layers_test.go")
	if err != nil {
		log.Fatal(err)
	}
	isPure := func(file string) bool { return slices.Contains(names, file) }
	ok := report(os.Stdout, "the rules of the protocol", *pure, selected(blocks, isPure))
	ok = report(os.Stdout, "everything else", *rest, selected(blocks, func(file string) bool { return !isPure(file) })) && ok
	if !ok {
		os.Exit(1)
	}
}

// A block is a run of statements without a branch.
type block struct {
	file        string // its path in the module
	first, last int    // its lines
	statements  int
}

// readProfile returns the blocks of this module, and whether each ran. A block that several test
// binaries report ran if it ran in one of them.
func readProfile(r io.Reader) (map[block]bool, error) {
	blocks := make(map[block]bool)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "mode:") {
			continue
		}
		b, ran, err := parseBlock(lines.Text())
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(b.file, module+"/") {
			b.file = strings.TrimPrefix(b.file, module+"/")
			blocks[b] = blocks[b] || ran
		}
	}
	if len(blocks) == 0 && lines.Err() == nil {
		return nil, fmt.Errorf("the profile has no file of %s", module)
	}
	return blocks, lines.Err()
}

// parseBlock parses a line of a profile: file:line.column,line.column statements count.
func parseBlock(line string) (b block, ran bool, err error) {
	colon := strings.LastIndex(line, ":")
	if colon < 0 {
		return b, false, fmt.Errorf("no profile has the line %q", line)
	}
	var column, count int
	b.file = line[:colon]
	_, err = fmt.Sscanf(line[colon+1:], "%d.%d,%d.%d %d %d", &b.first, &column, &b.last, &column, &b.statements, &count)
	if err != nil {
		return b, false, fmt.Errorf("no profile has the line %q: %v", line, err)
	}
	return b, count > 0, nil
}

// pureFiles returns the names of the files in the first rows of the table layerRows.
func pureFiles(layers string) (names []string, err error) {
	f, err := parser.ParseFile(token.NewFileSet(), layers, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || spec.Names[0].Name != "layerRows" {
			return true
		}
		for _, row := range spec.Values[0].(*ast.CompositeLit).Elts {
			names = append(names, rowFiles(row)...)
		}
		return false
	})
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no table layerRows", layers)
	}
	return names, nil
}

// rowFiles returns the files of a row of the table, such as 1: {"mask.go", "utf8.go"}, if it is one
// of the pure ones.
func rowFiles(row ast.Expr) (names []string) {
	pair := row.(*ast.KeyValueExpr)
	if n, _ := strconv.Atoi(pair.Key.(*ast.BasicLit).Value); n > pureRows {
		return nil
	}
	for _, name := range pair.Value.(*ast.CompositeLit).Elts {
		if s, _ := strconv.Unquote(name.(*ast.BasicLit).Value); s != lockFile {
			names = append(names, s)
		}
	}
	return names
}

// selected returns the blocks of the files that want names.
func selected(blocks map[block]bool, want func(file string) bool) map[block]bool {
	some := maps.Clone(blocks)
	maps.DeleteFunc(some, func(b block, _ bool) bool { return !want(b.file) })
	return some
}

// report prints the files that did not run to the last statement, and says whether all of them
// together reach least.
func report(w io.Writer, title string, least float64, blocks map[block]bool) bool {
	byFile := make(map[string][]block)
	ran, all := 0, 0
	for b, did := range blocks {
		byFile[b.file] = append(byFile[b.file], b)
		all += b.statements
		if did {
			ran += b.statements
		}
	}
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		if missed := missedLines(blocks, byFile[file]); missed != "" {
			fmt.Fprintf(w, "  %-36s not run: %s\n", file, missed)
		}
	}
	share := 100 * float64(ran) / float64(max(all, 1))
	verdict := "enough"
	if share < least {
		verdict = "too little"
	}
	fmt.Fprintf(w, "%s: %d of %d statements in %d files, %.1f %% (at least %g %%: %s)\n", title, ran, all, len(byFile), share, least, verdict)
	return share >= least
}

// missedLines returns the lines of the blocks that did not run, as "12-14, 20".
func missedLines(blocks map[block]bool, own []block) string {
	slices.SortFunc(own, func(a, b block) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last)) })
	var missed []string
	for _, b := range own {
		if blocks[b] || b.statements == 0 {
			continue
		}
		lines := strconv.Itoa(b.first)
		if b.last != b.first {
			lines += "-" + strconv.Itoa(b.last)
		}
		missed = append(missed, lines)
	}
	return strings.Join(missed, ", ")
}
