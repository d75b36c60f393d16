package compat

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// otherOnPurpose are the lines of Missing that are meant so. There are none.
var otherOnPurpose = map[string]string{}

// Every program that compiles with gorilla/websocket has to compile with the module in gorilla/. It
// has all names, all signatures and all constants' values.
func TestSurface(t *testing.T) {
	gorilla := SurfaceOf(load(t, ".", "github.com/gorilla/websocket"))
	ours := SurfaceOf(load(t, "../../gorilla", "."))
	if len(gorilla) < 80 {
		t.Fatalf("only %d names in gorilla/websocket: was it loaded?", len(gorilla))
	}
	missing := gorilla.Missing(ours)
	for _, line := range missing {
		if otherOnPurpose[line] == "" {
			t.Error(line)
		}
	}
	for line := range otherOnPurpose {
		if !slices.Contains(missing, line) {
			t.Errorf("no longer so, remove it: %s", line)
		}
	}
}

// load type-checks a package as the module in dir sees it.
func load(t *testing.T, dir, path string) *types.Package {
	t.Helper()
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedTypes | packages.NeedImports | packages.NeedDeps,
		Dir:  dir,
	}, path)
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) != 1 || len(pkgs[0].Errors) > 0 || pkgs[0].Types == nil {
		t.Fatalf("%s: %v", path, pkgs[0].Errors)
	}
	return pkgs[0].Types
}

// The comparison reports each difference that a program would notice, and nothing else.
func TestMissing(t *testing.T) {
	tests := []struct {
		name, want, have string
		lines            []string
	}{
		{"the same", "func F(a int, b ...string) error", "func F(a int, b ...string) error", nil},
		{"something more", "const A = 1", "const A = 1; const B = 2; type T struct{}; func (T) M() {}", nil},
		{"unexported", "func f() {}; type T struct{ f int; F int }; func (T) m() {}", "type T struct{ F int }", nil},
		{"parameters' names", "var F func(a int) (n int, err error)", "var F func(int) (int, error)", nil},
		{"any", "func F(v interface{}, m map[string][]interface{}) {}", "func F(v any, m map[string][]any) {}", nil},

		{"no function", "func F() {}", "", []string{"F: missing, want func()"}},
		{"another parameter", "func F(int) {}", "func F(int64) {}", []string{"F: func(int64), want func(int)"}},
		{"variadic", "func F(...int) {}", "func F([]int) {}", []string{"F: func([]int), want func(...int)"}},
		{"a variable for a function", "func F() {}", "var F func()", []string{"F: var func(), want func()"}},
		{"another value", "const A = 1000", "const A = 1001", []string{"A: const untyped int = 1001, want const untyped int = 1000"}},
		{"a typed constant", "const A = 1", "const A int = 1", []string{"A: const int = 1, want const untyped int = 1"}},
		{"another variable", "var E error", "var E *int", []string{"E: var *int, want var error"}},
		{"no field", "type T struct{ A, B int }", "type T struct{ A int }", []string{"T.B: missing, want field int"}},
		{"another field", "type T struct{ F func(*T) bool }", "type T struct{ F func(T) bool }",
			[]string{"T.F: field func(T) bool, want field func(*T) bool"}},
		{"not comparable", "type T struct{ a int }", "type T struct{ a []int }", []string{"T: type struct, want type struct, comparable"}},
		{"no struct", "type T struct{}", "type T int", []string{"T: type int, want type struct, comparable"}},
		{"no method", "type T struct{}; func (*T) M() {}", "type T struct{}", []string{"T.M: missing, want method (*T)()"}},
		{"the value has no method", "type T struct{}; func (T) M() {}", "type T struct{}; func (*T) M() {}",
			[]string{"T.M: method (*T)(), want method (T)()"}},
		{"another result", "type T int; func (T) M(a int) error { return nil }", "type T int; func (T) M(int) {}",
			[]string{"T.M: method (T)(int), want method (T)(int) error"}},
		{"a method more to implement", "type I interface{ M() }", "type I interface{ M(); N() }",
			[]string{"I: type interface{M(); N()}, want type interface{M()}"}},
		{"all at once", "const A = 1; const B = 2", "const C = 3",
			[]string{"A: missing, want const untyped int = 1", "B: missing, want const untyped int = 2"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := SurfaceOf(check(t, test.want)).Missing(SurfaceOf(check(t, test.have)))
			if !slices.Equal(got, test.lines) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(test.lines, "\n\t"))
			}
		})
	}
}

// An alias is as good as the type if it has the type's name. Under another name it is another type.
func TestMissingAliases(t *testing.T) {
	const src = "type T struct{ F func(*T) U }; func (*T) M(U) {}; type U int; func F(T, ...*U) {}"
	want := SurfaceOf(check(t, src))
	q := check(t, src)
	same := check(t, `import q "q"; type T = q.T; type U = q.U; func F(T, ...*U) {}`, q)
	if lines := want.Missing(SurfaceOf(same)); len(lines) > 0 {
		t.Errorf("aliases of the same names: %q", lines)
	}
	other := check(t, `import q "q"; type T = q.T; type U = int; func F(T, ...*U) {}`, q)
	lines := want.Missing(SurfaceOf(other))
	if !slices.Equal(lines, []string{"F: func(T, ...*int), want func(T, ...*U)"}) {
		t.Errorf("an alias of another type: %q", lines)
	}
}

// check type-checks a package that imports nothing but the ones given. Functions may lack a body.
func check(t *testing.T, src string, imports ...*types.Package) *types.Package {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", "package p; "+src, 0)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := (&types.Config{Importer: importer(imports)}).Check("p", fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// An importer has packages that were checked before, the first under the path "q".
type importer []*types.Package

func (m importer) Import(path string) (*types.Package, error) {
	if path != "q" || len(m) == 0 {
		return nil, fmt.Errorf("no package %q", path)
	}
	return m[0], nil
}
