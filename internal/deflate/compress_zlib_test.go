package deflate

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Flags of testdata/zlibcheck.py.
const (
	zlibForget  = 1
	zlibRefused = 2
)

// A zlibCheck collects messages for testdata/zlibcheck.py.
type zlibCheck struct {
	records bytes.Buffer
	count   int
}

func (c *zlibCheck) add(bits, flags int, compressed, plain []byte) {
	c.count++
	c.records.Write([]byte{byte(bits), byte(flags)})
	binary.Write(&c.records, binary.LittleEndian, [2]uint32{uint32(len(compressed)), uint32(len(plain))})
	c.records.Write(compressed)
	c.records.Write(plain)
}

// addSequence adds messages that refer to the ones before, every third of them in pieces. It also
// adds each message alone.
func (c *zlibCheck) addSequence(bits int, messages [][]byte) {
	var alone [][]byte
	d, flags := NewCompressor(bits), zlibForget
	for i, m := range messages {
		z, ok := []byte(nil), true
		if i%3 == 0 {
			z = d.AppendPiece(nil, m[:len(m)/3], false)
			z = d.AppendPiece(z, m[len(m)/3:], true)
		} else if z, ok = d.Append(nil, m); !ok {
			continue
		}
		c.add(bits, flags, z, m)
		flags = 0
		if z, ok := Append(nil, m, bits); ok {
			alone = append(alone, z, m)
		}
	}
	for i := 0; i < len(alone); i += 2 {
		c.add(bits, zlibForget, alone[i], alone[i+1])
	}
}

// No reference leaves the window, by zlib's judgement too. The test needs Python 3. It runs if
// PLAINSOCKET_ZLIB is 1, and then fails if it cannot.
func TestDeflateZlib(t *testing.T) {
	if os.Getenv("PLAINSOCKET_ZLIB") != "1" {
		t.Skip("PLAINSOCKET_ZLIB is not 1")
	}
	var c zlibCheck
	for bits := 8; bits <= 15; bits++ {
		for _, corpus := range corpora() {
			n := max(4, min(300, 30_000/len(corpus.messages[0])))
			messages := append(slices.Clone(corpus.messages[:n]), noise(1, 700), noise(2, 40_000), nil)
			for i := range 20 {
				// The same message again, from further and further back.
				m := bytes.Clone(messages[0])
				messages = append(messages, m, noise(uint64(i), 1<<bits/10))
			}
			c.addSequence(bits, messages)
		}
		if bits < 15 {
			// The check must find the fault that it is there for: one byte too far.
			m := make([]byte, 1<<bits+1+100)
			copy(m, noise(3, 100))
			copy(m[1<<bits+1:], m[:100])
			c.add(bits, zlibForget|zlibRefused, NewCompressor(bits+1).AppendPiece(nil, m, true), m)
			c.add(bits+1, zlibForget, NewCompressor(bits+1).AppendPiece(nil, m, true), m)
		}
	}
	python := exec.Command("python3", "testdata/zlibcheck.py")
	python.Stdin = &c.records
	out, err := python.CombinedOutput()
	if said := strings.TrimSpace(string(out)); err != nil || said != strconv.Itoa(c.count) {
		t.Fatalf("%v after %d messages: %s", err, c.count, said)
	}
	t.Logf("%d messages", c.count)
}
