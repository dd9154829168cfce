package codec

import (
	"encoding/binary"

	"photovault/imaging/internal/wire"
)

// frameHeader takes the frame header (T.81 B.2.2) and refuses on it whatever is too large.
func (l *jpegLayout) frameHeader(marker byte, body []byte, lim wire.Limits) error {
	if l.comps != nil {
		return refuse(CodeCorrupt, "more than one frame")
	}
	if len(body) < 6 {
		return refuse(CodeCorrupt, "short frame header")
	}
	if body[0] != 8 {
		return refuse(CodeCoding, "%d bits per sample", body[0])
	}
	l.sof = marker
	l.height = int(binary.BigEndian.Uint16(body[1:]))
	l.width = int(binary.BigEndian.Uint16(body[3:]))
	n := int(body[5])
	if len(body) != 6+3*n {
		return refuse(CodeCorrupt, "frame header of %d bytes for %d components", len(body), n)
	}
	switch {
	case l.width == 0:
		return refuse(CodeCorrupt, "no width")
	case l.height == 0:
		return refuse(CodeCoding, "number of lines after the fact (DNL)")
	case n != 1 && n != 3 && n != 4:
		return refuse(CodeCoding, "%d components", n)
	}
	if err := checkSize(int64(l.width), int64(l.height), lim); err != nil {
		return err
	}
	l.comps = make([]component, n)
	for i := range l.comps {
		p := body[6+3*i:]
		c := component{id: p[0], h: p[1] >> 4, v: p[1] & 15, tq: p[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.tq > 3 {
			return refuse(CodeCorrupt, "component with sampling %dx%d, table %d", c.h, c.v, c.tq)
		}
		for _, o := range l.comps[:i] {
			if o.id == c.id {
				return refuse(CodeCorrupt, "two components with one name")
			}
		}
		l.comps[i] = c
	}
	if n == 1 {
		// With one component the sampling factors mean nothing (T.81 A.2.2).
		l.comps[0].h, l.comps[0].v = 1, 1
	} else if err := checkSampling(l.comps); err != nil {
		return err
	}
	if l.why >= toSanitise {
		if err := l.checkProportion(l.sof != mSOF2 && n < 4); err != nil {
			return err
		}
	}
	return checkMemory(l, l.why, lim)
}

// checkProportion refuses more pixels than the file has bytes for. What is kept as it is coded costs a quarter of
// what is coded anew.
func (l *jpegLayout) checkProportion(kept bool) error {
	pixels, bytes := int64(l.width)*int64(l.height), int64(len(l.comps))
	if bytes == 4 {
		bytes = 8 // what four inks show is looked up in four dimensions
	}
	if kept {
		pixels /= 4
	}
	return checkProportion(pixels, bytes, int64(l.inputSize))
}

// checkSize refuses bombs on the header alone.
func checkSize(w, h int64, lim wire.Limits) error {
	if w > lim.MaxSide || h > lim.MaxSide || w*h > lim.MaxPixels {
		return refuse(CodePixels, "%dx%d pixels", w, h)
	}
	return nil
}

// checkSampling admits 4:4:4, 4:4:0, 4:2:2, 4:2:0, 4:1:1 and 4:1:0: what cameras write and image/jpeg
// decodes. Of four components it decodes them all whole, or the second and third halved.
func checkSampling(c []component) error {
	if len(c) == 4 {
		whole := c[0].h == 1 && c[0].v == 1
		halved := c[0].h == 2 && c[0].v == 2
		if !whole && !halved || c[1].h != 1 || c[1].v != 1 || c[2].h != 1 || c[2].v != 1 || c[3].h != c[0].h || c[3].v != c[0].v {
			return refuse(CodeCoding, "sampling of four components")
		}
		return nil
	}
	y, cb, cr := c[0], c[1], c[2]
	ok := cb.h == cr.h && cb.v == cr.v && y.h%cb.h == 0 && y.v%cb.v == 0 && y.h != 3 && y.v < 3
	if !ok {
		return refuse(CodeCoding, "sampling %dx%d, %dx%d, %dx%d", y.h, y.v, cb.h, cb.v, cr.h, cr.v)
	}
	return nil
}
