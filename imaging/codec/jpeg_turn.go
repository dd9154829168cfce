package codec

import "math"

// turnJPEG turns an image without decoding it: the blocks change places, and within a block the
// coefficients do, some with their sign (the transform of a mirrored block differs in the signs of its odd
// frequencies only, that of a transposed one is transposed). Every number of the picture stays. It gives nil
// where that cannot be: where an edge that comes to lie left or above is not a whole unit, where the turned
// sampling is none that is opened, and for values that only unusual tables can code. in must be an image that
// was opened, and is in the colours it will be shown in.
func turnJPEG(in []byte, orient int, p3 bool) pieces {
	l, err := parseJPEG(in, toScan, noLimits)
	if err != nil || !l.turns(orient) {
		return nil
	}
	l.gather = true
	if l.walk() != nil {
		return nil
	}
	out := jpegLayout{sof: mSOF0, width: l.width, height: l.height, model: l.model, adobe: l.adobe, p3: p3, quantUsed: l.quantUsed}
	if orient >= 5 {
		out.width, out.height = l.height, l.width
	}
	for slot, t := range l.quant {
		if out.quant[slot] = t; l.quantUsed[slot] && t[0]>>4 == 1 {
			out.sof = mSOF1 // steps of 16 bits
		}
		if l.quantUsed[slot] && orient >= 5 {
			out.quant[slot] = transposedSteps(t)
		}
	}
	for _, c := range l.comps {
		if orient >= 5 {
			c.h, c.v = c.v, c.h
		}
		out.comps = append(out.comps, c)
	}
	if len(out.comps) == 3 && checkSampling(out.comps) != nil {
		return nil
	}
	return l.codeTurned(&out, orient)
}

// mirrors says which edges of the source come to lie left and above that did not.
func mirrors(orient int) (right, lower bool) {
	switch orient {
	case 2, 8:
		return true, false
	case 3, 7:
		return true, true
	case 4, 6:
		return false, true
	}
	return false, false
}

// turns reports whether the edges allow it.
func (l *jpegLayout) turns(orient int) bool {
	right, lower := mirrors(orient)
	c := l.comps[0]
	return l.model != modelCMYK && !(right && l.width%(8*int(c.h)) != 0) && !(lower && l.height%(8*int(c.v)) != 0)
}

// transposedSteps is a quantisation table, as it stands in a DQT segment, of transposed blocks.
func transposedSteps(t []byte) []byte {
	out := append([]byte(nil), t...)
	size := 1 + int(t[0]>>4)
	for k, nat := range zigZag {
		from := unZigZag[nat%8*8+nat/8]
		copy(out[1+size*k:][:size], t[1+size*int(from):])
	}
	return out
}

// unZigZag gives the place in zig-zag order of a coefficient's natural index.
var unZigZag = func() (out [64]byte) {
	for k, nat := range zigZag {
		out[nat] = byte(k)
	}
	return out
}()

// blockTurn says of each coefficient of a turned block where it comes from, and whether its sign changes.
type blockTurn struct {
	from   [64]byte
	negate [64]bool
}

func newBlockTurn(orient int) (t blockTurn) {
	right, lower := mirrors(orient)
	for k, nat := range zigZag {
		u, v := nat%8, nat/8
		if orient >= 5 {
			u, v = v, u
		}
		t.from[k] = unZigZag[8*v+u]
		t.negate[k] = (right && u%2 == 1) != (lower && v%2 == 1)
	}
	return t
}

func (t *blockTurn) block(out, in *[64]int16) {
	for k, from := range t.from {
		out[k] = in[from]
		if t.negate[k] {
			out[k] = -out[k]
		}
	}
}

// codeTurned codes the gathered coefficients in their new places.
func (l *jpegLayout) codeTurned(out *jpegLayout, orient int) pieces {
	e := out.codeAnew()
	turn := newBlockTurn(orient)
	mx, my := out.mcus()
	var b [64]int16
	for i := range mx * my {
		for c, k := range out.comps {
			w, h := mx*int(k.h), my*int(k.v) // of the component, in blocks
			for y := i / mx * int(k.v); y < (i/mx+1)*int(k.v); y++ {
				for x := i % mx * int(k.h); x < (i%mx+1)*int(k.h); x++ {
					sx, sy := turnedFrom(orient, x, y, w, h)
					turn.block(&b, &l.coef[c].blocks[sy*l.coef[c].stride+sx])
					if !e.codable(&e.comp[c], &b) {
						return nil
					}
					e.coded(&e.comp[c], &b)
				}
			}
		}
	}
	return e.finish()
}

// turnedFrom returns where what is shown at x, y of a turned picture of w×h lies in the source (TIFF 6.0,
// tag 274).
func turnedFrom(orient, x, y, w, h int) (sx, sy int) {
	right, lower := mirrors(orient)
	if orient >= 5 {
		x, y, w, h = y, x, h, w
	}
	if right {
		x = w - 1 - x
	}
	if lower {
		y = h - 1 - y
	}
	return x, y
}

// gatherSequential reads the coefficients of the n units of a restart interval that begins with unit first.
func (l *jpegLayout) gatherSequential(r *bitReader, s *scan, first, n int) bool {
	var last [4]int32
	block := func(c scanComponent, b *[64]int16) bool {
		size, ok := r.value(s.dc[c.td])
		if !ok {
			return false
		}
		last[c.index] += r.extend(int(size))
		if v := last[c.index]; v < math.MinInt16 || v > math.MaxInt16 {
			return false
		}
		b[0] = int16(last[c.index])
		for k := 1; k < 64; k++ {
			v, ok := r.value(s.ac[c.ta])
			if !ok {
				return false
			}
			size := int(v & 15)
			if size == 0 && v != 0xF0 {
				return v == 0
			}
			if k += int(v >> 4); k > 63 {
				return false
			}
			if size > 0 {
				b[k] = int16(r.extend(size))
			}
		}
		return true
	}
	if len(s.comps) == 1 {
		c := s.comps[0]
		bw, _ := l.blocks(c.index)
		for i := first; i < first+n; i++ {
			if !block(c, &l.coef[c.index].blocks[i/bw*l.coef[c.index].stride+i%bw]) {
				return false
			}
		}
		return true
	}
	mx, _ := l.mcus()
	for i := first; i < first+n; i++ {
		for _, c := range s.comps {
			h, v := int(l.comps[c.index].h), int(l.comps[c.index].v)
			for y := range v {
				for x := range h {
					if !block(c, &l.coef[c.index].blocks[(i/mx*v+y)*l.coef[c.index].stride+i%mx*h+x]) {
						return false
					}
				}
			}
		}
	}
	return true
}
