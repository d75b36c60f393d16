package deflate

import (
	"fmt"
	"math"
	"slices"
	"sync"
)

// This file takes messages in and gives them out, in pieces of any size.
//
// A message arrives in pieces, cut anywhere, and goes out into buffers of any size. So a
// Decompressor is pushed. It is given a piece, and goes on until the input is used up or the
// output is full. The next call continues from there:
//
//	Feed ──► bits ──► step ──► step ──► … ──► the caller's buffer
//	         ▲ kept between calls,            │
//	         fewer than 64                    ▼
//	                                     history: the last 2^n bytes
//
// The largest unit that must be there as a whole is a length with its distance, 48 bits. If some
// of these bits have not arrived, nothing of the unit is taken. All input is then in the bit
// buffer, and the unit is read again from its first bit when more input comes.

// A Status says why [Decompressor.Append] returned.
type Status uint8

const (
	goesOn    Status = iota // between two steps, never returned
	NeedInput               // the input is used up: call Feed with more of the message
	Full                    // max bytes were appended, and more may follow
	Done                    // the message is complete
	Failed                  // there is an error
)

// A decompressStep says what the next bits of the input are.
type decompressStep uint8

const (
	stepBlock      decompressStep = iota // the three bits that begin a block
	stepLength                           // a stored block's length
	stepStored                           // a stored block's bytes
	stepCounts                           // a dynamic block's three counts
	stepPreLengths                       // the lengths of a dynamic block's code length code
	stepLengths                          // the lengths of a dynamic block's two codes
	stepSymbols                          // literals, lengths, distances
)

// A corruptError reports input that is not DEFLATE, or a reference that reaches back further than
// the window.
type corruptError string

func (e corruptError) Error() string { return "corrupt compressed data: " + string(e) }

// A Decompressor decompresses messages. Between messages it keeps its history, and nothing at all
// if messages are not linked. It is used by one goroutine at a time.
type Decompressor struct {
	window int  // the longest distance
	linked bool // messages may refer to earlier ones, so the history outlives the message
	hist   history

	in      []byte // the caller's input that was not taken yet
	last    bool   // in ends the message
	tailFed bool   // in is flushTail
	mayEnd  bool   // the message may end at this block's start without a tail

	step  decompressStep
	final bool   // the block is the last of its stream
	bits  uint64 // input that was taken and not used, the next bit lowest
	nbits uint   // how many of them; higher bits are as in the input, or zero

	left     int // bytes of a stored block, or lengths of codes, that were not read yet
	copyLen  int // the rest of a copy that did not fit the output
	copyDist int // the distance of that copy
	header   dynamicHeader
	scratch  *decompressScratch // while a message is read that needs it
	tables   *decodeTables      // the block's

	err error // the first error, which all later calls return
}

// decompressScratch is the memory for reading a message. It has some 6.5 KB. If messages are not
// linked, a message in several pieces needs a history too, while it is read. spare is its array.
type decompressScratch struct {
	tables  decodeTables
	lengths [numLit + numDist]uint8
	spare   []byte
}

var scratches = sync.Pool{New: func() any { return new(decompressScratch) }}

// NewDecompressor returns a Decompressor for messages whose references reach back at most
// 2^windowBits bytes. windowBits is 8 to 15. If linked is true, messages may refer to earlier
// ones, and the Decompressor keeps a window between messages.
func NewDecompressor(windowBits int, linked bool) *Decompressor {
	return &Decompressor{window: 1 << windowBits, linked: linked, mayEnd: true}
}

// Size returns how many bytes f keeps of earlier messages, f itself not counted.
func (f *Decompressor) Size() int { return cap(f.hist.buf) }

// Feed gives f the next piece of a message. last says that p ends the message. p may be empty.
// The caller calls Feed at the start of a message, and after NeedInput.
//
// f does not copy p. The caller must leave p unchanged until Append returns NeedInput, Done or
// Failed.
func (f *Decompressor) Feed(p []byte, last bool) {
	f.in, f.last = p, last
}

// Append appends the decompressed input to dst, at most max bytes, and grows dst in proportion to
// the bytes that it appends. The caller may change the result at will: f has a copy of the bytes
// that later messages may refer to. A message of exactly max bytes ends with Done, not with Full.
//
// Append may write to dst's capacity behind the result, at most to max bytes behind dst. After an
// error, every call returns the same error.
func (f *Decompressor) Append(dst []byte, max int) ([]byte, Status, error) {
	if f.err != nil {
		return dst, Failed, f.err
	}
	o := newOutput(dst, max)
	status := f.run(&o)
	f.remember(o.buf[o.start:o.n], status)
	if status == Done {
		f.endMessage()
	}
	return o.buf[:o.n], status, f.err
}

// run takes one step after another.
func (f *Decompressor) run(o *output) Status {
	for {
		status := f.takeStep(o)
		if status == NeedInput {
			status = f.moreInput()
		}
		if status != goesOn {
			return status
		}
	}
}

func (f *Decompressor) takeStep(o *output) Status {
	switch f.step {
	case stepBlock:
		return f.readBlock()
	case stepLength:
		return f.readStoredLength()
	case stepStored:
		return f.readStored(o)
	case stepCounts:
		return f.readCounts()
	case stepPreLengths:
		return f.readPreLengths()
	case stepLengths:
		return f.readLengths()
	default:
		return f.readSymbols(o)
	}
}

// flushTail is the end of the empty stored block that ends a message.
var flushTail = []byte{0x00, 0x00, 0xff, 0xff}

// moreInput decides what follows when the input is used up.
func (f *Decompressor) moreInput() Status {
	between := f.step == stepBlock && f.nbits == 0
	switch {
	case !f.last:
		return NeedInput
	case between && (f.tailFed || f.mayEnd):
		return Done
	case f.tailFed:
		return f.corrupt("the message does not end where a block ends")
	}
	f.in, f.tailFed = flushTail, true
	return goesOn
}

// remember adds fresh to the history if later input may refer to it.
func (f *Decompressor) remember(fresh []byte, status Status) {
	if f.linked || status == NeedInput || status == Full {
		if !f.linked && f.hist.buf == nil {
			f.needScratch()
			f.hist.buf = f.scratch.spare[:0]
		}
		f.hist.add(fresh, f.window)
	}
}

// endMessage makes f ready for the next message.
func (f *Decompressor) endMessage() {
	if f.scratch != nil {
		if !f.linked {
			f.scratch.spare, f.hist = f.hist.buf, history{}
		}
		scratches.Put(f.scratch)
		f.scratch = nil
	}
	f.in, f.tables = nil, nil
	f.bits, f.nbits = 0, 0
	f.last, f.tailFed, f.mayEnd = false, false, true
}

// needScratch takes a scratch from the pool if f has none.
func (f *Decompressor) needScratch() {
	if f.scratch == nil {
		f.scratch = scratches.Get().(*decompressScratch)
	}
}

// corrupt sets the error.
func (f *Decompressor) corrupt(format string, args ...any) Status {
	f.err = corruptError(fmt.Sprintf(format, args...))
	f.in, f.tables, f.scratch, f.hist = nil, nil, nil, history{}
	return Failed
}

// An output is the caller's buffer during one call of Append.
type output struct {
	buf   []byte // up to its length, it may be written
	start int    // the position at which this call began to write
	n     int    // the end of the bytes written so far
	limit int    // the largest n
}

func newOutput(dst []byte, max int) output {
	limit := len(dst) + max
	if limit < max { // overflow
		limit = math.MaxInt
	}
	return output{dst[:min(cap(dst), limit)], len(dst), len(dst), limit}
}

// grow makes room for at least one byte if the limit allows. The buffer doubles, so its size
// follows the bytes that were decompressed and no announcement.
func (o *output) grow() bool {
	if o.n < len(o.buf) {
		return true
	}
	if o.n == o.limit {
		return false
	}
	buf := slices.Grow(o.buf[:o.n], max(o.n-o.start, 512))
	o.buf = buf[:min(cap(buf), o.limit)]
	return true
}
