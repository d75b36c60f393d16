package websocket

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readingLink matches a link to a Go file.
var readingLink = regexp.MustCompile(`\]\(\.\./([a-z0-9_/]+\.go)\)`)

// docs/reading.md has the one reading order of the source: every file of the root, of
// its rooms and of pubsub once, frame.go first and then mask.go.
func TestReadingOrder(t *testing.T) {
	order, err := os.ReadFile("docs/reading.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, link := range readingLink.FindAllStringSubmatch(string(order), -1) {
		named = append(named, link[1])
	}
	if len(named) < 2 || named[0] != "frame.go" || named[1] != "mask.go" {
		t.Errorf("the reading order begins with %q, want frame.go and mask.go", named[:min(2, len(named))])
	}
	for _, problem := range readingProblems(named, readingFiles(t)) {
		t.Error(problem)
	}
}

// readingFiles returns the paths of the files that the reading order has to name.
func readingFiles(t *testing.T) (paths []string) {
	for _, dir := range append([]string{".", "pubsub"}, layersRooms...) {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		for _, name := range layersNonTestFiles(t, dir) {
			paths = append(paths, filepath.ToSlash(filepath.Join(dir, name)))
		}
	}
	return paths
}

// readingProblems compares the files that are named with those that there are.
func readingProblems(named, files []string) (problems []string) {
	count := make(map[string]int)
	for _, name := range named {
		count[name]++
	}
	for _, file := range files {
		switch count[file] {
		case 0:
			problems = append(problems, "docs/reading.md lacks "+file)
		case 1:
		default:
			problems = append(problems, "docs/reading.md names "+file+" more than once")
		}
		delete(count, file)
	}
	for name := range count {
		problems = append(problems, "docs/reading.md names "+name+", which does not exist")
	}
	slices.Sort(problems)
	return problems
}

func TestReadingProblems(t *testing.T) {
	got := readingProblems([]string{"a.go", "gone.go", "b.go", "a.go"}, []string{"a.go", "b.go", "new.go"})
	want := []string{
		"docs/reading.md lacks new.go",
		"docs/reading.md names a.go more than once",
		"docs/reading.md names gone.go, which does not exist",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A newcomer has five minutes.
func TestReadmeLength(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(readme, []byte("\n")); lines > 150 {
		t.Errorf("README.md has %d lines, want 150 at most: longer texts belong into docs/", lines)
	}
}

// The programs of the README compile in a module of their own, which is made by the commands that
// the README gives for that.
func TestReadmePrograms(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	commands := regexp.MustCompile(`(?m)^    go mod (.*)$`).FindAllStringSubmatch(string(readme), -1)
	if len(commands) != 2 {
		t.Fatalf("the README has %d commands of go mod, want 2", len(commands))
	}
	for _, command := range commands {
		args := strings.ReplaceAll(command[1], "/path/to/the/clone", root)
		readmeGo(t, dir, append([]string{"mod"}, strings.Fields(args)...)...)
	}
	programs := regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(programs) != 2 {
		t.Fatalf("the README has %d programs, want a server and a client", len(programs))
	}
	for _, program := range programs {
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program[1]), 0o666); err != nil {
			t.Fatal(err)
		}
		readmeGo(t, dir, "vet", ".")
	}
}

// readmeGo runs the go command in dir, without a network.
func readmeGo(t *testing.T, dir string, args ...string) {
	t.Helper()
	command := exec.Command("go", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// examples/README.md names every program that there is.
func TestReadmeOfExamples(t *testing.T) {
	readme, err := os.ReadFile("examples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.Contains(string(readme), "| ["+e.Name()+"]("+e.Name()+") |") {
			t.Errorf("examples/README.md lacks %s", e.Name())
		}
	}
}

// docLink matches a link to a file of this repository, and its heading.
var docLink = regexp.MustCompile(`\]\(([^)#:]*)(#[a-z0-9-]+)?\)`)

// The pages link to files that exist, and to headings that their target has.
func TestDocLinks(t *testing.T) {
	for _, page := range docPages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range docLink.FindAllStringSubmatch(string(text), -1) {
			target := page
			if link[1] != "" {
				target = filepath.Join(filepath.Dir(page), link[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, link[1])
			} else if link[2] != "" && !slices.Contains(docHeadings(t, target), link[2]) {
				t.Errorf("%s links to %s, which has no heading %s", page, target, link[2])
			}
		}
	}
}

// docPages returns the Markdown files of all directories.
func docPages(t *testing.T) (pages []string) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "node_modules" {
			return filepath.SkipDir // packages that benchmarks/others/build.sh has brought
		}
		if err == nil && filepath.Ext(path) == ".md" {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	return pages
}

// docHeadings returns the anchors that GitHub makes of a page's headings.
func docHeadings(t *testing.T, page string) (anchors []string) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		title := strings.TrimLeft(line, "#")
		if len(title) == len(line) || !strings.HasPrefix(title, " ") {
			continue
		}
		anchor := regexp.MustCompile("[^a-z0-9 _-]").ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
		anchors = append(anchors, "#"+strings.ReplaceAll(anchor, " ", "-"))
	}
	return anchors
}
