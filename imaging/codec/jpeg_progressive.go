package codec

// coefficients of one component of a progressive image: blocks in zig-zag order, stride blocks a row,
// padded to whole MCUs.
type coefficients struct {
	blocks [][64]int16
	stride int
}

// Bounds of quantised coefficients of 8-bit samples (T.81 F.1.1.5 and table F.1).
const (
	maxDC = 2047
	maxAC = 1023
)

// allocate makes room for the coefficients of the components of a scan.
func (l *jpegLayout) allocate(s *scan) {
	mx, my := l.mcus()
	for _, c := range s.comps {
		k := l.comps[c.index]
		if l.coef[c.index].blocks == nil {
			l.coef[c.index] = coefficients{make([][64]int16, mx*int(k.h)*my*int(k.v)), mx * int(k.h)}
		}
	}
}

// mcus returns the size of the image in MCUs of interleaved scans.
func (l *jpegLayout) mcus() (x, y int) {
	c := l.comps[0]
	return int(ceilDiv(int64(l.width), 8*int64(c.h))), int(ceilDiv(int64(l.height), 8*int64(c.v)))
}

// band decodes one scan's part of the coefficients (T.81 G.1.2, G.2).
type band struct {
	r      *bitReader
	s      *scan
	run    int // blocks that are still without new coefficients
	lastDC [4]int32
}

// progressiveInterval decodes the n units of a restart interval that begins with unit first. It
// reports false when a code cannot be.
func (l *jpegLayout) progressiveInterval(r *bitReader, s *scan, first, n int) bool {
	d := band{r: r, s: s}
	if len(s.comps) == 1 {
		c := s.comps[0]
		coef := l.coef[c.index]
		bw, _ := l.blocks(c.index)
		for i := first; i < first+n; i++ {
			if !d.block(c, &coef.blocks[i/bw*coef.stride+i%bw]) {
				return false
			}
		}
		return d.run == 0
	}
	mx, _ := l.mcus()
	for i := first; i < first+n; i++ {
		for _, c := range s.comps {
			coef := l.coef[c.index]
			h, v := int(l.comps[c.index].h), int(l.comps[c.index].v)
			for y := range v {
				for x := range h {
					if !d.block(c, &coef.blocks[(i/mx*v+y)*coef.stride+i%mx*h+x]) {
						return false
					}
				}
			}
		}
	}
	return true
}

func (d *band) block(c scanComponent, b *[64]int16) bool {
	if d.r.short() {
		return false
	}
	switch {
	case d.s.ss == 0 && d.s.ah == 0:
		return d.firstDC(c, b)
	case d.s.ss == 0:
		b[0] |= int16(d.r.take(1)) << d.s.al
		return true
	case d.s.ah == 0:
		return d.firstAC(d.s.ac[c.ta], b)
	}
	return d.refineAC(d.s.ac[c.ta], b)
}

func (d *band) firstDC(c scanComponent, b *[64]int16) bool {
	size, ok := d.r.value(d.s.dc[c.td])
	if !ok {
		return false
	}
	d.lastDC[c.index] += d.r.extend(int(size))
	v := d.lastDC[c.index] << d.s.al
	if v < -maxDC-1 || v > maxDC || d.lastDC[c.index] < -maxDC-1 || d.lastDC[c.index] > maxDC {
		return false
	}
	b[0] = int16(v)
	return true
}

func (d *band) firstAC(h *huffSpec, b *[64]int16) bool {
	if d.run > 0 {
		d.run--
		return true
	}
	for k := int(d.s.ss); k <= int(d.s.se); k++ {
		v, ok := d.r.value(h)
		if !ok {
			return false
		}
		size := int(v & 15)
		if size == 0 && v != 0xF0 {
			d.run = 1<<(v>>4) + int(d.r.take(int(v>>4))) - 1
			return true
		}
		if k += int(v >> 4); k > int(d.s.se) {
			return false
		}
		if size != 0 {
			x := d.r.extend(size) << d.s.al
			if size > 10 || x < -maxAC || x > maxAC {
				return false
			}
			b[k] = int16(x)
		}
	}
	return true
}

// refineAC adds one bit to the coefficients that are not zero, and new ones among those that are
// (T.81 G.1.2.3).
func (d *band) refineAC(h *huffSpec, b *[64]int16) bool {
	k, end := int(d.s.ss), int(d.s.se)
	one := int16(1) << d.s.al
	for d.run == 0 && k <= end {
		v, ok := d.r.value(h)
		if !ok || v&15 > 1 {
			return false
		}
		if v&15 == 0 && v != 0xF0 {
			d.run = 1<<(v>>4) + int(d.r.take(int(v>>4)))
			break
		}
		fresh := int16(0)
		if v&15 == 1 {
			if fresh = -one; d.r.take(1) == 1 {
				fresh = one
			}
		}
		if k = d.pass(b, k, int(v>>4), one); k > end {
			return false
		}
		b[k] = fresh
		k++
	}
	if d.run > 0 {
		d.run--
		d.pass(b, k, 64, one)
	}
	return true
}

// pass goes from coefficient k to the zero behind the given number of zeros, refining what is not
// zero on the way, and returns where it stopped.
func (d *band) pass(b *[64]int16, k, zeros int, one int16) int {
	for ; k <= int(d.s.se); k++ {
		switch {
		case b[k] == 0:
			if zeros--; zeros < 0 {
				return k
			}
		case d.r.take(1) == 0:
		case b[k] > 0:
			b[k] += one
		default:
			b[k] -= one
		}
	}
	return k
}

// sequential codes the collected coefficients as a sequential image with the same pixels, and lets go
// of them. image/jpeg holds 32-bit coefficients besides the picture when it decodes a progressive
// image, which is four times the memory, and loses its way at restart markers in scans of one
// component. The upload itself stays as it is.
func (l *jpegLayout) sequential() (pieces, error) {
	seq := jpegLayout{sof: mSOF1, width: l.width, height: l.height, model: l.model, adobe: l.adobe, comps: l.comps,
		quant: l.quant, quantUsed: l.quantUsed}
	e := seq.codeAnew()
	mx, my := l.mcus()
	for i := range mx * my {
		for c := range l.comps {
			h, v := int(l.comps[c].h), int(l.comps[c].v)
			for y := range v {
				for x := range h {
					b := &l.coef[c].blocks[(i/mx*v+y)*l.coef[c].stride+i%mx*h+x]
					if !e.codable(&e.comp[c], b) {
						return nil, refuse(CodeCorrupt, "coefficients beyond what 8-bit samples give")
					}
					e.coded(&e.comp[c], b)
				}
			}
		}
	}
	l.coef = [4]coefficients{}
	return e.finish(), nil
}

// codeAnew gives the layout one scan of all components, with the tables of annex K, and begins its file up
// to the scan's data.
func (l *jpegLayout) codeAnew() *jpegEncoder {
	e := &jpegEncoder{out: make([]byte, 0, chunkSize)}
	s := scan{se: 63}
	for i := range l.comps {
		t := min(i, 1)
		spec := annexK[t]()
		s.dc[t], s.ac[t] = spec[0], spec[1]
		s.comps = append(s.comps, scanComponent{i, byte(t), byte(t)})
		e.comp = append(e.comp, encComponent{dc: spec[0].codes(), ac: spec[1].codes()})
	}
	l.scans = []scan{s}
	e.done = l.rebuild()
	e.done = e.done[:len(e.done)-1]
	return e
}

// codable reports that a block's values have codes.
func (e *jpegEncoder) codable(c *encComponent, b *[64]int16) bool {
	if d := int32(b[0]) - c.last; d < -maxDC || d > maxDC {
		return false
	}
	for _, v := range b[1:] {
		if v < -maxAC || v > maxAC {
			return false
		}
	}
	return true
}
