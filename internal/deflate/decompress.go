package deflate

import (
	"fmt"
	"math"
	"slices"
	"sync"
)

// Decompression of DEFLATE, RFC 1951. What the format is, deflate.go explains;
// how its codes are read, inflate_huffman.go.
//
// A message arrives in pieces that the network cut anywhere, and goes out into
// buffers of any size. So the inflater is pushed: it is given a piece, and goes
// on until the input is used up or the output is full, leaving its state such
// that the next call continues where this one stopped:
//
//	feed ──► bits ──► step ──► step ──► … ──► caller's buffer
//	         ▲ held between calls             │
//	         fewer than 64                    ▼
//	                                     history: the last 2^n octets
//
// The largest unit that must be there as a whole is a length with its distance,
// 48 bits. When they are not there yet, nothing of it is taken: all input left
// is then in the bit buffer, and the unit is read again from its first bit.
//
// A message ends in a way of its own (RFC 7692 section 7.2.1 and 7.2.2): its
// sender flushed, which writes an empty stored block, and dropped that block's
// last four octets, 00 00 ff ff. They are put back here.

// An Status says why inflate came back.
type Status uint8

const (
	goesOn    Status = iota // between two steps, never seen outside
	NeedInput               // the input is used up: feed more of the message
	Full                    // max octets were written and more are to come
	Done                    // the message is complete
	Failed                  // see the error
)

// An decompressStep is what the next bits of the input are.
type decompressStep uint8

const (
	stepBlock      decompressStep = iota // the three bits that begin a block
	stepLength                           // a stored block's length
	stepStored                           // its octets
	stepCounts                           // a dynamic block's three counts
	stepPreLengths                       // the lengths of its code length code
	stepLengths                          // the lengths of its two codes
	stepSymbols                          // literals, lengths, distances
)

// A corruptError is input that is not DEFLATE, or that looks back further than
// was agreed.
type corruptError string

func (e corruptError) Error() string { return "corrupt compressed data: " + string(e) }

// An inflater is the receiving half of a connection. Between messages it holds
// nothing but the history, and without context takeover not even that.
type Decompressor struct {
	window   int  // how far a distance may reach
	takeover bool // the history outlives the message
	hist     history

	in      []byte // the caller's, not yet taken
	last    bool   // in ends the message
	tailFed bool   // in is the tail
	mayEnd  bool   // the message may end at this block's start without a tail

	step  decompressStep
	final bool   // the block is the last of its stream
	bits  uint64 // input taken but not used, the next bit lowest
	nbits uint   // how many; bits above them are as in the input or zero

	left     int // of a stored block, or lengths of codes yet to read
	copyLen  int // of a copy that did not fit the output
	copyDist int //
	header   dynamicHeader
	scratch  *decompressScratch // while a message that needs it is read
	tables   *decodeTables      // the block's

	err error // what was wrong; nothing can be read after it
}

// decompressScratch is what reading a message takes; some 6.5 KB, and without
// takeover the history of a message that came in several pieces.
type decompressScratch struct {
	tables  decodeTables
	lengths [numLit + numDist]uint8
	spare   []byte // for history
}

var scratches = sync.Pool{New: func() any { return new(decompressScratch) }}

// NewDecompressor reads what was compressed with a window of 2^bits octets.
func NewDecompressor(bits int, takeover bool) *Decompressor {
	return &Decompressor{window: 1 << bits, takeover: takeover, mayEnd: true}
}

// Size returns how many bytes f keeps of earlier messages, f itself not counted.
func (f *Decompressor) Size() int { return cap(f.hist.buf) }

// feed gives the inflater the next piece of a message, and says whether it is
// the last. It is to be called at the start of a message and after NeedInput
// only. chunk is read, not copied, until inflate says NeedInput, Done
// or fails; it may be empty.
func (f *Decompressor) Feed(chunk []byte, last bool) {
	f.in, f.last = chunk, last
}

// inflate appends to dst what the input fed so far says, at most max octets,
// and grows dst as append does. It takes its history from its own copy, so the
// caller may do with the result as it likes. That max octets were written does
// not mean Full: the message may end there.
//
// It writes to dst's capacity beyond what it returns, but not beyond max.
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

// run takes step after step.
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

var flushTail = []byte{0x00, 0x00, 0xff, 0xff}

// moreInput decides what follows when all input is used up.
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

// remember keeps what a later call may look back on.
func (f *Decompressor) remember(fresh []byte, status Status) {
	if f.takeover || status == NeedInput || status == Full {
		if !f.takeover && f.hist.buf == nil {
			f.needScratch()
			f.hist.buf = f.scratch.spare[:0]
		}
		f.hist.add(fresh, f.window)
	}
}

// endMessage makes ready for the next message.
func (f *Decompressor) endMessage() {
	if f.scratch != nil {
		if !f.takeover {
			f.scratch.spare, f.hist = f.hist.buf, history{}
		}
		scratches.Put(f.scratch)
		f.scratch = nil
	}
	f.in, f.tables = nil, nil
	f.bits, f.nbits = 0, 0
	f.last, f.tailFed, f.mayEnd = false, false, true
}

func (f *Decompressor) needScratch() {
	if f.scratch == nil {
		f.scratch = scratches.Get().(*decompressScratch)
	}
}

func (f *Decompressor) corrupt(format string, args ...any) Status {
	f.err = corruptError(fmt.Sprintf(format, args...))
	f.in, f.tables, f.scratch, f.hist = nil, nil, nil, history{}
	return Failed
}

// An output is the caller's buffer during one call.
type output struct {
	buf   []byte // may be written up to its length
	start int    // where this call began to write: what is before is not history
	n     int    // written so far
	limit int    // n never exceeds it
}

func newOutput(dst []byte, max int) output {
	limit := len(dst) + max
	if limit < max { // overflow
		limit = math.MaxInt
	}
	return output{dst[:min(cap(dst), limit)], len(dst), len(dst), limit}
}

// grow makes room for at least one octet, if the limit allows. The buffer
// doubles, so that it follows what was inflated and no announcement.
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
