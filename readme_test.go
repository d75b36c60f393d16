package websocket

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readmeLink matches a link to a Go file.
var readmeLink = regexp.MustCompile(`\]\(([a-z0-9_/]+\.go)\)`)

// The README has the one reading order of the source: every file of the root, of
// its rooms and of pubsub once, frame.go first and then mask.go.
func TestReadmeReadingOrder(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, order, found := strings.Cut(string(readme), "\n## Reading it\n")
	if !found {
		t.Fatal(`README.md has no section "Reading it"`)
	}
	order, _, _ = strings.Cut(order, "\n## ")

	var named []string
	for _, link := range readmeLink.FindAllStringSubmatch(order, -1) {
		named = append(named, link[1])
	}
	if len(named) < 2 || named[0] != "frame.go" || named[1] != "mask.go" {
		t.Errorf("the reading order begins with %q, want frame.go and mask.go", named[:min(2, len(named))])
	}
	for _, problem := range readmeProblems(named, readmeFiles(t)) {
		t.Error(problem)
	}
}

// readmeFiles returns the paths of the files that the reading order has to name.
func readmeFiles(t *testing.T) (paths []string) {
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

// readmeProblems compares the files that are named with those that there are.
func readmeProblems(named, files []string) (problems []string) {
	count := make(map[string]int)
	for _, name := range named {
		count[name]++
	}
	for _, file := range files {
		switch count[file] {
		case 0:
			problems = append(problems, "the reading order in README.md lacks "+file)
		case 1:
		default:
			problems = append(problems, "the reading order in README.md names "+file+" more than once")
		}
		delete(count, file)
	}
	for name := range count {
		problems = append(problems, "the reading order in README.md names "+name+", which does not exist")
	}
	slices.Sort(problems)
	return problems
}

func TestReadmeProblems(t *testing.T) {
	got := readmeProblems([]string{"a.go", "gone.go", "b.go", "a.go"}, []string{"a.go", "b.go", "new.go"})
	want := []string{
		"the reading order in README.md lacks new.go",
		"the reading order in README.md names a.go more than once",
		"the reading order in README.md names gone.go, which does not exist",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
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
