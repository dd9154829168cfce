package codec

import "math/bits"

// boolReader reads bits of given probabilities (RFC 6386 7). It compares the top 8 bits of a window.
type boolReader struct {
	p     []byte
	at    int    // bytes taken into the window
	acc   uint64 // the window, left-aligned
	n     int    // bits of it that are of p
	width uint32 // the range, 128 to 255 between bits
	read  int64  // bits shifted out
	ended bool   // more was asked for than p holds
}

func newBoolReader(p []byte) boolReader { return boolReader{p: p, width: 255} }

// bit reads one bit that is 0 with probability prob/256.
func (r *boolReader) bit(prob byte) bool {
	if r.n < 8 {
		for r.n <= 48 && r.at < len(r.p) {
			r.acc |= uint64(r.p[r.at]) << (56 - r.n)
			r.at++
			r.n += 8
		}
		if r.n < 8 {
			r.ended = true
			r.n = 8
		}
	}
	split := 1 + (r.width-1)*uint32(prob)>>8
	big := uint64(split) << 56
	one := r.acc >= big
	if one {
		r.acc -= big
		r.width -= split
	} else {
		r.width = split
	}
	if r.width < 128 {
		shift := bits.LeadingZeros8(uint8(r.width))
		r.width <<= shift
		r.acc <<= shift
		r.n -= shift
		r.read += int64(shift)
	}
	return one
}

// used is how many bytes were needed for what has been read: 8 bits are always ahead.
func (r *boolReader) used() int { return min(int((r.read+8+7)/8), len(r.p)) }

// boolWriter writes what boolReader reads. The code it ends with is the least of those that mean the
// same, and as short as it can be: it has no room for anything else.
type boolWriter struct {
	out   []byte
	low   uint64 // what is not in out yet, and a carry into it
	n     int    // bits in low beyond 8
	width uint32
}

func newBoolWriter() *boolWriter { return &boolWriter{width: 255} }

func (w *boolWriter) put(prob byte, one bool) {
	split := 1 + (w.width-1)*uint32(prob)>>8
	if one {
		w.low += uint64(split)
		w.width -= split
	} else {
		w.width = split
	}
	if w.width < 128 {
		shift := bits.LeadingZeros8(uint8(w.width))
		w.width <<= shift
		w.low <<= shift
		if w.n += shift; w.n >= 32 {
			w.drain(8)
		}
	}
}

// drain moves whole bytes out until fewer than keep+8 bits stay beyond the last 8.
func (w *boolWriter) drain(keep int) {
	for w.n >= keep {
		b := w.low >> w.n
		w.low &= 1<<w.n - 1
		w.n -= 8
		for i := len(w.out) - 1; b > 0xFF && i >= 0; i-- { // a carry
			w.out[i]++
			if w.out[i] != 0 {
				break
			}
		}
		w.out = append(w.out, byte(b))
	}
}

// finish returns the code.
func (w *boolWriter) finish() []byte {
	w.drain(0)
	// n is negative now: 8+n bits are left.
	if w.n > -8 {
		w.low <<= -w.n
		w.n = 0
		w.drain(0)
	}
	return w.out
}
