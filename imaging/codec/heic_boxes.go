package codec

import "encoding/binary"

// Bounds of the box structure of one file. A phone's photo has some 60 boxes and a meta box of 4 kB.
const (
	maxBoxes = 8192
	maxMeta  = 4 << 20
)

// box is one box of ISO/IEC 14496-12, 4.2. Offsets are of the whole file; body points into it.
type box struct {
	kind       string
	start, end int // header included
	body       []byte
}

// boxReader reads boxes of one file. All boxes of a file together are bounded; how deep they lie is
// bounded by the code, which descends only into the few kinds it knows.
type boxReader struct {
	in   []byte
	left int
}

// next reads the box that begins at from and must end by to. A box of size 0, which reaches to the
// end of the file, is only allowed where last is set. ok is false when the bytes there are no whole box.
func (r *boxReader) next(from, to int, last bool) (b box, ok bool) {
	if to-from < 8 {
		return box{}, false
	}
	size, head := uint64(binary.BigEndian.Uint32(r.in[from:])), 8
	kind := string(r.in[from+4 : from+8])
	switch {
	case size == 1:
		if to-from < 16 {
			return box{}, false
		}
		size, head = binary.BigEndian.Uint64(r.in[from+8:]), 16
	case size == 0 && last:
		size = uint64(to - from)
	}
	if size < uint64(head) || size > uint64(to-from) {
		return box{kind: kind}, false
	}
	end := from + int(size)
	return box{kind, from, end, r.in[from+head : end : end]}, true
}

// children reads all boxes between from and to.
func (r *boxReader) children(from, to int) ([]box, error) {
	var out []box
	for at := from; at < to; {
		b, ok := r.next(at, to, false)
		if !ok {
			return nil, refuse(CodeCorrupt, "a box does not fit the one around it")
		}
		if r.left--; r.left < 0 {
			return nil, refuse(CodeComplex, "more than %d boxes", maxBoxes)
		}
		out = append(out, b)
		at = b.end
	}
	return out, nil
}

// inside reads the boxes in a box, behind skip bytes of its own fields.
func (r *boxReader) inside(b box, skip int) ([]box, error) {
	if skip > len(b.body) {
		return nil, refuse(CodeCorrupt, "box %q is too short", b.kind)
	}
	return r.children(b.end-len(b.body)+skip, b.end)
}

// cursor reads big-endian fields. Reading past the end gives zeros and sets bad.
type cursor struct {
	p   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.p) {
		c.p, c.bad = nil, true
		return make([]byte, min(max(n, 0), 16))
	}
	b := c.p[:n]
	c.p = c.p[n:]
	return b
}

func (c *cursor) u8() int     { return int(c.take(1)[0]) }
func (c *cursor) u16() int    { return int(binary.BigEndian.Uint16(c.take(2))) }
func (c *cursor) u32() uint32 { return binary.BigEndian.Uint32(c.take(4)) }

// sized reads a number of 0, 4 or 8 bytes, as in an item location box.
func (c *cursor) sized(n int) uint64 {
	switch n {
	case 0:
		return 0
	case 4:
		return uint64(c.u32())
	case 8:
		return binary.BigEndian.Uint64(c.take(8))
	}
	c.bad = true
	return 0
}

// id reads an item id: 16 bits, or 32 in the wide versions of a box.
func (c *cursor) id(wide bool) uint32 {
	if wide {
		return c.u32()
	}
	return uint32(c.u16())
}

// text reads up to a zero byte, which may be missing at the end of the box.
func (c *cursor) text() string {
	for i, v := range c.p {
		if v == 0 {
			s := string(c.p[:i])
			c.p = c.p[i+1:]
			return s
		}
	}
	s := string(c.p)
	c.p = nil
	return s
}

// full reads the version and flags of a full box.
func (c *cursor) full() (version int, flags uint32) {
	v := c.u32()
	return int(v >> 24), v & 0xFFFFFF
}
