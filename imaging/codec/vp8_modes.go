package codec

// Modes of 4×4 blocks, in the order of the tables (RFC 6386 8.2).
const (
	vp8DC = iota
	vp8TM
	vp8VE
	vp8HE
	vp8RD
	vp8VR
	vp8LD
	vp8VL
	vp8HD
	vp8HU
)

// modes follows the modes of all macroblocks (RFC 6386 10, 11) and notes what the coefficients need.
func (f *vp8Frame) modes(r *vp8Bits) error {
	above := make([][4]byte, f.mbw) // modes of the lowest blocks above
	for y := range f.mbh {
		var left [4]byte
		for x := range f.mbw {
			b := &f.blocks[y*f.mbw+x]
			if f.mapped {
				b.segment = r.segment(&f.segmentProbs)
			}
			b.skip = f.skips && r.bit(f.skipProb)
			if b.whole = r.bit(145); b.whole {
				m := r.wholeMode()
				left, above[x] = [4]byte{m, m, m, m}, [4]byte{m, m, m, m}
			} else {
				for j := range 4 {
					for i := range 4 {
						m := r.blockMode(&vp8ModeProbs[above[x][i]][left[j]])
						left[j], above[x][i] = m, m
					}
				}
			}
			if r.bit(142) && r.bit(114) { // the mode of both chroma planes
				r.bit(183)
			}
		}
		if r.ended {
			return refuse(CodeTruncated, "image data ends too early")
		}
	}
	return nil
}

func (r *vp8Bits) segment(probs *[3]byte) byte {
	if !r.bit(probs[0]) {
		return bit01(r.bit(probs[1]))
	}
	return 2 + bit01(r.bit(probs[2]))
}

func bit01(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// wholeMode reads the mode of a whole macroblock, as the mode that its blocks count as.
func (r *vp8Bits) wholeMode() byte {
	if !r.bit(156) {
		if !r.bit(163) {
			return vp8DC
		}
		return vp8VE
	}
	if !r.bit(128) {
		return vp8HE
	}
	return vp8TM
}

func (r *vp8Bits) blockMode(p *[9]byte) byte {
	switch {
	case !r.bit(p[0]):
		return vp8DC
	case !r.bit(p[1]):
		return vp8TM
	case !r.bit(p[2]):
		return vp8VE
	case !r.bit(p[3]):
		switch {
		case !r.bit(p[4]):
			return vp8HE
		case !r.bit(p[5]):
			return vp8RD
		}
		return vp8VR
	case !r.bit(p[6]):
		return vp8LD
	case !r.bit(p[7]):
		return vp8VL
	case !r.bit(p[8]):
		return vp8HD
	}
	return vp8HU
}
