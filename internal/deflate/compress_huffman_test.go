package deflate

import (
	"slices"
	"testing"
)

// Any frequencies make a complete code. It is as short as Huffman's if the limit allows.
func TestHuffmanLengths(t *testing.T) {
	r := corpusRand(11)
	for range 2000 {
		n, limit := 2+r.IntN(numLit-1), maxCodeBits
		if r.IntN(2) == 0 {
			n, limit = 2+r.IntN(numPre-1), maxPreBits
		}
		freq := make([]uint32, n)
		for i := range freq {
			if r.IntN(3) > 0 {
				freq[i] = 1 + uint32(r.IntN(1<<r.IntN(8)))
			}
		}
		freq[0], freq[n-1] = 1, 1
		checkLengths(t, freq, limit)
	}
	// Fibonacci's numbers make the deepest trees there are.
	fibonacci := []uint32{1, 1}
	for sum := uint32(2); sum < 65_000; sum += fibonacci[len(fibonacci)-1] {
		k := len(fibonacci)
		fibonacci = append(fibonacci, fibonacci[k-1]+fibonacci[k-2])
	}
	for n := 2; n < len(fibonacci); n++ {
		checkLengths(t, fibonacci[:n], maxCodeBits)
		if n <= numPre {
			checkLengths(t, fibonacci[:n], maxPreBits)
		}
	}
}

func checkLengths(t *testing.T, freq []uint32, limit int) {
	t.Helper()
	var u symbolSet
	var b treeBuilder
	lengths := make([]uint8, len(freq))
	u.fill(freq)
	counts := b.lengths(lengths, &u, limit)
	best, deepest := huffmanCost(freq)
	sum, cost := 0, 0
	for s, n := range lengths {
		if (n == 0) != (freq[s] == 0) || int(n) > limit {
			t.Fatalf("%v: symbol %d has %d bits", freq, s, n)
		}
		if n > 0 {
			counts[n]--
			sum += 1 << (limit - int(n))
			cost += int(n) * int(freq[s])
		}
	}
	if sum != 1<<limit {
		t.Fatalf("%v: the code is not complete: %v", freq, lengths)
	}
	if counts != (wordCounts{}) {
		t.Fatalf("%v: the counts differ from the lengths by %v", freq, counts)
	}
	if deepest <= limit && cost != best {
		t.Fatalf("%v: %d bits, Huffman's code has %d", freq, cost, best)
	}
	if cost > best+best/4 {
		t.Fatalf("%v: %d bits, far from the %d without a limit", freq, cost, best)
	}
}

// huffmanCost is Huffman's algorithm in its plainest form. It returns the bits of all symbols,
// and the length of the longest word.
func huffmanCost(freq []uint32) (cost, deepest int) {
	type node struct{ weight, depth int }
	var nodes []node
	for _, v := range freq {
		if v > 0 {
			nodes = append(nodes, node{int(v), 0})
		}
	}
	for len(nodes) > 1 {
		slices.SortFunc(nodes, func(a, b node) int {
			if a.weight != b.weight {
				return a.weight - b.weight
			}
			return a.depth - b.depth
		})
		sum := node{nodes[0].weight + nodes[1].weight, 1 + max(nodes[0].depth, nodes[1].depth)}
		cost += sum.weight
		nodes = append(nodes[2:], sum)
	}
	return cost, nodes[0].depth
}

// The tables of RFC 1951 section 3.2.5.
func TestDeflateTables(t *testing.T) {
	lengths := []uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59,
		67, 83, 99, 115, 131, 163, 195, 227, 258}
	if !slices.Equal(lengthBase[:], lengths) {
		t.Errorf("lengths: %v", lengthBase)
	}
	distances := []int{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513,
		769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	for s, want := range distances {
		if distBase(s) != want {
			t.Errorf("distance symbol %d begins at %d, want %d", s, distBase(s), want)
		}
	}
	for n := minMatch; n <= maxMatch; n++ {
		s := lengthSymbol[n-minMatch]
		if over := n - int(lengthBase[s]); over < 0 || over >= 1<<lengthExtra[s] {
			t.Errorf("length %d has symbol %d", n, s)
		}
	}
	for n := 1; n <= maxWindow; n++ {
		s, extra := distSymbol(n)
		if over := n - distBase(int(s)); over < 0 || over >= 1<<extra || int(extra) != distExtra(int(s)) {
			t.Fatalf("distance %d has symbol %d", n, s)
		}
	}
}
