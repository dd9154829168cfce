package codec

// maxBlockVisits bounds the work of decoding: coded blocks times scans. The largest photo within the
// pixel limit, in ten scans, stays well below; what does not is a bomb.
const maxBlockVisits = 32 << 20

// walk follows every Huffman code of the image without computing a pixel. It finds out what a
// decoder's tolerance hides: image data that ends early, data behind the last block of a scan,
// scans that overwrite one another. It sets scan.keep to the parts that belong to the image, and of a
// progressive image it collects the coefficients.
func (l *jpegLayout) walk() error { return l.follow(nil) }

// follow walks, and decodes a sequential image to planes where there are any.
func (l *jpegLayout) follow(p *planes) error {
	w := walker{l: l, planes: p}
	for i := range l.comps {
		for k := range w.state[i] {
			w.state[i][k] = -1
		}
	}
	for i := range l.scans {
		if err := w.scan(&l.scans[i]); err != nil {
			return err
		}
	}
	if err := w.complete(); err != nil {
		return err
	}
	if p != nil {
		for i := range p.comp {
			w.seen[i] |= p.comp[i].seen
		}
	}
	l.tidy(&w)
	return nil
}

type walker struct {
	l      *jpegLayout
	planes *planes // to decode to, or nil
	// state holds, for each coefficient, the bit down to which it has been coded; -1 when not yet.
	state  [4][64]int8
	seen   [4]uint64 // which coefficients of a component some block has, a bit each
	visits int64
}

// advance checks that the scan comes in its turn, so that no coefficient is coded twice.
func (w *walker) advance(s *scan) error {
	for _, c := range s.comps {
		for k := s.ss; k <= s.se; k++ {
			have := &w.state[c.index][k]
			if s.ah == 0 && *have != -1 || s.ah != 0 && *have != int8(s.ah) {
				return refuse(CodeCorrupt, "scans overwrite one another")
			}
			*have = int8(s.al)
		}
	}
	return nil
}

// complete demands that every coefficient that was begun was finished, and that none is missing from
// the average of a block.
func (w *walker) complete() error {
	for i := range w.l.comps {
		if w.state[i][0] == -1 {
			return refuse(CodeTruncated, "a colour component is missing")
		}
		for _, s := range w.state[i] {
			if s > 0 {
				return refuse(CodeTruncated, "the last scans are missing")
			}
		}
	}
	return nil
}

// blocks returns the size of component i in blocks, without padding to whole MCUs (T.81 A.2.4).
func (l *jpegLayout) blocks(i int) (w, h int) {
	c, hMax, vMax := l.comps[i], int(l.comps[0].h), int(l.comps[0].v)
	cw := (l.width*int(c.h) + hMax - 1) / hMax
	ch := (l.height*int(c.v) + vMax - 1) / vMax
	return (cw + 7) / 8, (ch + 7) / 8
}

func (w *walker) scan(s *scan) error {
	if err := w.advance(s); err != nil {
		return err
	}
	// One MCU is a block of a single component, or an interleaved group (T.81 A.2).
	mcus, perMCU := 0, 0
	order := make([]scanComponent, 0, 10)
	if len(s.comps) == 1 {
		bw, bh := w.l.blocks(s.comps[0].index)
		mcus, perMCU = bw*bh, 1
		order = append(order, s.comps[0])
	} else {
		c := w.l.comps[0]
		mcus = int(ceilDiv(int64(w.l.width), 8*int64(c.h)) * ceilDiv(int64(w.l.height), 8*int64(c.v)))
		for _, sc := range s.comps {
			k := int(w.l.comps[sc.index].h) * int(w.l.comps[sc.index].v)
			perMCU += k
			if perMCU > 10 {
				return refuse(CodeCorrupt, "more than 10 blocks in a unit")
			}
			for range k {
				order = append(order, sc)
			}
		}
	}
	if s.restart >= mcus {
		s.restart = 0 // it says nothing, and would be two bytes of free text
	}
	if w.visits += int64(mcus) * int64(perMCU); w.visits > maxBlockVisits {
		return refuse(CodeComplex, "more than %d blocks to decode", maxBlockVisits)
	}
	if w.l.sof == mSOF2 || w.l.gather {
		w.l.allocate(s)
	}
	return w.intervals(s, order, mcus)
}

// intervals walks the restart intervals of a scan; without restarts there is one.
func (w *walker) intervals(s *scan, order []scanComponent, mcus int) error {
	r := &bitReader{p: s.data}
	start, rst := 0, byte(0)
	for mcu := 0; mcu < mcus; {
		n := mcus - mcu
		if s.restart > 0 {
			n = min(n, s.restart)
		}
		r.restart(start)
		if err := w.interval(r, s, order, mcu, n); err != nil {
			return err
		}
		mcu += n
		end := r.end()
		if mcu == mcus {
			w.holdInterval(s, start, end, r.n&7)
			w.l.removed.add("after image data", len(s.data)-end)
			break
		}
		// The marker follows at once, save for fill bytes, which do not survive.
		next := end
		for next+1 < len(s.data) && s.data[next] == 0xFF && s.data[next+1] == 0xFF {
			next++
		}
		if next+1 >= len(s.data) {
			return refuse(CodeTruncated, "image data ends after %d of %d units", mcu, mcus)
		}
		if s.data[next] != 0xFF || s.data[next+1] != mRST0+rst {
			return refuse(CodeCorrupt, "restart marker missing after unit %d", mcu)
		}
		rst = (rst + 1) & 7
		w.l.removed.add("between segments", next-end)
		w.holdInterval(s, start, end, r.n&7)
		s.hold(s.data[next : next+2])
		start = next + 2
	}
	return nil
}

// holdInterval keeps the data of one interval, whose last byte has so many bits behind its last code.
func (w *walker) holdInterval(s *scan, start, end, bits int) {
	if end == start || bits == 0 || end-start > 1 && s.data[end-1] == 0 && s.data[end-2] == 0xFF {
		s.hold(s.data[start:end]) // nothing behind, or a byte of ones with its stuffing
		return
	}
	last := s.data[end-1]
	if last|(1<<bits-1) == last {
		s.hold(s.data[start:end])
		return
	}
	s.hold(s.data[start : end-1])
	s.hold(onesBehind(last, bits))
	w.l.removed.add("after image data", 1)
}

// hold keeps p, merged with what is held already where the two touch in memory, so that ordinary data
// stays one span however many restart markers it has.
func (s *scan) hold(p []byte) {
	if n := len(s.keep); n > 0 && len(p) > 0 {
		last := s.keep[n-1]
		if whole := last[:cap(last)]; len(last) < len(whole) && &whole[len(last)] == &p[0] {
			s.keep[n-1] = whole[:len(last)+len(p)]
			return
		}
	}
	s.keep = append(s.keep, p)
}

// interval walks n units beginning with number first.
func (w *walker) interval(r *bitReader, s *scan, order []scanComponent, first, n int) error {
	ok := false
	switch {
	case w.l.sof == mSOF2:
		ok = w.l.progressiveInterval(r, s, first, n)
	case w.l.gather:
		ok = w.l.gatherSequential(r, s, first, n)
	case w.planes != nil:
		ok = w.l.decodeSequential(w.planes, r, s, first, n)
	default:
		ok = w.sequential(r, s, order, n)
	}
	// Codes that cannot be are also what follows once the data has run out.
	if r.short() || !ok && r.ended && r.n < 16 {
		return refuse(CodeTruncated, "image data ends too early")
	}
	if !ok {
		return refuse(CodeCorrupt, "impossible code in the image data")
	}
	return nil
}

// sequential follows n units of a baseline or extended sequential scan (T.81 F.2.2).
func (w *walker) sequential(r *bitReader, s *scan, order []scanComponent, n int) bool {
	for range n {
		for _, c := range order {
			seen := uint64(0)
			size, ok := r.value(s.dc[c.td])
			if !ok {
				return false
			}
			r.skip(int(size))
			h := s.ac[c.ta]
			for k := 1; k < 64; {
				var v byte
				skip := 0
				if e := h.fast[r.acc>>(64-lookBits)]; e != 0 {
					v, skip = byte(e>>8), int(e&0xFF)
				} else {
					var length uint
					if v, length = h.slow(uint32(r.acc >> 48)); length == 0 {
						return false
					}
					skip = int(length)
				}
				h.read[v] = true
				size := int(v & 15)
				r.acc <<= skip + size
				if r.n -= skip + size; r.n < 32 {
					if r.n < 0 {
						return false
					}
					r.fill()
				}
				if size == 0 && v != 0xF0 {
					if v != 0 {
						return false
					}
					break
				}
				if k += int(v>>4) + 1; k > 64 {
					return false
				}
				if size > 0 {
					seen |= 1 << (k - 1)
				}
			}
			w.seen[c.index] |= seen
		}
		if r.n < 0 {
			return false
		}
	}
	return true
}
