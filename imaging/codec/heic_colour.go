package codec

import (
	"bytes"
	"image"
	"math"
	"slices"
)

// heicColour is how the samples of a photo are to be read.
type heicColour struct {
	colours
	said    bool // code points stand in the file itself
	points  nclx // in force, wherever they come from
	profile bool // the file has a profile of Display P3, and gets ours
	foreign bool // the colours are described by a profile that is not kept
}

// boxes are the colour properties written for the photo: code points where it had some, and our own copy
// where it had a profile of Display P3. A profile of sRGB goes: sRGB is what every reader assumes.
func (c *heicColour) boxes() [][]byte {
	var out [][]byte
	if c.said {
		p := slices.Concat([]byte("nclx"), be16(c.points.primaries), be16(c.points.transfer), be16(c.points.matrix), []byte{0})
		if c.points.fullRange {
			p[len(p)-1] = 0x80
		}
		out = append(out, p)
	}
	if c.profile {
		out = append(out, append([]byte("prof"), canonicalDisplayP3...))
	}
	return out
}

// readColour reads the colour properties (ISO/IEC 14496-12, 12.1.5) of the picture, or else of its first
// tile; code points that no property gives are those of the coded data.
func (l *heicLayout) readColour(it *heifItem) (heicColour, error) {
	var c heicColour
	boxes := l.h.property(it, "colr")
	if boxes == nil {
		boxes = l.h.property(l.tiles[0].item, "colr")
	}
	var icc []byte
	for _, b := range boxes {
		if len(b.body) < 4 {
			return c, refuse(CodeCorrupt, "colour description is malformed")
		}
		switch kind := string(b.body[:4]); {
		case kind == "nclx" && !c.said:
			r := cursor{p: b.body[4:]}
			c.said = true
			c.points = nclx{r.u16(), r.u16(), r.u16(), r.u8()&0x80 != 0}
			if r.bad {
				return c, refuse(CodeCorrupt, "colour description is malformed")
			}
		case (kind == "prof" || kind == "rICC") && icc == nil:
			icc = b.body[4:]
		default:
			return c, refuse(CodeColour, "colours described twice")
		}
	}
	switch {
	case c.said:
	case l.params.colourSaid:
		c.points = l.params.colour
	default:
		c.points = nclx{2, 2, 2, false} // H.265 E.3.1: what is not said
	}
	return c, c.judge(icc, l.params.chroma == 0, &l.removed)
}

// judge decides what the colours are. HDR (H.273 transfer characteristics 16 and 18) has no faithful
// form in sRGB.
func (c *heicColour) judge(icc []byte, gray bool, removed *removals) error {
	p := c.points
	if !slices.Contains([]int{1, 2, 6, 13, 14, 15}, p.transfer) {
		return refuse(CodeColour, "transfer characteristics %d", p.transfer)
	}
	if _, ok := lumaWeights[p.matrix]; !ok && !gray {
		return refuse(CodeColour, "matrix coefficients %d", p.matrix)
	}
	colorants, known := primaryColorants[p.primaries]
	if !known {
		return refuse(CodeColour, "colour primaries %d", p.primaries)
	}
	if len(icc) > maxProfile {
		return refuse(CodeColour, "a profile of %d bytes", len(icc))
	}
	if icc == nil {
		c.colours = colours{class: "none"}
		if p.primaries > 2 && !gray {
			r := &rgbProfile{colorants: colorants}
			for i := range 256 {
				v := srgbLinear(float64(i) / 255)
				r.curve[0][i], r.curve[1][i], r.curve[2][i] = v, v, v
			}
			c.colours = judgeRGB(r, false)
		}
		return nil
	}
	model := modelYCC
	if gray {
		model = modelGray
	}
	var err error
	if c.colours, err = judgeICC(icc, model); err != nil {
		return err
	}
	c.foreign = c.originalConv() != nil
	if !c.p3 || !bytes.Equal(icc, canonicalDisplayP3) {
		removed.add("ICC profile", len(icc))
	}
	c.profile = c.p3
	return nil
}

// srgbLinear is the inverse of the transfer function of IEC 61966-2-1.
func srgbLinear(x float64) float64 {
	if x > 0.04045 {
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return x / 12.92
}

// primaryColorants are the primaries of H.273 table 2 in XYZ relative to D50, adapted by Bradford's
// matrix. 2 is "unspecified", which readers take for those of sRGB.
var primaryColorants = map[int][3][3]float64{
	1: srgbColorants, 2: srgbColorants, 12: displayP3Colorants,
	5: {{0.45525, 0.23228, 0.01453}, {0.36760, 0.70782, 0.10487}, {0.14136, 0.05990, 0.70549}},
	6: smpteCColorants, 7: smpteCColorants,
	9: {{0.67348, 0.27904, -0.00193}, {0.16567, 0.67534, 0.02998}, {0.12505, 0.04561, 0.79685}},
}

var smpteCColorants = [3][3]float64{{0.41629, 0.22168, 0.01365}, {0.39320, 0.70328, 0.09133}, {0.15471, 0.07504, 0.71993}}

// lumaWeights are the shares of red and blue in luma by H.273 matrix coefficients (table 4). 2 is
// "unspecified", which readers take for that of JPEG.
var lumaWeights = map[int][2]float64{1: {0.2126, 0.0722}, 2: {0.299, 0.114}, 5: {0.299, 0.114}, 6: {0.299, 0.114}, 9: {0.2627, 0.0593}}

// normalise brings the samples of a decoded picture in place to the form that JPEG has them in (JFIF: BT.601, full range), which
// is what everything behind it reads.
func (p nclx) normalise(m image.Image) {
	yScale, yBase, cScale := 1.0, 0.0, 1.0
	if !p.fullRange {
		yScale, yBase, cScale = 255.0/219, 16, 255.0/224
	}
	if g, ok := m.(*image.Gray); ok {
		if !p.fullRange {
			var lut [256]byte
			for i := range lut {
				lut[i] = byte(min(max(math.Round((float64(i)-yBase)*yScale), 0), 255))
			}
			for i, v := range g.Pix {
				g.Pix[i] = lut[v]
			}
		}
		return
	}
	w := lumaWeights[p.matrix]
	if p.fullRange && w == lumaWeights[6] {
		return
	}
	kr, kb := w[0], w[1]
	kg := 1 - kr - kb
	// With c for chroma: red and blue are luma + red·Cr and luma + blue·Cb; green is luma less both.
	red, blue := 2*(1-kr), 2*(1-kb)
	a := 0.114*blue - 0.587*kb*blue/kg // of Cb in the new luma
	b := 0.299*red - 0.587*kr*red/kg   // of Cr
	fix := func(v float64) int32 { return int32(math.Round(v * 65536)) }
	y1, ya, yb := fix(yScale), fix(a*cScale), fix(b*cScale)
	y0 := fix(-yBase*yScale) + 1<<15
	bb, br := fix(cScale*(blue-a)/1.772), fix(-cScale*b/1.772)
	rb, rr := fix(-cScale*a/1.402), fix(cScale*(red-b)/1.402)
	clamp := func(v int32) byte { return byte(min(max(v>>16, 0), 255)) }
	const half = 128<<16 + 1<<15
	src := m.(*image.YCbCr)
	for i, v := range src.Y {
		cb, cr := int32(src.Cb[i])-128, int32(src.Cr[i])-128
		src.Y[i] = clamp(y1*int32(v) + ya*cb + yb*cr + y0)
		src.Cb[i], src.Cr[i] = clamp(bb*cb+br*cr+half), clamp(rb*cb+rr*cr+half)
	}
}
