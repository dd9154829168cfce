package codec

import (
	"encoding/binary"
)

// bitReader reads entropy-coded data between two markers, undoing byte stuffing (T.81 F.1.2.3). Past
// the end it gives zero bits and remembers that it did.
type bitReader struct {
	p     []byte
	pos   int    // of the next byte to load
	acc   uint64 // loaded bits, left-aligned
	n     int    // how many of them are real; negative once more were taken than exist
	ended bool   // pos stands on a marker or at the end
}

// fill loads until at least 56 bits are held or the data ends.
func (r *bitReader) fill() {
	for r.n <= 56 && !r.ended {
		if r.pos+8 <= len(r.p) {
			w := binary.BigEndian.Uint64(r.p[r.pos:])
			// No byte of w is FF: load as many whole bytes as there is room for.
			if (^w-0x0101010101010101)&w&0x8080808080808080 == 0 {
				k := (64 - r.n) >> 3
				r.acc |= w >> (64 - 8*k) << (64 - 8*k) >> r.n
				r.n += 8 * k
				r.pos += k
				return
			}
		}
		if r.pos >= len(r.p) {
			r.ended = true
			return
		}
		b := r.p[r.pos]
		if b == 0xFF {
			if r.pos+1 >= len(r.p) || r.p[r.pos+1] != 0 {
				r.ended = true
				return
			}
			r.pos++
		}
		r.pos++
		r.acc |= uint64(b) << 56 >> r.n
		r.n += 8
	}
}

// skip drops k ≤ 32 bits.
func (r *bitReader) skip(k int) {
	r.acc <<= k
	r.n -= k
	if r.n < 32 {
		r.fill()
	}
}

// take reads k ≤ 16 bits.
func (r *bitReader) take(k int) uint32 {
	if k == 0 {
		return 0
	}
	v := uint32(r.acc >> (64 - k))
	r.skip(k)
	return v
}

// value reads one Huffman code; ok is false when no code begins so.
func (r *bitReader) value(h *huffSpec) (v byte, ok bool) {
	e := h.fast[r.acc>>(64-lookBits)]
	if e != 0 {
		r.skip(int(e & 0xFF))
		h.read[byte(e>>8)] = true
		return byte(e >> 8), true
	}
	v, n := h.slow(uint32(r.acc >> 48))
	r.skip(int(n))
	h.read[v] = h.read[v] || n != 0
	return v, n != 0
}

// short reports that more bits were read than there are.
func (r *bitReader) short() bool { return r.n < 0 }

// end gives back whole bytes that were loaded but not read and returns the position behind the last
// byte that was.
func (r *bitReader) end() int {
	pos := r.pos
	for k := r.n >> 3; k > 0; k-- {
		pos--
		if pos > 0 && r.p[pos] == 0 && r.p[pos-1] == 0xFF {
			pos--
		}
	}
	return pos
}

// restart begins anew at pos.
func (r *bitReader) restart(pos int) {
	*r = bitReader{p: r.p, pos: pos}
	r.fill()
}
