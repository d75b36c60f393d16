package deflate_test

import (
	"fmt"

	"github.com/plainsocket/websocket/internal/deflate"
)

// The second message is like the first, so it is sent as a reference to the first.
func Example() {
	c, d := deflate.NewCompressor(12), deflate.NewDecompressor(12, true)
	for _, text := range []string{
		`{"bid":10.5,"ask":10.6,"currency":"EUR"}`,
		`{"bid":10.4,"ask":10.7,"currency":"EUR"}`,
	} {
		compressed, ok := c.Append(nil, []byte(text))
		if !ok {
			fmt.Println("send it as it is")
			continue
		}
		d.Feed(compressed, true)
		message, _, err := d.Append(nil, 1<<20)
		fmt.Printf("%d bytes as %d: %s, %v\n", len(text), len(compressed), message, err)
	}
	// Output:
	// 40 bytes as 39: {"bid":10.5,"ask":10.6,"currency":"EUR"}, <nil>
	// 40 bytes as 10: {"bid":10.4,"ask":10.7,"currency":"EUR"}, <nil>
}

// A message arrives in pieces, and goes out into a small buffer.
func ExampleDecompressor() {
	compressed, _ := deflate.Append(nil, []byte("the cat, the dog, the fox, the cat, the dog, the fox"), 15)
	d := deflate.NewDecompressor(15, false)
	for i, status := 0, deflate.NeedInput; status != deflate.Done; {
		if status == deflate.NeedInput {
			piece := compressed[i:min(i+10, len(compressed))]
			i += len(piece)
			d.Feed(piece, i == len(compressed))
		}
		var p []byte
		var err error
		if p, status, err = d.Append(nil, 16); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%q\n", p)
	}
	// Output:
	// "the cat, "
	// "the dog, the fox"
	// ", the cat, the d"
	// "og, the fox"
}
