package specimen

import (
	"encoding/binary"
	"slices"
)

// Bare is a grey JPEG of 64×64 pixels of one colour, and what may be said in it besides. Two of them show the same
// picture whatever they say.
type Bare struct {
	Name     byte   // of the component; 1 when zero
	Steps    []byte // for coefficients that no block has: at most 60 bytes
	Wide     bool   // steps are of 16 bits: at most 120
	Before   []byte // Huffman values that no code is read of, no two the same, ahead of the one that is: 3 at most
	Behind   []byte // and behind it: 200 at most
	Interval int    // units between restarts; 0 writes none
	Bits     []byte // what stands behind the last code of each interval, six bits each; ones where there is none
}

// JPEG writes it.
func (o Bare) JPEG() []byte {
	name, size := max(o.Name, 1), 1
	steps := []byte{0}
	if o.Wide {
		steps[0], size = 0x10, 2
	}
	for range 64 {
		steps = append(steps, make([]byte, size-1)...)
		steps = append(steps, 1)
	}
	copy(steps[1+4*size:], o.Steps)
	out := segment([]byte{0xFF, 0xD8}, 0xDB, steps)
	out = segment(out, 0xC1, []byte{8, 0, 64, 0, 64, 1, name, 0x11, 0})
	out = segment(out, 0xC4, slices.Concat([]byte{0, 1}, make([]byte, 15), []byte{0}))
	// The end of a block is the first code of its length behind those of Before, which are 00, 01 and 10.
	counts := make([]byte, 16)
	counts[1], counts[15] = byte(len(o.Before)+1), byte(len(o.Behind))
	out = segment(out, 0xC4, slices.Concat([]byte{0x10}, counts, o.Before, []byte{0}, o.Behind))
	if o.Interval > 0 {
		out = segment(out, 0xDD, binary.BigEndian.AppendUint16(nil, uint16(o.Interval)))
	}
	out = segment(out, 0xDA, []byte{1, name, 0, 0, 63, 0})
	// A block is its average, which is bit 0, and its end.
	bits, end, interval := 0, len(o.Before), 0
	var acc uint64
	for i := range 64 {
		acc, bits = acc<<3|uint64(end), bits+3
		for ; bits >= 8; bits -= 8 {
			out = append(out, byte(acc>>(bits-8)))
		}
		if last := i == 63; last || o.Interval > 0 && (i+1)%o.Interval == 0 {
			if bits > 0 {
				fill := byte(0xFF)
				if interval < len(o.Bits) {
					fill = o.Bits[interval]
				}
				out = append(out, byte(acc<<(8-bits))|fill&(0xFF>>bits))
			}
			if !last {
				out = append(out, 0xFF, 0xD0+byte(interval%8))
			}
			acc, bits, interval = 0, 0, interval+1
		}
	}
	return append(out, 0xFF, 0xD9)
}
