package codec

import (
	"bytes"
	"encoding/binary"
	"io"
)

// jfifSize is a canonical JFIF segment with its marker.
const jfifSize = 18

// canonicalJFIF is the only application segment written for YCbCr and grey images: version 1.01, no
// density, no thumbnail (ISO/IEC 10918-5).
var canonicalJFIF = [jfifSize]byte{0xFF, mAPP0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0}

// canonicalAdobe is the only one written for RGB images, which decode wrongly without it.
var canonicalAdobe = [16]byte{0xFF, mAPP14, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, 0}

// rebuild writes the image that a layout describes and nothing else: every segment is composed here,
// only tables that a scan reads are written, and entropy-coded data is taken over bit for bit. The
// result is in pieces, most of which lie in the input.
func (l *jpegLayout) rebuild() pieces {
	out := pieces{}
	b := []byte{0xFF, mSOI}
	switch l.model {
	case modelRGB:
		b = append(b, canonicalAdobe[:]...)
	case modelCMYK: // never put out, only decoded
		b = append(b, canonicalAdobe[:]...)
		b[len(b)-1] = byte(max(l.adobe, 0))
	default:
		b = append(b, canonicalJFIF[:]...)
	}
	if l.p3 {
		b = appendSegment(b, mAPP2, append(append(bytes.Clone(idICC), 1, 1), canonicalDisplayP3...))
	}
	for slot, t := range l.quant {
		if l.quantUsed[slot] {
			b = appendSegment(b, mDQT, t)
		}
	}
	sof := []byte{8, byte(l.height >> 8), byte(l.height), byte(l.width >> 8), byte(l.width), byte(len(l.comps))}
	for i, c := range l.comps {
		sof = append(sof, l.name(i), c.h<<4|c.v, c.tq)
	}
	b = appendSegment(b, l.sof, sof)
	var dc, ac [4]*huffSpec
	restart := 0
	for i := range l.scans {
		s := &l.scans[i]
		for _, c := range s.comps {
			if s.usesDC() {
				b = appendHuffman(b, &dc, s.dc[c.td], c.td)
			}
			if s.usesAC() {
				b = appendHuffman(b, &ac, s.ac[c.ta], c.ta)
			}
		}
		if s.restart != restart {
			restart = s.restart
			b = appendSegment(b, mDRI, binary.BigEndian.AppendUint16(nil, uint16(restart)))
		}
		out = append(out, appendSegment(b, mSOS, s.header(l)))
		out = append(out, s.spans()...)
		b = nil
	}
	return append(out, []byte{0xFF, mEOI})
}

// pieces are bytes that follow one another without lying beside one another.
type pieces [][]byte

func (p pieces) size() (n int) {
	for _, b := range p {
		n += len(b)
	}
	return n
}

// join copies the pieces into one.
func (p pieces) join() []byte {
	out := make([]byte, 0, p.size())
	for _, b := range p {
		out = append(out, b...)
	}
	return out
}

// reader reads the pieces one after another.
func (p pieces) reader() io.Reader {
	rs := make([]io.Reader, len(p))
	for i, b := range p {
		rs[i] = bytes.NewReader(b)
	}
	return io.MultiReader(rs...)
}

// equal reports whether the pieces together are b.
func (p pieces) equal(b []byte) bool {
	for _, x := range p {
		if !bytes.HasPrefix(b, x) {
			return false
		}
		b = b[len(x):]
	}
	return len(b) == 0
}

// spans are the parts of the scan's data that belong to the image.
func (s *scan) spans() [][]byte {
	if s.keep != nil {
		return s.keep
	}
	return [][]byte{s.data}
}

// name is what a component is called in a file written here. Their own names would be a byte of free text each.
func (l *jpegLayout) name(i int) byte {
	if l.model == modelRGB {
		return "RGB"[i]
	}
	return byte(i + 1)
}

// header composes the body of the scan's SOS segment. Selectors of tables that the scan does not
// read are written as zero: they would be four bits of free text.
func (s *scan) header(l *jpegLayout) []byte {
	b := []byte{byte(len(s.comps))}
	for _, c := range s.comps {
		var t byte
		if s.usesDC() {
			t = c.td << 4
		}
		if s.usesAC() {
			t |= c.ta
		}
		b = append(b, l.name(c.index), t)
	}
	return append(b, s.ss, s.se, s.ah<<4|s.al)
}

func appendSegment(out []byte, marker byte, body []byte) []byte {
	out = append(out, 0xFF, marker)
	out = binary.BigEndian.AppendUint16(out, uint16(len(body)+2))
	return append(out, body...)
}

// appendHuffman writes a table unless the decoder already has it in that slot.
func appendHuffman(out []byte, have *[4]*huffSpec, h *huffSpec, slot byte) []byte {
	if h.equal(have[slot]) {
		return out
	}
	have[slot] = h
	body := append([]byte{h.class<<4 | slot}, h.counts[:]...)
	return appendSegment(out, mDHT, append(body, h.values...))
}
