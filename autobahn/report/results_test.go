package main

import "testing"

func TestPart(t *testing.T) {
	h := heading{suite: "Suite 1.0", goVersion: "go1.26", command: "run.sh server"}
	const want = `
Suite 1.0; go1.26. Made again by ` + "`run.sh server`" + `.

| section | cases | OK | informational | other |
|---|--:|--:|--:|--:|
| 1 frame lengths | 2 | 1 | 0 | 1 |
| 7 closing handshake | 1 | 0 | 1 | 0 |
| 12 compression, five kinds of data | 2 | 0 | 0 | 2 |
| all | 5 | 1 | 1 | 3 |

FAILED: 1.1.2.

INFORMATIONAL: 7.1.6.

UNIMPLEMENTED: 12.1.1, 12.1.2.
`
	if got := part(h, tally(someOutcomes), someOutcomes); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestReplacePart(t *testing.T) {
	b := replacePart("", "B", "\nold\n")
	ab := replacePart(b, "A", "\nfirst\n")
	if want := resultsIntro + "\n## A\n\nfirst\n\n## B\n\nold\n"; ab != want {
		t.Errorf("got:\n%s\nwant:\n%s", ab, want)
	}
	if got := replacePart(replacePart("", "A", "\nfirst\n"), "B", "\nold\n"); got != ab {
		t.Errorf("the order of the runs shows:\n%s\nand:\n%s", got, ab)
	}
	if got := replacePart(ab, "B", "\nold\n"); got != ab {
		t.Errorf("the same run again changes the file to:\n%s", got)
	}
	want := resultsIntro + "\n## A\n\nfirst\n\n## B\n\nnew\n"
	if got := replacePart(ab, "B", "\nnew\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
