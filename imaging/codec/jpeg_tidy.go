package codec

import "bytes"

// tidy rids the tables of what the image, now that every code was followed, has not read: values of codes that do
// not occur, steps of coefficients that no block has. They would be room for text. A table that anybody could
// compute has none and stays as it is: most cameras write those of annex K whole.
func (l *jpegLayout) tidy(w *walker) {
	for _, h := range l.huffAll {
		if h.used {
			l.removed.add("unused tables", h.tidy())
		}
	}
	l.gatherSeen(w)
	for slot, t := range l.quant {
		if !l.quantUsed[slot] {
			continue
		}
		seen := uint64(1)
		for i, c := range l.comps {
			if int(c.tq) == slot {
				seen |= w.seen[i]
			}
		}
		var n int
		l.quant[slot], n = tidySteps(t, seen)
		l.removed.add("unused tables", n)
	}
}

// gatherSeen notes which coefficients are there where they were collected.
func (l *jpegLayout) gatherSeen(w *walker) {
	for i := range l.comps {
		for b := range l.coef[i].blocks {
			for k, v := range &l.coef[i].blocks[b] {
				if v != 0 {
					w.seen[i] |= 1 << k
				}
			}
		}
		for k := 1; k <= smoothed; k++ {
			if w.state[i][k] == -1 {
				w.seen[i] |= 1 << k
			}
		}
	}
}

// smoothed is the last of the coefficients that libjpeg guesses, by their steps, when no scan had them.
const smoothed = 9

// tidySteps sets the steps, as they stand in a DQT segment, of coefficients that are not seen to 1, and returns
// how many bytes that changed.
func tidySteps(t []byte, seen uint64) (out []byte, changed int) {
	if seen == 1<<64-1 || standardSteps(t) {
		return t, 0
	}
	out = bytes.Clone(t)
	size := 1 + int(t[0]>>4)
	for k := range 64 {
		if seen>>k&1 == 0 {
			step := out[1+size*k:][:size]
			clear(step)
			step[size-1] = 1
		}
	}
	for i := range t {
		if t[i] != out[i] {
			changed++
		}
	}
	return out, changed
}

// standardSteps reports whether a table is one of annex K, as it is or transposed, scaled to a quality from 1 to
// 100 as libjpeg does.
func standardSteps(t []byte) bool {
	if t[0]>>4 != 0 {
		return false
	}
	for _, base := range []*[64]byte{&quantLuma, &quantChroma} {
		for quality := 1; quality <= 100; quality++ {
			scale := 200 - 2*quality
			if quality < 50 {
				scale = 5000 / quality
			}
			same, turned := true, true
			for k, nat := range zigZag {
				same = same && int(t[1+k]) == scaledStep(base[nat], scale)
				turned = turned && int(t[1+k]) == scaledStep(base[nat%8*8+nat/8], scale)
				if !same && !turned {
					break
				}
			}
			if same || turned {
				return true
			}
		}
	}
	return false
}

// scaledStep scales a step by so many per cent.
func scaledStep(base byte, scale int) int { return min(max((int(base)*scale+50)/100, 1), 255) }

// tidy leaves out the values that no code that was read stands for: behind the last that was they go, between
// others their places get the smallest values there are left. It returns how many bytes that changed. The codes of
// the others stay what they are.
func (h *huffSpec) tidy() (changed int) {
	for i, hit := range &h.hit {
		if hit {
			h.read[byte(h.fast[i]>>8)] = true
		}
	}
	last, all := 0, true
	for i, v := range h.values {
		if h.read[v] {
			last = i
		} else {
			all = false
		}
	}
	if all || h.standard() {
		return 0
	}
	n := len(h.values)
	values := bytes.Clone(h.values[:last+1])
	for size, left := 0, last+1; size < 16; size++ {
		h.counts[size] = byte(min(int(h.counts[size]), left))
		left -= int(h.counts[size])
	}
	next := 0
	for i, v := range values {
		if h.read[v] {
			continue
		}
		for h.read[byte(next)] {
			next++
		}
		if values[i] = byte(next); values[i] != v {
			changed++
		}
		next++
	}
	h.values = values
	return changed + n - len(values)
}

// standard reports whether the table is one of annex K.
func (h *huffSpec) standard() bool {
	if h.class == 0 {
		return bytes.Equal(h.values, dcValues) && (h.counts == dcLumaCounts || h.counts == dcChromaCounts)
	}
	return h.counts == acLumaCounts && bytes.Equal(h.values, acValues(acLumaHead)) ||
		h.counts == acChromaCounts && bytes.Equal(h.values, acValues(acChromaHead))
}

// onesBehind is the last byte of entropy-coded data with the given number of bits behind the last code, as T.81
// F.1.2.3 has them: ones, and a zero byte behind FF. They would be seven bits of free text in each restart
// interval.
func onesBehind(b byte, bits int) []byte {
	if b |= 1<<bits - 1; b == 0xFF {
		return []byte{b, 0}
	}
	return []byte{b}
}
