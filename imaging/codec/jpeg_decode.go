package codec

import (
	"encoding/binary"
	"image"

	"photovault/imaging/internal/pages"
)

// planes are the decoded samples of an image, one plane for each component, padded to whole MCUs.
type planes struct {
	img  image.Image // *image.Gray or *image.YCbCr
	comp [3]plane
}

// plane is where one component is decoded to.
type plane struct {
	pix    []byte
	stride int
	quant  [64]int32 // steps in zig-zag order
	last   int32     // average of the block before
	seen   uint64    // which coefficients some block has, a bit each
}

// open walks an image and decodes it. Grey and YCbCr in sequential coding, which is what cameras write, are
// decoded on the way; the rest is left to image/jpeg, which gives the same pixels.
func (l *jpegLayout) open() (image.Image, error) {
	if l.sof == mSOF2 || l.model != modelGray && l.model != modelYCC {
		if err := l.walk(); err != nil {
			return nil, err
		}
		return l.decode(l.rebuild())
	}
	p := l.newPlanes()
	if err := l.follow(p); err != nil {
		return nil, err
	}
	return p.img, nil
}

// newPlanes makes room for the picture, in the form that image/jpeg gives.
func (l *jpegLayout) newPlanes() *planes {
	p := &planes{}
	mx, my := l.mcus()
	first := l.comps[0]
	whole := image.Rect(0, 0, 8*int(first.h)*mx, 8*int(first.v)*my)
	shown := image.Rect(0, 0, l.width, l.height)
	if l.model == modelGray {
		m := image.NewGray(whole)
		p.comp[0] = plane{pix: pages.Advise(m.Pix), stride: m.Stride}
		m.Rect = shown
		p.img = m
	} else {
		m := image.NewYCbCr(whole, ratio(first, l.comps[1]))
		p.comp[0] = plane{pix: pages.Advise(m.Y), stride: m.YStride}
		p.comp[1] = plane{pix: pages.Advise(m.Cb), stride: m.CStride}
		p.comp[2] = plane{pix: pages.Advise(m.Cr), stride: m.CStride}
		m.Rect = shown
		p.img = m
	}
	for i, c := range l.comps {
		p.comp[i].quant = steps(l.quant[c.tq])
	}
	return p
}

// ratio names the sampling factors of the first component against those of another.
func ratio(first, c component) image.YCbCrSubsampleRatio {
	switch [2]byte{first.h / c.h, first.v / c.v} {
	case [2]byte{1, 2}:
		return image.YCbCrSubsampleRatio440
	case [2]byte{2, 1}:
		return image.YCbCrSubsampleRatio422
	case [2]byte{2, 2}:
		return image.YCbCrSubsampleRatio420
	case [2]byte{4, 1}:
		return image.YCbCrSubsampleRatio411
	case [2]byte{4, 2}:
		return image.YCbCrSubsampleRatio410
	}
	return image.YCbCrSubsampleRatio444
}

// steps reads a quantisation table as it stands in a DQT segment. A component that no scan codes may have
// none; the image is refused at its end.
func steps(t []byte) (q [64]int32) {
	if t == nil {
		return q
	}
	for k := range q {
		if t[0]>>4 == 0 {
			q[k] = int32(t[1+k])
		} else {
			q[k] = int32(binary.BigEndian.Uint16(t[1+2*k:]))
		}
	}
	return q
}

// decodeSequential decodes the n units of a restart interval that begins with unit first, and refuses
// what walker.sequential refuses.
func (l *jpegLayout) decodeSequential(p *planes, r *bitReader, s *scan, first, n int) bool {
	for _, c := range s.comps {
		p.comp[c.index].last = 0
		s.ac[c.ta].shorten()
	}
	var b [64]int32
	if len(s.comps) == 1 {
		c := s.comps[0]
		to := &p.comp[c.index]
		bw, _ := l.blocks(c.index)
		for i := first; i < first+n; i++ {
			if !r.block(s.dc[c.td], s.ac[c.ta], to, &b, 8*(i/bw*to.stride+i%bw)) || r.n < 0 {
				return false
			}
		}
		return true
	}
	mx, _ := l.mcus()
	for i := first; i < first+n; i++ {
		for _, c := range s.comps {
			to := &p.comp[c.index]
			dc, ac := s.dc[c.td], s.ac[c.ta]
			h, v := int(l.comps[c.index].h), int(l.comps[c.index].v)
			for y := range v {
				for x := range h {
					if !r.block(dc, ac, to, &b, 8*((i/mx*v+y)*to.stride+i%mx*h+x)) {
						return false
					}
				}
			}
		}
		if r.n < 0 {
			return false
		}
	}
	return true
}

// block decodes one block (T.81 F.2.2) to where it lies in its plane. b must be zero, and is again
// afterwards.
func (r *bitReader) block(dc, ac *huffSpec, to *plane, b *[64]int32, at int) bool {
	size, ok := r.value(dc)
	if !ok {
		return false
	}
	to.last += r.extend(int(size))
	b[0] = to.last * to.quant[0]
	last, seen := 0, uint64(0)
	acc, n := r.acc, r.n
	for k := 1; k < 64; k++ {
		if n < 32 {
			r.acc, r.n = acc, n
			r.fill()
			acc, n = r.acc, r.n
		}
		e := ac.short[acc>>(64-lookBits)]
		if e.bits != 0 {
			ac.hit[acc>>(64-lookBits)] = true
			acc <<= e.bits & 63
			n -= int(e.bits)
			if k += int(e.run); k > 63 {
				if e.run == endOfBlock {
					break
				}
				r.acc, r.n = acc, n
				return false
			}
			b[zigZag[k&63]&63] = int32(e.value) * to.quant[k&63]
			last = k
			seen |= 1 << (k & 63)
			continue
		}
		r.acc, r.n = acc, n
		v, ok := r.value(ac)
		if !ok {
			return false
		}
		size := int(v & 15)
		if size == 0 && v != 0xF0 {
			if v != 0 {
				return false
			}
			acc, n = r.acc, r.n
			break
		}
		if k += int(v >> 4); k > 63 {
			r.skip(size)
			return false
		}
		if size > 0 {
			b[zigZag[k&63]&63] = r.extend(size) * to.quant[k&63]
			last = k
			seen |= 1 << (k & 63)
		}
		acc, n = r.acc, r.n
		if n < 0 {
			return false
		}
	}
	r.acc, r.n = acc, n
	if n < 0 {
		return false
	}
	to.seen |= seen
	idct(b, last, to.pix[at:], to.stride)
	return true
}

// extend reads size bits as a signed value (T.81 F.2.2.1).
func (r *bitReader) extend(size int) int32 {
	v := int32(r.take(size))
	if size > 0 && v < 1<<(size-1) {
		v -= 1<<size - 1
	}
	return v
}

// shortValue is what the next lookBits bits are when they hold a code and all bits of its value.
type shortValue struct {
	value int16
	run   uint8 // of zeros before it, or endOfBlock
	bits  uint8 // of code and value; 0 when there are more
}

const endOfBlock = 255

// shorten makes the table of short values of an AC table.
func (h *huffSpec) shorten() {
	if h.short != nil {
		return
	}
	h.short = new([1 << lookBits]shortValue)
	for i := range h.short {
		v, n := byte(h.fast[i]>>8), int(h.fast[i]&0xFF)
		size := int(v & 15)
		switch {
		case n == 0 || n+size > lookBits || size == 0 && v != 0:
		case size == 0:
			h.short[i] = shortValue{run: endOfBlock, bits: uint8(n)}
		default:
			x := i >> (lookBits - n - size) & (1<<size - 1)
			if x < 1<<(size-1) {
				x -= 1<<size - 1
			}
			h.short[i] = shortValue{int16(x), v >> 4, uint8(n + size)}
		}
	}
}
