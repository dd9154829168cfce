package codec

import (
	"compress/zlib"
	"crypto/sha256"
)

// encodePNG codes a picture without loss, in the canonical form of a PNG that was rebuilt. It also
// returns the hash of the pixels it was given. The output depends on nothing but the input.
func encodePNG(src rows, tag pngTag) (pieces, [sha256.Size]byte, error) {
	w, h := src.size()
	m := src.model()
	head := pngHeader{width: w, height: h, depth: 8, kind: m.pngKind()}
	if m.deep() {
		head.depth = 16
	}
	n, bpp := head.rowBytes(w), head.pixelBytes()
	// Incompressible data grows by 5 bytes in 64 KiB at most.
	out := idat{left: head.rawBytes()*1001/1000 + 1<<10}
	z, err := zlib.NewWriterLevel(&out, deflateLevel)
	if err != nil {
		return nil, [sha256.Size]byte{}, err
	}
	hash := newPixelHash(m, w, h)
	ch := channels(m, w)
	row, prev := make([]byte, n), make([]byte, n)
	best, trial := make([]byte, 1+n), make([]byte, 1+n)
	for y := range h {
		src.fill(y, ch)
		hash.row(ch)
		interleave(row, ch, m.deep())
		bestCost := -1
		for kind := range byte(5) {
			trial[0] = kind
			filter(kind, trial[1:], row, prev, bpp)
			if cost := absoluteSum(trial[1:]); bestCost < 0 || cost < bestCost {
				bestCost = cost
				best, trial = trial, best
			}
		}
		if _, err := z.Write(best); err != nil {
			return nil, [sha256.Size]byte{}, err
		}
		row, prev = prev, row
	}
	if err := z.Close(); err != nil {
		return nil, [sha256.Size]byte{}, err
	}
	return out.finish(head.head(tag)), hash.sum(), nil
}

// interleave brings channels of 8 or 16 bits together, pixel by pixel.
func interleave(row []byte, ch [][]byte, deep bool) {
	if deep {
		for c := range ch {
			at := 2 * c
			for i := 0; i+1 < len(ch[c]); i += 2 {
				row[at], row[at+1] = ch[c][i], ch[c][i+1]
				at += 2 * len(ch)
			}
		}
		return
	}
	for c := range ch {
		at := c
		for _, v := range ch[c] {
			row[at] = v
			at += len(ch)
		}
	}
}

// absoluteSum is the usual guess at how well a filtered row will compress (PNG 12.7): the sum of its
// bytes taken as signed.
func absoluteSum(p []byte) (sum int) {
	for _, v := range p {
		sum += abs(int(int8(v)))
	}
	return sum
}
