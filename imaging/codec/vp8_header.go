package codec

// vp8Header is what the header of a key frame says that has a bearing on the picture (RFC 6386 9.2 to
// 9.11, 19.2).
type vp8Header struct {
	width, height int
	version       byte // 0 to 3

	segmented, mapped, absolute bool
	segmentQuant, segmentFilter [4]int
	segmentProbs                [3]byte

	simple           bool
	level, sharpness int
	adjusted         bool
	intraDelta       int // of the loop filter's strength: the frame is all intra-coded
	blockDelta       int // and for macroblocks with modes of their own for each block

	logParts   int
	quant      int
	quantDelta [5]int

	probs    vp8Probs
	skips    bool
	skipProb byte
}

// optional reads a number of n bits and a sign behind a flag.
func (r *boolReader) optional(n int) int {
	if !r.bit(128) {
		return 0
	}
	v := r.number(n)
	if r.bit(128) {
		return -v
	}
	return v
}

func (r *boolReader) number(n int) (v int) {
	for range n {
		v <<= 1
		if r.bit(128) {
			v |= 1
		}
	}
	return v
}

func (w *boolWriter) optional(v, n int) {
	w.put(128, v != 0)
	if v != 0 {
		w.number(abs(v), n)
		w.put(128, v < 0)
	}
}

func (w *boolWriter) number(v, n int) {
	for i := n - 1; i >= 0; i-- {
		w.put(128, v>>i&1 == 1)
	}
}

// parse reads the part of the first partition ahead of the macroblocks.
func (h *vp8Header) parse(r *boolReader) {
	r.number(2) // colour space and clamping: decoders of still pictures know one of each
	h.segmentProbs = [3]byte{255, 255, 255}
	if h.segmented = r.bit(128); h.segmented {
		h.mapped = r.bit(128)
		if r.bit(128) {
			h.absolute = r.bit(128)
			for i := range h.segmentQuant {
				h.segmentQuant[i] = r.optional(7)
			}
			for i := range h.segmentFilter {
				h.segmentFilter[i] = r.optional(6)
			}
		}
		if h.mapped {
			for i := range h.segmentProbs {
				if r.bit(128) {
					h.segmentProbs[i] = byte(r.number(8))
				}
			}
		}
	}
	h.simple = r.bit(128)
	h.level, h.sharpness = r.number(6), r.number(3)
	if h.adjusted = r.bit(128); h.adjusted && r.bit(128) {
		var deltas [8]int
		for i := range deltas {
			deltas[i] = r.optional(6)
		}
		h.intraDelta, h.blockDelta = deltas[0], deltas[4]
	}
	h.logParts = r.number(2)
	h.quant = r.number(7)
	for i := range h.quantDelta {
		h.quantDelta[i] = r.optional(4)
	}
	r.bit(128) // whether the probabilities are kept for a next frame
	h.probs = vp8DefaultProbs
	for i := range h.probs {
		for j := range h.probs[i] {
			for k := range h.probs[i][j] {
				for l := range h.probs[i][j][k] {
					if r.bit(vp8UpdateProbs[i][j][k][l]) {
						h.probs[i][j][k][l] = byte(r.number(8))
					}
				}
			}
		}
	}
	if h.skips = r.bit(128); h.skips {
		h.skipProb = byte(r.number(8))
	}
}

// tidy drops what has no bearing on the picture, given what the macroblocks use: it would be room for
// other things.
func (h *vp8Header) tidy(used *vp8Probs, segments [4]bool) {
	for i, u := range segments {
		if !u {
			h.segmentQuant[i], h.segmentFilter[i] = 0, 0
		}
	}
	if h.level == 0 { // no loop filter at all (RFC 6386 9.6)
		h.simple, h.sharpness, h.adjusted = false, 0, false
		h.segmentFilter = [4]int{}
	}
	if !h.adjusted {
		h.intraDelta, h.blockDelta = 0, 0
	}
	h.adjusted = h.intraDelta != 0 || h.blockDelta != 0
	if !segments[0] && !segments[1] {
		h.segmentProbs[1] = 255
	}
	if !segments[2] && !segments[3] {
		h.segmentProbs[2] = 255
	}
	for i := range h.probs {
		for j := range h.probs[i] {
			for k := range h.probs[i][j] {
				for l := range h.probs[i][j][k] {
					if used[i][j][k][l] == 0 {
						h.probs[i][j][k][l] = vp8DefaultProbs[i][j][k][l]
					}
				}
			}
		}
	}
}

// write writes what parse reads.
func (h *vp8Header) write(w *boolWriter) {
	w.number(0, 2)
	w.put(128, h.segmented)
	if h.segmented {
		w.put(128, h.mapped)
		changed := h.absolute || h.segmentQuant != [4]int{} || h.segmentFilter != [4]int{}
		w.put(128, changed)
		if changed {
			w.put(128, h.absolute)
			for _, v := range h.segmentQuant {
				w.optional(v, 7)
			}
			for _, v := range h.segmentFilter {
				w.optional(v, 6)
			}
		}
		for _, p := range h.segmentProbs {
			if h.mapped {
				w.put(128, p != 255)
				if p != 255 {
					w.number(int(p), 8)
				}
			}
		}
	}
	w.put(128, h.simple)
	w.number(h.level, 6)
	w.number(h.sharpness, 3)
	w.put(128, h.adjusted)
	if h.adjusted {
		w.put(128, true)
		for _, v := range [8]int{h.intraDelta, 0, 0, 0, h.blockDelta, 0, 0, 0} {
			w.optional(v, 6)
		}
	}
	w.number(h.logParts, 2)
	w.number(h.quant, 7)
	for _, v := range h.quantDelta {
		w.optional(v, 4)
	}
	w.put(128, false)
	for i := range h.probs {
		for j := range h.probs[i] {
			for k := range h.probs[i][j] {
				for l, p := range h.probs[i][j][k] {
					changed := p != vp8DefaultProbs[i][j][k][l]
					w.put(vp8UpdateProbs[i][j][k][l], changed)
					if changed {
						w.number(int(p), 8)
					}
				}
			}
		}
	}
	w.put(128, h.skips)
	if h.skips {
		w.number(int(h.skipProb), 8)
	}
}
