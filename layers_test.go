package websocket

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layerRows has the row of each file. A file may refer to files of its own row and of those above
// it in this table, not to those below. The rules of the protocol know nothing of connections, and
// connections nothing of servers.
var layerRows = [][]string{
	1: {"doc.go", "mask.go", "utf8.go", "lock.go"},
	// An error's text names its close code, and a close code that is refused
	// is an error.
	2: {"frame.go", "close.go", "header.go"},
	3: {"inbound.go", "handshake.go", "origin.go", "request.go", "response.go"},
	4: {"compress.go"},
	5: {"conn.go", "conn_settings.go", "conn_close.go", "conn_read.go", "conn_reader.go", "conn_frames.go", "conn_buffer.go", "conn_write.go", "conn_writer.go",
		"conn_wait_unix.go", "conn_wait_other.go", "deadline.go", "keepalive.go", "trace.go", "conn_deflate.go", "conn_coalesce.go", "conn_outbox.go", "conn_drain.go", "conn_queue.go", "prepared.go", "conn_context.go", "ping.go", "write_unix.go",
		"conn_park.go", "conn_handle.go", "conn_handle_unix.go", "http2_stream.go"},
	6: {"json.go", "stream.go"},
	7: {"server.go", "server_accept.go", "server_handshake.go", "server_members.go", "server_run.go", "server_shutdown.go", "park_linux.go", "park_other.go", "upgrade.go", "upgrade_admit.go", "upgrade_http2.go",
		"client.go", "client_request.go", "client_handshake.go", "client_connect.go", "proxy.go", "client_js.go", "client_other.go", "browser_js.go"},
}

// layerRow returns a file's row, or 0 if it has none.
func layerRow(file string) int {
	return max(0, slices.IndexFunc(layerRows, func(files []string) bool { return slices.Contains(files, file) }))
}

func TestLayers(t *testing.T) {
	fset := token.NewFileSet()
	std := layersImporter(t, fset)
	covered := make(map[string]bool)
	for _, goos := range layersSystems {
		files := layersParse(t, fset, goos)
		for name := range files {
			covered[name] = true
		}
		wrong, err := layersViolations(fset, files, std)
		if err != nil {
			t.Fatalf("for %s: %v", goos, err)
		}
		for _, w := range wrong {
			t.Errorf("for %s: %s", goos, w)
		}
	}

	// The table and the directory name the same files.
	for _, name := range layersNonTestFiles(t, ".") {
		if layerRow(name) == 0 {
			t.Errorf("%s has no row in layerRows", name)
		}
		if !covered[name] {
			t.Errorf("%s was not checked: none of %v builds it", name, layersSystems)
		}
	}
	for _, name := range slices.Concat(layerRows...) {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("layerRows: %v", err)
		}
	}
}

// layersModule is the path of this module.
const layersModule = "github.com/plainsocket/websocket"

// layersRooms are the packages of this module that the root may import. They solve problems of their
// own and know nothing of WebSocket, so they import the standard library only.
var layersRooms = []string{"internal/deflate", "internal/socks5", "internal/parktest"}

// layersMayImport reports whether a file of the package in dir may import path.
func layersMayImport(dir, path string) bool {
	if path == "C" || path == "unsafe" {
		return false
	}
	if room, ok := strings.CutPrefix(path, layersModule+"/"); ok {
		return dir == "." && slices.Contains(layersRooms, room)
	}
	// Paths with a dot in their first element belong to modules.
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// The package needs nothing but the standard library, and the root stands on its two rooms only.
func TestLayersImports(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word != "module" && word != "go" && word != "" {
			t.Errorf("go.mod has %q", line)
		}
	}
	for _, dir := range append([]string{"."}, layersRooms...) {
		names := layersNonTestFiles(t, dir)
		if len(names) == 0 {
			t.Errorf("%s has no files", dir)
		}
		for _, name := range names {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range f.Imports {
				if path := strings.Trim(spec.Path.Value, `"`); !layersMayImport(dir, path) {
					t.Errorf("%s imports %s", filepath.Join(dir, name), path)
				}
			}
		}
	}
}

// Package pubsub stands on the root and the standard library, and on nothing else of this module.
func TestLayersPubsub(t *testing.T) {
	for _, name := range layersNonTestFiles(t, "pubsub") {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("pubsub", name), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			if path := strings.Trim(spec.Path.Value, `"`); path != layersModule && !layersMayImport("pubsub", path) {
				t.Errorf("pubsub/%s imports %s", name, path)
			}
		}
	}
}

func TestLayersMayImport(t *testing.T) {
	for _, tt := range []struct {
		dir, path string
		want      bool
	}{
		{".", "net/http", true},
		{".", layersModule + "/internal/deflate", true},
		{".", layersModule + "/internal/socks5", true},
		{".", layersModule + "/internal/other", false},
		{".", layersModule + "/internal/deflate/more", false},
		{".", layersModule + "/websockettest", false},
		{".", layersModule + "/pubsub", false},
		{".", layersModule + "/gorilla", false},
		{".", layersModule, false},
		{".", "golang.org/x/net/http2", false},
		{".", "unsafe", false},
		{".", "C", false},
		{"internal/socks5", "net", true},
		{"internal/socks5", layersModule, false},
		{"internal/socks5", layersModule + "/internal/deflate", false},
	} {
		if got := layersMayImport(tt.dir, tt.path); got != tt.want {
			t.Errorf("%s imports %s: %v, want %v", tt.dir, tt.path, got, tt.want)
		}
	}
}

// The test itself, on a package with one reference of each kind that must not be.
func TestLayersFindsFaults(t *testing.T) {
	fset := token.NewFileSet()
	files := make(map[string]*ast.File)
	for name, src := range map[string]string{
		"mask.go": `package p
			func f() { g() }
			var v = C
			func m(c *T) { c.method(); _ = c.field }
			func ok() { _ = &own{1}; var local int; _ = local }
			type own struct{ a int }`,
		"frame.go":  `package p; func g() { ok() }; type T struct{ field int }`,
		"close.go":  `package p; const C = 1`,
		"server.go": `package p; func (*T) method() { f() }`,
	} {
		f, err := parser.ParseFile(fset, name, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = f
	}
	got, err := layersViolations(fset, files, nil)
	want := []string{
		"mask.go (row 1) refers to C of close.go (row 2)",
		"mask.go (row 1) refers to T of frame.go (row 2)",
		"mask.go (row 1) refers to field of frame.go (row 2)",
		"mask.go (row 1) refers to g of frame.go (row 2)",
		"mask.go (row 1) refers to method of server.go (row 7)",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("found %q, %v; want %q", got, err, want)
	}
}

// layersViolations returns every reference to an object declared in a file of a higher row: a
// function, type, constant, variable, method or field.
func layersViolations(fset *token.FileSet, files map[string]*ast.File, std types.Importer) ([]string, error) {
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	config := types.Config{Importer: std}
	byName := slices.SortedFunc(maps.Values(files), func(a, b *ast.File) int { return cmp.Compare(a.Pos(), b.Pos()) })
	pkg, err := config.Check("p", fset, byName, info)
	if err != nil {
		return nil, err
	}
	found := make(map[string]bool)
	for ident, used := range info.Uses {
		if used.Pkg() != pkg || !used.Pos().IsValid() {
			continue
		}
		from := filepath.Base(fset.Position(ident.Pos()).Filename)
		to := filepath.Base(fset.Position(used.Pos()).Filename)
		if layerRow(from) < layerRow(to) {
			found[fmt.Sprintf("%s (row %d) refers to %s of %s (row %d)", from, layerRow(from), used.Name(), to, layerRow(to))] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// layersImporter imports the standard library and the rooms as the go command, which every machine
// that runs this test has, compiled them for the test itself. Only syscall/js is read from its
// source, because this system has no other.
func layersImporter(t *testing.T, fset *token.FileSet) types.Importer {
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	exports := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	std := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	return layersImports{std, "syscall/js", layersSyscallJS(t, fset, std)}
}

// layersImports imports one package from a place of its own.
type layersImports struct {
	types.Importer
	path string
	pkg  *types.Package
}

func (i layersImports) Import(path string) (*types.Package, error) {
	if path == i.path {
		return i.pkg, nil
	}
	return i.Importer.Import(path)
}

// layersSyscallJS returns package syscall/js.
func layersSyscallJS(t *testing.T, fset *token.FileSet, std types.Importer) *types.Package {
	list := exec.Command("go", "list", "-f", "{{range .GoFiles}}{{$.Dir}}/{{.}}\n{{end}}", "syscall/js")
	list.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var files []*ast.File
	for path := range strings.Lines(string(out)) {
		f, err := parser.ParseFile(fset, strings.TrimSpace(path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	// What its functions use of the runtime matters to nobody here.
	config := types.Config{Importer: std, IgnoreFuncBodies: true, Error: func(error) {}}
	pkg, _ := config.Check("syscall/js", fset, files, nil)
	return pkg
}

// layersSystems take all files between them. The imported packages are those of this system,
// because every system has the names that this package needs.
var layersSystems = []string{"linux", "darwin", "windows", "js"}

// layersParse parses the package's files for a system.
func layersParse(t *testing.T, fset *token.FileSet, goos string) map[string]*ast.File {
	context := build.Default
	context.GOOS = goos
	files := make(map[string]*ast.File)
	for _, name := range layersNonTestFiles(t, ".") {
		if match, err := context.MatchFile(".", name); err != nil || !match {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = f
	}
	return files
}

func layersNonTestFiles(t *testing.T, dir string) []string {
	names, err := fs.Glob(os.DirFS(dir), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

// The transport is read and written in few places, which the first lines of conn_read.go and
// conn_write.go name. The opening handshakes write their HTTP messages.
func TestLayersTransport(t *testing.T) {
	want := map[string][]string{
		"Read":    {"conn_buffer.go", "conn_handle_unix.go", "conn_wait_unix.go"},
		"Write":   {"client_handshake.go", "conn_write.go", "server_handshake.go", "upgrade.go", "write_unix.go"},
		"WriteTo": {"conn_write.go"},
	}
	got := make(map[string][]string)
	for _, name := range layersNonTestFiles(t, ".") {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string]bool)
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				found[layersTransportCall(call)] = true
			}
			return true
		})
		delete(found, "")
		for method := range found {
			got[method] = append(got[method], name)
		}
	}
	for _, method := range []string{"Read", "Write", "WriteTo"} {
		if !slices.Equal(got[method], want[method]) {
			t.Errorf("the transport's %s is called in %v, want %v", method, got[method], want[method])
		}
	}
}

// layersTransportCall returns Read, Write or WriteTo for c.nc.Read(…), c.raw.Read(…) and their like,
// "" for other calls.
func layersTransportCall(call *ast.CallExpr) string {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if method.Sel.Name == "WriteTo" && len(call.Args) == 1 && layersIsTransport(call.Args[0]) {
		return "WriteTo"
	}
	if name := method.Sel.Name; (name == "Read" || name == "Write") && layersIsTransport(method.X) {
		return name
	}
	return ""
}

// layersIsTransport reports whether e is c.nc or c.raw.
func layersIsTransport(e ast.Expr) bool {
	field, ok := e.(*ast.SelectorExpr)
	if !ok || field.Sel.Name != "nc" && field.Sel.Name != "raw" {
		return false
	}
	c, ok := field.X.(*ast.Ident)
	return ok && c.Name == "c"
}
