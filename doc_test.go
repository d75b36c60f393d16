package websocket

import (
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docBrackets matches text in brackets that is meant to be a link to a name.
var docBrackets = regexp.MustCompile(`\[\*?([a-z]+\.)?[A-Z]\w*(\.[A-Z]\w*)?\]`)

// The links in the comments of all packages lead to names that exist: [Conn.ReadMessage], and
// [websocket.Conn] in another package.
func TestDocCommentLinks(t *testing.T) {
	packages := docPackages(t)
	links := 0
	for dir, pkg := range packages {
		for name, text := range docTexts(pkg) {
			n, problems := docProblems(packages, pkg, text)
			links += n
			for _, problem := range problems {
				t.Errorf("%s, the comment of %s: %s", dir, name, problem)
			}
		}
	}
	if links < 50 {
		t.Errorf("found %d links only", links)
	}
}

func TestDocCommentLinksFindsFaults(t *testing.T) {
	const text = "See [Conn.Close], [Conn.Open], [Missing], [*Conn], [websocket.Conn] and [websocket.Missing].\n\n\tc := x[Missing]\n\nMore:\n\n  - [Conn.Open]\n"
	packages := docPackages(t)
	n, got := docProblems(packages, packages["pubsub"], strings.ReplaceAll(text, "[Conn", "[websocket.Conn"))
	want := []string{"no link: [*Conn]", "no link: [Missing]", "no name: websocket.Conn.Open", "no name: websocket.Conn.Open", "no name: websocket.Missing"}
	slices.Sort(got)
	if n != 5 || !slices.Equal(got, want) {
		t.Errorf("pubsub: %d links, %q, want 5, %q", n, got, want)
	}
	n, got = docProblems(packages, packages["."], text)
	want = []string{"no link: [Conn.Open]", "no link: [Conn.Open]", "no link: [Missing]", "no name: .Missing"}
	slices.Sort(got)
	if n != 4 || !slices.Equal(got, want) {
		t.Errorf("the root: %d links, %q, want 4, %q", n, got, want)
	}
}

// docPackages returns the packages of all directories, by their paths.
func docPackages(t *testing.T) map[string]*doc.Package {
	packages := make(map[string]*doc.Package)
	err := filepath.WalkDir(".", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); name == "testdata" || name != "." && strings.HasPrefix(name, ".") {
			return fs.SkipDir
		}
		fset := token.NewFileSet()
		var files []*ast.File
		for _, name := range layersNonTestFiles(t, dir) {
			f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		if len(files) == 0 {
			return nil
		}
		slashed := filepath.ToSlash(dir)
		packages[slashed], err = doc.NewFromFiles(fset, files, path.Join(layersModule, slashed))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// docTexts returns the comments of a package that the documentation shows, by the names that they
// explain.
func docTexts(pkg *doc.Package) map[string]string {
	texts := map[string]string{"the package": pkg.Doc}
	values := func(values []*doc.Value) {
		for _, v := range values {
			texts[v.Names[0]] = v.Doc
		}
	}
	funcs := func(funcs []*doc.Func) {
		for _, f := range funcs {
			texts[f.Recv+" "+f.Name] = f.Doc
		}
	}
	values(pkg.Consts)
	values(pkg.Vars)
	funcs(pkg.Funcs)
	for _, t := range pkg.Types {
		texts[t.Name] = t.Doc
		values(t.Consts)
		values(t.Vars)
		funcs(t.Funcs)
		funcs(t.Methods)
	}
	return texts
}

// docProblems returns the number of links in a comment, and describes those that lead nowhere.
func docProblems(packages map[string]*doc.Package, pkg *doc.Package, text string) (links int, problems []string) {
	docWalk(pkg.Parser().Parse(text).Content, func(t comment.Text) {
		switch t := t.(type) {
		case comment.Plain:
			for _, found := range docBrackets.FindAllString(string(t), -1) {
				problems = append(problems, "no link: "+found)
			}
		case *comment.DocLink:
			links++
			if !docHas(packages, pkg, t) {
				problems = append(problems, "no name: "+strings.TrimPrefix(path.Base(t.ImportPath), ".")+"."+strings.TrimPrefix(t.Recv+"."+t.Name, "."))
			}
		}
	})
	return links, problems
}

// docHas reports whether the name of a link of pkg exists. It knows the names of this repository
// only.
func docHas(packages map[string]*doc.Package, pkg *doc.Package, link *comment.DocLink) bool {
	switch {
	case link.ImportPath == layersModule:
		pkg = packages["."]
	case link.ImportPath != "":
		pkg = packages[strings.TrimPrefix(link.ImportPath, layersModule+"/")]
	}
	return pkg == nil || link.Name == "" || pkg.Parser().LookupSym(link.Recv, link.Name)
}

// docWalk calls f for each piece of text that is not code.
func docWalk(blocks []comment.Block, f func(comment.Text)) {
	for _, block := range blocks {
		switch block := block.(type) {
		case *comment.Paragraph:
			docEach(block.Text, f)
		case *comment.Heading:
			docEach(block.Text, f)
		case *comment.List:
			for _, item := range block.Items {
				docWalk(item.Content, f)
			}
		}
	}
}

func docEach(texts []comment.Text, f func(comment.Text)) {
	for _, t := range texts {
		f(t)
	}
}
