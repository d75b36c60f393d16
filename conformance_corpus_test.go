package websocket_test

// Stand-ins for the five files that the suite's sections 12 and 13 take their messages from: of the same kind, the same size and
// about as compressible, but made here, the same on every run.

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// A corpus is what messages are cut from. Positions in text are those of characters, so that no message cuts one.
type corpus struct {
	data []byte
	at   []int // where each character starts, and where the last ends; nil for binary
}

var corpora = map[string]func() corpus{
	"json":   sync.OnceValue(func() corpus { return corpus{jsonCorpus(194056), indexes(194056)} }),
	"bitmap": sync.OnceValue(func() corpus { return corpus{data: bitmapCorpus(512)} }),
	"prose":  sync.OnceValue(func() corpus { return corpus{data: proseCorpus(222218)} }),
	"html":   sync.OnceValue(func() corpus { return textCorpus(htmlCorpus(270_000), 263620) }),
	"pdf":    sync.OnceValue(func() corpus { return corpus{data: pdfCorpus(1042328)} }),
}

func indexes(n int) []int {
	at := make([]int, n+1)
	for i := range at {
		at[i] = i
	}
	return at
}

// textCorpus is the first n characters of s.
func textCorpus(s string, n int) corpus {
	var at []int
	for i := range s {
		at = append(at, i)
	}
	at = append(at, len(s))[:n+1]
	return corpus{[]byte(s[:at[n]]), at}
}

func (c corpus) size() int {
	if c.at != nil {
		return len(c.at) - 1
	}
	return len(c.data)
}

func (c corpus) slice(from, to int) []byte {
	if c.at != nil {
		from, to = c.at[from], c.at[to]
	}
	return c.data[from:to]
}

// messages yields the suite's messages of n characters or octets: a window that slides over the corpus, and round its end.
func (c corpus) messages(n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for from := 0; ; {
			var message []byte
			if to := from + n; to < c.size() {
				message, from = c.slice(from, to), to
			} else {
				message = slices.Concat(c.slice(from, c.size()), c.slice(0, to-c.size()))
				from = to - c.size()
			}
			if !yield(message) {
				return
			}
		}
	}
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7692)) }

// jsonCorpus is a list of records that are nearly the same.
func jsonCorpus(size int) []byte {
	r, b := random(1), []byte("[")
	for i := 0; len(b) < size; i++ {
		b = fmt.Appendf(b, "\n  {\"id\": %d, \"type\": \"measurement\", \"station\": {\"name\": \"north pier\", \"unit\": \"celsius\", \"position\": [54.1813, 7.8877]},"+
			" \"value\": %d.%d, \"quality\": null, \"tags\": [\"air\", \"hourly\", \"checked\"], \"comment\": \"\", \"valid\": %v, \"source\":"+
			" \"http://example.com/stations/north-pier/measurements\", \"revision\": 1},", 10_000+i, r.IntN(40), r.IntN(10), r.IntN(20) > 0)
	}
	return b[:size]
}

// bitmapCorpus is a square grey picture with the header of its format: soft shapes, and noise over them.
func bitmapCorpus(side int) []byte {
	r, b := random(2), make([]byte, 1078, 1078+side*side)
	copy(b, "BM")
	binary.LittleEndian.PutUint32(b[2:], uint32(cap(b)))
	for i := range 256 {
		binary.LittleEndian.PutUint32(b[54+4*i:], uint32(i*0x010101))
	}
	for y := range side {
		for x := range side {
			shade := 20 + x/8 + 40*(x*x+y*y/2)/(2*side*side) + 30*((x/60+y/90)%2)
			b = append(b, byte(shade+int(12*r.NormFloat64()))|1)
			b[len(b)-1] ^= byte(r.Uint32() & 1)
		}
	}
	return b
}

// proseCorpus is German to look at: words of syllables, the frequent ones far more frequent than the others.
func proseCorpus(size int) []byte {
	r := random(3)
	syllables := strings.Fields("ge ver be en er te den un lich keit sch\u00f6n f\u00fcr \u00fcber stra\u00dfe wald haus ein sam gr\u00f6\u00df zeit lie nacht tr\u00e4u me herz aus auf " +
		"klang wind stil le m\u00e4r chen fr\u00fch ling ster ne hei mat ung heit fel der k\u00f6n nig w\u00fcr de ru he so rau schen qu\u00e4 len zwi b\u00f6 jah re pfa")
	vocabulary := make([]string, 4000)
	for i := range vocabulary {
		for range 1 + r.IntN(1+min(3, i/40)) {
			vocabulary[i] += syllables[r.IntN(len(syllables))]
		}
	}
	zipf := rand.NewZipf(r, 1.1, 6, uint64(len(vocabulary)-1))
	var b []byte
	for column, start := 0, true; len(b) < size; {
		word := vocabulary[zipf.Uint64()]
		if start || r.IntN(5) == 0 {
			first, n := utf8.DecodeRuneInString(word)
			word = strings.ToUpper(string(first)) + word[n:]
		}
		if start = r.IntN(11) == 0; start {
			word += "."
		} else if r.IntN(9) == 0 {
			word += ","
		}
		if column += len(word) + 1; column > 68 {
			word, column = word+"\r\n", 0
		} else {
			word += " "
		}
		b = append(b, word...)
	}
	return b[:size]
}

// htmlCorpus repeats large pieces of markup that have little in common within themselves: it needs a large window.
func htmlCorpus(size int) string {
	r := random(4)
	word := func() string {
		const letters = "etaoinshrdlucmfwypvbgk"
		w := make([]byte, 3+r.IntN(7))
		for i := range w {
			w[i] = letters[min(r.IntN(len(letters)), r.IntN(len(letters)))]
		}
		return string(w)
	}
	rows := make([]string, 40)
	for i := range rows {
		rows[i] = fmt.Sprintf("<div class=%q id=\"%%d\"><a href=\"/%s/%s\">%s %s</a> <%[1]s>%s, %s %s</%[1]s></div>\n", word(), word(), word(), word(), word(), word(), word(), word())
	}
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<title>caf\u00e9 \u2013 \u00dcbersicht \U0001f600</title>\n")
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, rows[(i+r.IntN(2))%len(rows)], i)
		if i%200 == 0 {
			b.WriteString("<p>\u00e0 la carte, S. 3\u00bd \u20ac</p>\n")
		}
	}
	return b.String()
}

// pdfCorpus is objects whose streams are compressed already, tables of numbers, and some text.
func pdfCorpus(size int) []byte {
	r, b := random(5), []byte("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	for i := 1; len(b) < size; i++ {
		b = fmt.Appendf(b, "%d 0 obj\n<< /Type /XObject /Subtype /Form /Length %d /Filter /FlateDecode >>\nstream\n", i, 4000)
		for range 4000 {
			b = append(b, byte(r.Uint32()))
		}
		b = append(b, "\nendstream\nendobj\n"...)
		for range 130 {
			b = fmt.Appendf(b, "%010d 00000 n \n", r.IntN(size))
		}
	}
	return b[:size]
}

// TestConformanceCorpora compares the stand-ins with what the suite's files are like: their sizes, and what raw DEFLATE of level
// 6 makes of them.
func TestConformanceCorpora(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		size, octets, deflate int
	}{
		{"json", 194056, 194056, 8436},
		{"bitmap", 263222, 263222, 223898},
		{"prose", 222218, 222218, 86346},
		{"html", 263620, 263647, 14604},
		{"pdf", 1042328, 1042328, 789804},
	} {
		c := corpora[tt.name]()
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, 6)
		w.Write(c.data)
		w.Close()
		if c.size() != tt.size || c.at != nil && !utf8.Valid(c.data) {
			t.Errorf("%s: size %d, want %d, and UTF-8 if it is text", tt.name, c.size(), tt.size)
		}
		if !near(len(c.data), tt.octets, 1) || !near(b.Len(), tt.deflate, 15) {
			t.Errorf("%s: %d octets, compressed %d; want about %d and %d", tt.name, len(c.data), b.Len(), tt.octets, tt.deflate)
		}
		t.Logf("%s: %d octets, compressed %d", tt.name, len(c.data), b.Len())
	}
}

func near(got, want, percent int) bool { return got*100 >= want*(100-percent) && got*100 <= want*(100+percent) }

// TestConformanceSlide: every message has its size, and starts where the last one ended.
func TestConformanceSlide(t *testing.T) {
	for _, c := range []corpus{textCorpus("a\u00e4\u20ac\U0001f600z", 5), {data: []byte("abcde")}} {
		var all []byte
		n := 0
		for m := range c.messages(3) {
			if size := len(m); c.at == nil && size != 3 || c.at != nil && utf8.RuneCount(m) != 3 {
				t.Errorf("message %d is %q", n, m)
			}
			all = append(all, m...)
			if n++; n == 10 {
				break
			}
		}
		if want := bytes.Repeat(c.data, 6); !bytes.Equal(all, want) {
			t.Errorf("ten messages make %q, want %q", all, want)
		}
	}
}
