package websocket

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/plainsocket/websocket/internal/deflate"
)

// docs/security.md shows that lengths give a secret away. Its table has to agree with the
// compressor.
func TestSecurityDocLengths(t *testing.T) {
	doc, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(token=[^`]*)`.* \\| ([0-9]+) \\|$").FindAllStringSubmatch(string(doc), -1)
	if len(rows) != 4 {
		t.Fatalf("%d rows, want 4", len(rows))
	}
	for _, row := range rows {
		message := `{"comment":"` + row[1] + `","cookie":"token=s3cr3t-4f9a1c77","ok":true}`
		if want := "and " + strconv.Itoa(len(message)) + " bytes of"; !strings.Contains(string(doc), want) {
			t.Errorf("the message has %d bytes; the text lacks %q", len(message), want)
		}
		z, ok := deflate.Append(nil, []byte(message), defaultWindowBits)
		if !ok || strconv.Itoa(len(z)) != row[2] {
			t.Errorf("%s compresses to %d bytes (%v), the table says %s", row[1], len(z), ok, row[2])
		}
	}
}
