package codec

// paramReader reads the syntax elements of an HEVC parameter set (ITU-T H.265, 7.2 and 9.2). Reading
// past the end gives zeros and sets bad.
type paramReader struct {
	p   []byte
	at  int // in bits
	bad bool
	// large says that a number which is only skipped was larger than any has reason to be: the syntax has room for
	// four bytes of anything.
	large bool
}

// maxSkipped is above all numbers that encoders write where they are not read here: the largest is a share of the
// picture, min_spatial_segmentation_idc (ITU-T H.265 E.3.1).
const maxSkipped = 4096

// newParamReader takes a parameter set's payload behind the NAL unit header, and removes the bytes that
// prevent start codes from appearing (7.3.1.1).
func newParamReader(nal []byte) *paramReader {
	out := make([]byte, 0, len(nal))
	zeros := 0
	for _, v := range nal {
		if zeros >= 2 && v == 3 {
			zeros = 0
			continue
		}
		zeros++
		if v != 0 {
			zeros = 0
		}
		out = append(out, v)
	}
	return &paramReader{p: out}
}

// u reads n bits, at most 32.
func (r *paramReader) u(n int) uint32 {
	if r.bad || r.at+n > 8*len(r.p) {
		r.bad = true
		return 0
	}
	var v uint32
	for range n {
		v = v<<1 | uint32(r.p[r.at>>3]>>(7-r.at&7)&1)
		r.at++
	}
	return v
}

func (r *paramReader) flag() bool { return r.u(1) == 1 }

// ue reads an unsigned Exp-Golomb code, at most 2³²−2.
func (r *paramReader) ue() uint32 {
	zeros := 0
	for !r.flag() {
		if zeros++; r.bad || zeros > 31 {
			r.bad = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.u(zeros)
}

// upTo reads an unsigned code that must not exceed a bound.
func (r *paramReader) upTo(bound uint32) int {
	v := r.ue()
	if v > bound {
		r.bad = true
		return 0
	}
	return int(v)
}

// skip reads n codes, signed or unsigned, whose values do not matter.
func (r *paramReader) skip(n int) {
	for range n {
		if v := r.ue(); r.bad {
			return
		} else if v > maxSkipped {
			r.large = true
		}
	}
}

// ends reports that nothing follows but the stop bit and zeros up to a whole byte (7.3.2.11), so that
// there is nothing in the parameter set that was not read.
func (r *paramReader) ends() bool {
	if r.u(1) != 1 || r.bad {
		return false
	}
	for r.at&7 != 0 {
		if r.u(1) != 0 {
			return false
		}
	}
	return r.at == 8*len(r.p)
}
