package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"photovault/imaging/internal/pages"
)

// A frame is: magic (4 bytes) ‖ uint32 length of head ‖ head ‖ blobs back to back, their lengths
// standing in the head. Integers are big-endian; strings and lists carry a uint16 length.
const (
	helloMagic   = "pvH1"
	requestMagic = "pvQ1"
	answerMagic  = "pvA1"

	maxHead    = 64 << 10
	maxText    = 256 // bytes of one string
	maxList    = 64  // entries of one list
	MaxBlobs   = 8
	prefixSize = 8
)

// ErrFrame says that the other side sent something that is not a frame, or one beyond its bounds.
var ErrFrame = errors.New("wire: malformed frame")

// writeFrame writes head and blobs. Blobs are not copied.
func writeFrame(w io.Writer, magic string, head []byte, blobs ...[]byte) error {
	if len(head) > maxHead {
		return fmt.Errorf("wire: head of %d bytes exceeds %d", len(head), maxHead)
	}
	b := make([]byte, 0, prefixSize+len(head))
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(head)))
	b = append(b, head...)
	for _, part := range append([][]byte{b}, blobs...) {
		if len(part) == 0 {
			continue
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// readHead reads one frame's head. io.EOF means that the other side said nothing at all.
func readHead(r io.Reader, magic string) (*fields, error) {
	var p [prefixSize]byte
	if _, err := io.ReadFull(r, p[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(p[4:])
	if string(p[:4]) != magic || n > maxHead {
		return nil, ErrFrame
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, short(err)
	}
	return &fields{b: head}, nil
}

// short keeps an end inside a frame apart from an end before one.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readBlobs reads blobs of the given lengths, which together must not exceed max bytes.
func readBlobs(r io.Reader, lens []int64, max int64) ([][]byte, error) {
	var sum int64
	for _, n := range lens {
		if n < 0 || n > max {
			return nil, fmt.Errorf("%w: blob of %d bytes", ErrFrame, n)
		}
		sum += n
	}
	if sum > max {
		return nil, fmt.Errorf("%w: %d bytes of blobs", ErrFrame, sum)
	}
	out := make([][]byte, len(lens))
	for i, n := range lens {
		out[i] = pages.Advise(make([]byte, n))
		if _, err := io.ReadFull(r, out[i]); err != nil {
			return nil, short(err)
		}
	}
	return out, nil
}

// fields reads or appends the parts of a head. The first error sticks and everything after it reads
// as zero.
type fields struct {
	b   []byte
	err error
}

func (f *fields) fail() {
	if f.err == nil {
		f.err = ErrFrame
	}
	f.b = nil
}

func (f *fields) take(n int) []byte {
	if f.err != nil || n > len(f.b) {
		f.fail()
		return make([]byte, n)
	}
	p := f.b[:n]
	f.b = f.b[n:]
	return p
}

func (f *fields) u8() byte        { return f.take(1)[0] }
func (f *fields) u16() int        { return int(binary.BigEndian.Uint16(f.take(2))) }
func (f *fields) u32() uint32     { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) hash(p []byte)   { copy(p, f.take(len(p))) }
func (f *fields) putU8(v byte)    { f.b = append(f.b, v) }
func (f *fields) putU16(v int)    { f.b = binary.BigEndian.AppendUint16(f.b, uint16(v)) }
func (f *fields) putU32(v Fences) { f.b = binary.BigEndian.AppendUint32(f.b, uint32(v)) }
func (f *fields) putI64(v int64)  { f.b = binary.BigEndian.AppendUint64(f.b, uint64(v)) }
func (f *fields) put(p []byte)    { f.b = append(f.b, p...) }

// i64 reads a non-negative count.
func (f *fields) i64() int64 {
	v := binary.BigEndian.Uint64(f.take(8))
	if v > 1<<62 {
		f.fail()
		return 0
	}
	return int64(v)
}

func (f *fields) flag() bool {
	switch f.u8() {
	case 0:
		return false
	case 1:
		return true
	}
	f.fail()
	return false
}

func (f *fields) putFlag(v bool) {
	if v {
		f.putU8(1)
	} else {
		f.putU8(0)
	}
}

// text reads a bounded string of printable ASCII; anything else is refused, so that a worker cannot
// put control characters into a log or a receipt.
func (f *fields) text() string {
	n := f.u16()
	if n > maxText {
		f.fail()
		return ""
	}
	p := f.take(n)
	for _, c := range p {
		if c < 0x20 || c > 0x7e {
			f.fail()
			return ""
		}
	}
	return string(p)
}

// putText writes a string in the form text reads: what does not fit is replaced or cut.
func (f *fields) putText(s string) {
	p := []byte(s)
	if len(p) > maxText {
		p = p[:maxText]
	}
	for i, c := range p {
		if c < 0x20 || c > 0x7e {
			p[i] = '?'
		}
	}
	f.putU16(len(p))
	f.b = append(f.b, p...)
}

// list reads the length of a list of at most max entries.
func (f *fields) list(max int) int {
	n := f.u16()
	if n > max {
		f.fail()
		return 0
	}
	return n
}

// done demands that every byte of the head was read.
func (f *fields) done() error {
	if f.err == nil && len(f.b) != 0 {
		f.fail()
	}
	return f.err
}
