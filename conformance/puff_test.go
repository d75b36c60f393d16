package conformance

import (
	"errors"
	"fmt"
	"slices"
)

// A puff inflates DEFLATE (RFC 1951) bit by bit, slowly and by the book, and notes how far back the
// data reached. It judges the messages that the library sends, and shares nothing with it.
type puff struct {
	in   []byte
	pos  int // in bits
	out  []byte
	far  int  // the largest distance
	past int  // number of bytes at the front of out from earlier messages
	back bool // a distance reached into the past bytes
}

var errPuff = errors.New("invalid DEFLATE data")

func (p *puff) bits(n int) (v int) {
	for i := range n {
		if p.pos>>3 >= len(p.in) {
			panic(errPuff)
		}
		v |= int(p.in[p.pos>>3]>>(p.pos&7)&1) << i
		p.pos++
	}
	return v
}

// A puffCode is a canonical Huffman code: the number of words of each length, and the symbols in
// their order.
type puffCode struct {
	count   [16]int
	symbols []int
}

func newPuffCode(lengths []int) (c puffCode) {
	for length := 1; length < 16; length++ {
		for symbol, l := range lengths {
			if l == length {
				c.count[length]++
				c.symbols = append(c.symbols, symbol)
			}
		}
	}
	return c
}

func (p *puff) symbol(c puffCode) int {
	code, first, index := 0, 0, 0
	for length := 1; length < 16; length++ {
		code |= p.bits(1)
		if n := c.count[length]; code-n < first {
			return c.symbols[index+code-first]
		} else {
			index, first = index+n, (first+n)<<1
		}
		code <<= 1
	}
	panic(errPuff)
}

// inflate puts the tail of a permessage-deflate message back and returns its content. history holds
// the bytes that came before it.
func (p *puff) inflate(history, message []byte) (out []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v after %d bytes", v, len(p.out)-p.past)
		}
	}()
	p.in, p.pos, p.out, p.past = append(append([]byte{}, message...), 0, 0, 0xff, 0xff), 0, append([]byte{}, history...), len(history)
	for p.pos < len(p.in)*8 {
		p.bits(1)
		switch p.bits(2) {
		case 0:
			p.stored()
		case 1:
			lengths := make([]int, 288)
			for i := range lengths {
				lengths[i] = 8 + (i/144)*(1-i/256) - i/256 + i/280
			}
			p.block(newPuffCode(lengths), newPuffCode(slices.Repeat([]int{5}, 30)))
		case 2:
			p.dynamic()
		default:
			panic(errPuff)
		}
	}
	return p.out[p.past:], nil
}

func (p *puff) stored() {
	p.pos = (p.pos + 7) &^ 7
	n := p.bits(16)
	if n^0xffff != p.bits(16) {
		panic(errPuff)
	}
	for range n {
		p.out = append(p.out, byte(p.bits(8)))
	}
}

func (p *puff) dynamic() {
	nlit, ndist, npre := p.bits(5)+257, p.bits(5)+1, p.bits(4)+4
	pre := make([]int, 19)
	for _, i := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:npre] {
		pre[i] = p.bits(3)
	}
	code, lengths := newPuffCode(pre), []int{}
	for len(lengths) < nlit+ndist {
		repeat, value := 1, 0
		switch s := p.symbol(code); s {
		case 16:
			value, repeat = lengths[len(lengths)-1], 3+p.bits(2)
		case 17:
			repeat = 3 + p.bits(3)
		case 18:
			repeat = 11 + p.bits(7)
		default:
			value = s
		}
		for range repeat {
			lengths = append(lengths, value)
		}
	}
	p.block(newPuffCode(lengths[:nlit]), newPuffCode(lengths[nlit:]))
}

func (p *puff) block(lit, dist puffCode) {
	for {
		s := p.symbol(lit)
		switch {
		case s < 256:
			p.out = append(p.out, byte(s))
		case s == 256:
			return
		default:
			p.copy(p.length(s), p.distance(p.symbol(dist)))
		}
	}
}

func (p *puff) length(s int) int {
	switch s -= 257; {
	case s < 8:
		return s + 3
	case s == 28:
		return 258
	default:
		extra := s/4 - 1
		return 3 + (4+s%4)<<extra + p.bits(extra)
	}
}

func (p *puff) distance(s int) int {
	if s < 4 {
		return s + 1
	}
	extra := s/2 - 1
	return 1 + (2+s%2)<<extra + p.bits(extra)
}

func (p *puff) copy(length, dist int) {
	if dist > len(p.out) {
		panic(errPuff)
	}
	p.far = max(p.far, dist)
	p.back = p.back || dist > len(p.out)-p.past
	for range length {
		p.out = append(p.out, p.out[len(p.out)-dist])
	}
}
