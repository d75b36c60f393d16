package deflate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// The codec is measured and tested with these messages. They are made here, the same in every
// run. They differ from real traffic, so the figures compare codecs and do not predict a ratio.

type corpus struct {
	name     string
	messages [][]byte
}

// size returns the sum of the messages' lengths.
func (c corpus) size() (n int) {
	for _, m := range c.messages {
		n += len(m)
	}
	return n
}

func corpora() []corpus {
	return []corpus{
		{"ticks", tickMessages(2000)},
		{"chat", chatMessages(2000)},
		{"json1k", orderMessages(600, 4)},
		{"json16k", orderMessages(48, 64)},
		{"text1k", textMessages(600, 1024)},
		{"text16k", textMessages(48, 16<<10)},
	}
}

func corpusRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 6455)) }

// tickMessages returns quotes of some 60 bytes.
func tickMessages(n int) [][]byte {
	r := corpusRand(1)
	symbols := strings.Fields("BTCUSD ETHUSD EURUSD GBPJPY XAUUSD AAPL MSFT NVDA TSLA AMZN")
	price := make([]float64, len(symbols))
	for i := range price {
		price[i] = 20 + 400*r.Float64()
	}
	messages := make([][]byte, n)
	t := int64(1700000000000)
	for i := range messages {
		k := r.IntN(len(symbols))
		price[k] += r.NormFloat64() * 0.05
		t += r.Int64N(40)
		messages[i] = fmt.Appendf(nil, `{"s":"%s","p":%.2f,"q":%d,"t":%d}`,
			symbols[k], price[k], 1+r.IntN(900), t)
	}
	return messages
}

// chatMessages returns messages of some 200 bytes: an envelope and a sentence or two.
func chatMessages(n int) [][]byte {
	r, text := corpusRand(2), newTextSource(3)
	users := make([]string, 24)
	for i := range users {
		users[i] = text.name()
	}
	messages := make([][]byte, n)
	for i := range messages {
		messages[i] = fmt.Appendf(nil,
			`{"type":"message","id":"%08x","room":"%s","user":"%s","ts":%d,"text":"%s"}`,
			r.Uint32(), []string{"general", "random", "support"}[r.IntN(3)],
			users[r.IntN(len(users))], 1700000000+i*7+r.IntN(7), text.words(8+r.IntN(28)))
	}
	return messages
}

// orderMessages returns arrays of orders, each order some 240 bytes.
func orderMessages(n, orders int) [][]byte {
	type order struct {
		ID       int      `json:"id"`
		Account  string   `json:"account"`
		Symbol   string   `json:"symbol"`
		Side     string   `json:"side"`
		Price    float64  `json:"price"`
		Quantity int      `json:"quantity"`
		Filled   int      `json:"filled"`
		Status   string   `json:"status"`
		Created  string   `json:"created_at"`
		Token    string   `json:"token"`
		Tags     []string `json:"tags"`
	}
	r, text := corpusRand(4), newTextSource(5)
	messages := make([][]byte, n)
	for i := range messages {
		list := make([]order, orders)
		for k := range list {
			list[k] = order{
				ID:       100000 + r.IntN(900000),
				Account:  fmt.Sprintf("ACC-%06d", r.IntN(4000)),
				Symbol:   []string{"EUR/USD", "GBP/USD", "USD/JPY", "XAU/USD"}[r.IntN(4)],
				Side:     []string{"buy", "sell"}[r.IntN(2)],
				Price:    float64(r.IntN(2000000)) / 1000,
				Quantity: (1 + r.IntN(50)) * 100,
				Filled:   r.IntN(5000),
				Status:   []string{"new", "partially_filled", "filled", "cancelled"}[r.IntN(4)],
				Created:  fmt.Sprintf("2026-%02d-%02dT%02d:%02d:%02dZ", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60)),
				Token:    fmt.Sprintf("%012x", r.Uint64()>>16),
				Tags:     strings.Fields(text.words(r.IntN(3))),
			}
		}
		messages[i], _ = json.Marshal(list)
	}
	return messages
}

// textMessages returns prose, as a machine with a list of words writes it.
func textMessages(n, size int) [][]byte {
	text := newTextSource(7)
	messages := make([][]byte, n)
	for i := range messages {
		var b bytes.Buffer
		for b.Len() < size {
			s := text.words(4 + text.r.IntN(16))
			b.WriteString(strings.ToUpper(s[:1]) + s[1:])
			b.WriteString([]string{". ", ". ", ". ", ", and ", "; ", "?\n"}[text.r.IntN(6)])
		}
		messages[i] = b.Bytes()[:size]
	}
	return messages
}

// A textSource draws words by Zipf's law. After each word it prefers three others, because in a
// language some words follow others.
type textSource struct {
	r      *rand.Rand
	zipf   *rand.Zipf
	lexeme []string
	after  [][3]int
}

const commonWords = `the of and to a in that it is was for on with as he be at by had not are but from or have an
they which one you were her all she there would their we him been has when who will more no if out so said what up its
about into than them can only other new some could time these two may then do first any my now such like our over man me
even most made after also did many before must through back years where much your way well down should because each just
those people how too little state good very make world still own see men work long get here between both life being under
never day same another know while last might us great old year off come since against go came right used take three`

func newTextSource(seed uint64) *textSource {
	s := &textSource{r: corpusRand(seed), lexeme: strings.Fields(commonWords)}
	for len(s.lexeme) < 3000 {
		s.lexeme = append(s.lexeme, s.name())
	}
	s.zipf = rand.NewZipf(s.r, 1.1, 3, uint64(len(s.lexeme)-1))
	s.after = make([][3]int, len(s.lexeme))
	for i := range s.after {
		for k := range s.after[i] {
			s.after[i][k] = int(s.zipf.Uint64())
		}
	}
	return s
}

// name returns a word of two to four syllables.
func (s *textSource) name() string {
	onset := strings.Fields("b br c ch d f g gr h j l m n p pl qu r s sh st t tr v w")
	rhyme := strings.Fields("a e i o u an en er in ing or ous al ive ect ance ent ist ure ate ion ough")
	var w string
	for range 2 + s.r.IntN(3) {
		w += onset[s.r.IntN(len(onset))] + rhyme[s.r.IntN(len(rhyme))]
	}
	return w
}

// words returns n words.
func (s *textSource) words(n int) string {
	var b strings.Builder
	w := int(s.zipf.Uint64())
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s.lexeme[w])
		if s.r.IntN(3) > 0 {
			w = s.after[w][s.r.IntN(3)]
		} else {
			w = int(s.zipf.Uint64())
		}
	}
	return b.String()
}
