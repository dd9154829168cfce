package codec

import "bytes"

// huffSpec is one Huffman table as a DHT segment holds it, and a decoding table built from it.
type huffSpec struct {
	class  byte // 0 DC, 1 AC
	counts [16]byte
	values []byte
	used   bool // a scan reads with it

	// What was read with it: values, and of AC tables entries of fast.
	read [256]bool
	hit  [1 << lookBits]bool

	// fast maps the next lookBits bits to code length (low byte) and value (high byte); zero where
	// the code is longer or there is none.
	fast [1 << lookBits]uint16
	// For longer codes: the first code of each length, and the index of its value.
	first, index [17]int32

	short *[1 << lookBits]shortValue // of an AC table that a scan is decoded with
}

const lookBits = 10

// newHuffSpec checks a table more strictly than decoders do: codes must fit their lengths and no
// value may occur twice, which no encoder does and which would leave room for text.
func newHuffSpec(class byte, counts, values []byte) (*huffSpec, error) {
	h := &huffSpec{class: class, values: values}
	copy(h.counts[:], counts)
	if len(values) == 0 {
		return nil, refuse(CodeCorrupt, "empty Huffman table")
	}
	var seen [256]bool
	for _, v := range values {
		if seen[v] || class == 0 && v > 15 {
			return nil, refuse(CodeCorrupt, "malformed Huffman table")
		}
		seen[v] = true
	}
	code, k := int32(0), int32(0)
	for n := 1; n <= 16; n++ {
		h.first[n], h.index[n] = code, k
		if code+int32(counts[n-1]) > 1<<n {
			return nil, refuse(CodeCorrupt, "malformed Huffman table")
		}
		for range counts[n-1] {
			if n <= lookBits {
				base := code << (lookBits - n)
				for i := range int32(1) << (lookBits - n) {
					h.fast[base+i] = uint16(values[k])<<8 | uint16(n)
				}
			}
			code++
			k++
		}
		code <<= 1
	}
	return h, nil
}

func (h *huffSpec) equal(o *huffSpec) bool {
	return o != nil && h.counts == o.counts && bytes.Equal(h.values, o.values)
}

// slow finds a code longer than lookBits in the 16 bits given. It returns length 0 for no code.
func (h *huffSpec) slow(bits uint32) (value byte, length uint) {
	for n := lookBits + 1; n <= 16; n++ {
		d := int32(bits>>(16-n)) - h.first[n]
		if d >= 0 && d < int32(h.counts[n-1]) {
			return h.values[h.index[n]+d], uint(n)
		}
	}
	return 0, 0
}
