package codec

import "crypto/sha256"

// bakedQuality is the quality of an original that had to be coded anew, on libjpeg's scale.
const bakedQuality = 95

// encodeJPEG codes a picture as baseline JPEG without chroma subsampling, in the canonical form of
// rebuild. image/jpeg writes 4:2:0 only, which would halve the colour resolution of a clinical photo
// once more. p3 puts it under our own Display P3 profile. It also returns the hash of the pixels it was given. The output depends on nothing but
// the input.
func encodeJPEG(src rows, quality int, p3 bool) (pieces, [sha256.Size]byte) {
	w, h := src.size()
	e := newEncoder(src.model(), w, h, quality, p3)
	hash := newPixelHash(src.model(), w, h)
	strip := make([][][]byte, 8)
	for i := range strip {
		strip[i] = channels(src.model(), w)
	}
	for y := 0; y < h; y += 8 {
		for i := range strip {
			if y+i < h {
				src.fill(y+i, strip[i])
				hash.row(strip[i])
				pad(strip[i], w)
			} else {
				// The last row repeats: cheap to code and no edge to ring.
				for c := range strip[i] {
					copy(strip[i][c][:cap(strip[i][c])], strip[i-1][c][:cap(strip[i][c])])
				}
			}
		}
		e.strip(strip, w)
	}
	return e.finish(), hash.sum()
}

// pad repeats the last sample of each row to the end of its block.
func pad(ch [][]byte, w int) {
	for _, c := range ch {
		full := c[:cap(c)]
		for x := w; x < len(full) && x < (w+7)&^7; x++ {
			full[x] = full[w-1]
		}
	}
}

// chunkSize is the size of the pieces that the encoder gives out. Growing one buffer would need more
// than twice its size at times.
const chunkSize = 256 << 10

// jpegEncoder holds the state of one image: per component a quantisation table, Huffman codes and
// the last DC value.
type jpegEncoder struct {
	done pieces
	out  []byte
	acc  uint64
	n    uint
	comp []encComponent
}

type encComponent struct {
	quant  *encQuant
	dc, ac *[256]encCode
	last   int32
}

// encQuant divides by a quantisation step (times 16, the fraction bits that the transform keeps) by
// multiplying: exact for the range of the transform.
type encQuant struct {
	half  [64]uint32
	recip [64]uint64
}

type encCode struct {
	bits uint32
	n    uint8
}

func newEncoder(m colourModel, w, h, quality int, p3 bool) *jpegEncoder {
	n := m.channels()
	e := &jpegEncoder{}
	l := &jpegLayout{sof: mSOF0, width: w, height: h, model: m, p3: p3}
	bases := []*[64]byte{&quantLuma}
	specs := [][2]*huffSpec{annexK[0]()}
	if m == modelYCC {
		bases = append(bases, &quantChroma)
		specs = append(specs, annexK[1]())
	}
	quants := make([]*encQuant, len(bases))
	codes := make([][2]*[256]encCode, len(bases))
	for i, b := range bases {
		quants[i], l.quant[i] = newQuant(b, i, quality)
		l.quantUsed[i] = true
		codes[i] = [2]*[256]encCode{specs[i][0].codes(), specs[i][1].codes()}
	}
	s := scan{se: 63}
	for c := range n {
		t := min(c, len(bases)-1)
		l.comps = append(l.comps, component{id: byte(c + 1), h: 1, v: 1, tq: byte(t)})
		s.comps = append(s.comps, scanComponent{index: c, td: byte(t), ta: byte(t)})
		s.dc[t], s.ac[t] = specs[t][0], specs[t][1]
		e.comp = append(e.comp, encComponent{quant: quants[t], dc: codes[t][0], ac: codes[t][1]})
	}
	l.scans = []scan{s}
	e.done = l.rebuild()
	e.done = e.done[:len(e.done)-1] // without the end of image
	e.out = make([]byte, 0, chunkSize)
	return e
}

// newQuant scales a table of annex K to a quality from 50 to 100 as libjpeg does, and returns it in
// both forms: for the encoder and as a DQT body.
func newQuant(base *[64]byte, slot, quality int) (*encQuant, []byte) {
	q := &encQuant{}
	body := []byte{byte(slot)}
	for _, nat := range zigZag {
		step := scaledStep(base[nat], 200-2*quality)
		body = append(body, byte(step))
		d := uint64(step) * 16
		q.half[nat] = uint32(d / 2)
		q.recip[nat] = (1<<32 + d - 1) / d
	}
	return q, body
}

// annexK makes the Huffman tables of T.81 annex K, DC and AC: for luminance and for chrominance.
var annexK = [2]func() [2]*huffSpec{
	func() [2]*huffSpec {
		return [2]*huffSpec{mustHuff(0, dcLumaCounts, dcValues), mustHuff(1, acLumaCounts, acValues(acLumaHead))}
	},
	func() [2]*huffSpec {
		return [2]*huffSpec{mustHuff(0, dcChromaCounts, dcValues), mustHuff(1, acChromaCounts, acValues(acChromaHead))}
	},
}

func mustHuff(class byte, counts [16]byte, values []byte) *huffSpec {
	h, err := newHuffSpec(class, counts[:], values)
	if err != nil {
		panic("codec: table of T.81 annex K is malformed: " + err.Error())
	}
	return h
}

// codes inverts a table: the code of each value.
func (h *huffSpec) codes() *[256]encCode {
	out := new([256]encCode)
	for n := 1; n <= 16; n++ {
		for i := range int32(h.counts[n-1]) {
			out[h.values[h.index[n]+i]] = encCode{uint32(h.first[n] + i), uint8(n)}
		}
	}
	return out
}

// strip codes eight rows.
func (e *jpegEncoder) strip(strip [][][]byte, w int) {
	var b [64]int32
	for x := 0; x < w; x += 8 {
		for c := range e.comp {
			for y := range 8 {
				row := strip[y][c][x : x+8 : x+8]
				for i, v := range row {
					b[8*y+i] = int32(v) - 128
				}
			}
			fdct(&b)
			e.block(&e.comp[c], &b)
		}
	}
}

// block quantises one block and codes it.
func (e *jpegEncoder) block(c *encComponent, b *[64]int32) {
	var q [64]int16
	for k, nat := range zigZag {
		q[k] = int16(c.quant.divide(b[nat], nat))
	}
	e.coded(c, &q)
}

// coded writes one block of quantised coefficients in zig-zag order (T.81 F.1.2).
func (e *jpegEncoder) coded(c *encComponent, b *[64]int16) {
	e.value(c.dc, 0, int32(b[0])-c.last)
	c.last = int32(b[0])
	run := byte(0)
	for _, v := range b[1:] {
		if v == 0 {
			run++
			continue
		}
		for ; run > 15; run -= 16 {
			e.put(c.ac[0xF0].bits, uint(c.ac[0xF0].n))
		}
		e.value(c.ac, run, int32(v))
		run = 0
	}
	if run > 0 {
		e.put(c.ac[0].bits, uint(c.ac[0].n))
	}
}

func (q *encQuant) divide(v int32, nat byte) int32 {
	// Most are nearer to nothing than to a step.
	if half := q.half[nat]; uint32(v)+half-1 < 2*half-1 {
		return 0
	}
	if v < 0 {
		return -int32(uint64(uint32(-v)+q.half[nat]) * q.recip[nat] >> 32)
	}
	return int32(uint64(uint32(v)+q.half[nat]) * q.recip[nat] >> 32)
}

// value writes run and size as one code, then the value's bits (T.81 F.1.2.1).
func (e *jpegEncoder) value(codes *[256]encCode, run byte, v int32) {
	m := v
	if v < 0 {
		m = -v
		v--
	}
	size := uint(0)
	for ; m > 0; m >>= 1 {
		size++
	}
	c := codes[run<<4|byte(size)]
	e.put(c.bits<<size|uint32(v)&(1<<size-1), uint(c.n)+size)
}

// put appends n ≤ 27 bits, stuffing a zero byte behind each FF.
func (e *jpegEncoder) put(bits uint32, n uint) {
	e.acc = e.acc<<n | uint64(bits)
	e.n += n
	if len(e.out) > chunkSize-16 {
		e.done = append(e.done, e.out)
		e.out = make([]byte, 0, chunkSize)
	}
	for e.n >= 8 {
		e.n -= 8
		b := byte(e.acc >> e.n)
		e.out = append(e.out, b)
		if b == 0xFF {
			e.out = append(e.out, 0)
		}
	}
}

// finish fills the last byte with ones and ends the image.
func (e *jpegEncoder) finish() pieces {
	if e.n > 0 {
		k := 8 - e.n
		e.put(1<<k-1, k)
	}
	return append(e.done, append(e.out, 0xFF, mEOI))
}
