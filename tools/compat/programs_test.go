package compat

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPrograms runs the programs with gorilla/websocket, and with gorilla/ put in its place by two
// lines in go.mod. They have to see the same, apart from the differences in differences_test.go.
func TestPrograms(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	gorilla := start(t, build(t, dir, "gorilla"))
	ours := start(t, build(t, dir, "ours", "-replace=github.com/gorilla/websocket="+root+"/gorilla",
		"-replace=github.com/plainsocket/websocket="+root))
	compare(t, gorilla(), ours(), differences)
}

// A sighting names an observation: the program, and the observation's name in it.
type sighting struct{ program, what string }

// nothing is the value of an observation that a program did not make.
const nothing = "(nothing)"

// compare reports differences that are in no line of the table, and lines that match no difference.
func compare(t testing.TB, gorilla, ours map[sighting]string, table []difference) {
	t.Helper()
	used := make([]bool, len(table))
	for s := range all(gorilla, ours) {
		want, got := valueOf(gorilla, s), valueOf(ours, s)
		i := slices.IndexFunc(table, func(d difference) bool { return d.explains(s, want, got) })
		switch {
		case want == got:
		case i < 0:
			t.Errorf("%s: %s\n\tgorilla: %s\n\tours:    %s", s.program, s.what, want, got)
		default:
			used[i] = true
		}
	}
	for i, d := range table {
		if !used[i] {
			t.Errorf("the table explains something that does not happen: %+v", d)
		}
	}
}

// all has the sightings of both, sorted.
func all(a, b map[sighting]string) func(yield func(sighting) bool) {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return slices.Values(slices.SortedFunc(maps.Keys(both), func(s, t sighting) int {
		return strings.Compare(s.program+"\x00"+s.what, t.program+"\x00"+t.what)
	}))
}

func valueOf(seen map[sighting]string, s sighting) string {
	if v, ok := seen[s]; ok {
		return v
	}
	return nothing
}

// A difference is one that is meant: regular expressions for whole values. An
// empty one stands for any.
type difference struct{ program, what, gorilla, ours, why string }

func (d difference) explains(s sighting, gorilla, ours string) bool {
	return matches(d.program, s.program) && matches(d.what, s.what) && matches(d.gorilla, gorilla) && matches(d.ours, ours)
}

func matches(pattern, s string) bool {
	return pattern == "" || regexp.MustCompile("(?s)^(?:"+pattern+")$").MatchString(s)
}

// build compiles the programs, with a go.mod of their own to which edits are made.
func build(t *testing.T, dir, name string, edits ...string) (binary string) {
	t.Helper()
	mod := filepath.Join(dir, name+".mod") // Go looks for name.sum in the same directory
	for from, to := range map[string]string{"go.mod": mod, "go.sum": filepath.Join(dir, name+".sum")} {
		p, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, p, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if len(edits) > 0 {
		run(t, "go", slices.Concat([]string{"mod", "edit"}, edits, []string{mod})...)
	}
	binary = filepath.Join(dir, name)
	run(t, "go", "build", "-mod=mod", "-modfile", mod, "-o", binary, "./programs")
	return binary
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// start starts the programs, which mostly wait. The function that it returns waits for their end
// and returns their observations.
func start(t *testing.T, binary string) func() map[sighting]string {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // Dialers would ask a proxy
		return strings.HasSuffix(strings.ToUpper(strings.SplitN(v, "=", 2)[0]), "_PROXY")
	})
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() map[sighting]string {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%s: %v\n%s", filepath.Base(binary), err, stderr.String())
		}
		var programs map[string]map[string]string
		if err := json.Unmarshal([]byte(stdout.String()), &programs); err != nil {
			t.Fatal(err)
		}
		return flatten(programs)
	}
}

func flatten(programs map[string]map[string]string) map[sighting]string {
	seen := make(map[sighting]string)
	for program, sights := range programs {
		for what, value := range sights {
			seen[sighting{program, what}] = value
		}
	}
	return seen
}

// The comparison itself.
func TestCompare(t *testing.T) {
	table := []difference{{program: "p", what: "error .*", gorilla: "x", ours: "y+", why: "better"}}
	tests := []struct {
		name          string
		gorilla, ours map[string]string
		complaints    int
	}{
		{"as the table says", map[string]string{"error 1": "x", "same": "v"}, map[string]string{"error 1": "yy", "same": "v"}, 0},
		{"the same: the table is old", map[string]string{"error 1": "x"}, map[string]string{"error 1": "x"}, 1},
		{"another value than the table's", map[string]string{"error 1": "x"}, map[string]string{"error 1": "z"}, 2},
		{"more of it than the table's", map[string]string{"error 1": "x"}, map[string]string{"error 1": "yz"}, 2},
		{"gorilla's value is another", map[string]string{"error 1": "z"}, map[string]string{"error 1": "y"}, 2},
		{"something else is different too", map[string]string{"error 1": "x", "b": "1"}, map[string]string{"error 1": "y", "b": "2"}, 1},
		{"something is not seen any more", map[string]string{"error 1": "x", "b": "1"}, map[string]string{"error 1": "y"}, 1},
		{"something is seen that was not", map[string]string{"error 1": "x"}, map[string]string{"error 1": "y", "b": "1"}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &complaints{TB: t}
			compare(c, flatten(map[string]map[string]string{"p": test.gorilla}), flatten(map[string]map[string]string{"p": test.ours}), table)
			if len(c.texts) != test.complaints {
				t.Errorf("%d complaints, want %d: %q", len(c.texts), test.complaints, c.texts)
			}
		})
	}
}

// complaints collects errors instead of failing.
type complaints struct {
	testing.TB
	texts []string
}

func (c *complaints) Errorf(format string, args ...any) {
	c.texts = append(c.texts, fmt.Sprintf(format, args...))
}
