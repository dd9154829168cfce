package codec

import "math"

// colours is how the samples of an upload are to be read.
type colours struct {
	class string      // one of wire.Profiles
	conv  *conversion // to sRGB; nil when nothing is to be done
	// p3: an original may stay Display P3, under our own copy of its profile. The smaller renditions
	// are sRGB always.
	p3 bool
}

// originalConv is the conversion that the original needs; nil when its samples may stay.
func (c colours) originalConv() *conversion {
	if c.p3 {
		return nil
	}
	return c.conv
}

// judgeICC decides by an ICC profile, by what it says and not by its name. A profile of another space than
// the picture's is broken.
func judgeICC(icc []byte, m colourModel) (colours, error) {
	p, err := parseICC(icc)
	if err != nil {
		return colours{}, refuse(CodeColour, "%v", err)
	}
	grayPicture := m&^modelDeep == modelGray
	if (p.space == "GRAY") && !grayPicture || (p.space == "CMYK") != (m == modelCMYK) {
		return colours{}, refuse(CodeColour, "the colour profile is of another colour space than the picture")
	}
	switch {
	case p.space == "CMYK":
		return colours{class: "CMYK", conv: p.lut.conversion(false)}, nil
	case p.gray != nil:
		return settle(colours{class: "gray", conv: newGrayConversion(&p.gray.curve)}), nil
	case p.lut != nil && p.space == "GRAY":
		return settle(colours{class: "gray", conv: p.lut.conversion(true)}), nil
	case p.lut != nil:
		return settle(colours{class: "other RGB", conv: p.lut.conversion(grayPicture)}), nil
	}
	return judgeRGB(p.rgb, grayPicture), nil
}

// judgeRGB decides by colorants and curves, from wherever they come.
func judgeRGB(rgb *rgbProfile, grayPicture bool) colours {
	c := colours{class: rgb.class(nil)}
	if grayPicture {
		// Equal parts of three colorants are the white point, so only the curve counts.
		c.conv = newGrayConversion(&rgb.curve[1])
		return settle(c)
	}
	c.conv = newConversion(rgb)
	c.p3 = c.class == "Display P3" && rgb.hasSRGBCurve()
	return settle(c)
}

// settle drops a conversion that moves nothing.
func settle(c colours) colours {
	if c.conv.isIdentity() {
		c.conv = nil
		if c.class != "gray" {
			c.class = "sRGB"
		}
	}
	return c
}

// hasSRGBCurve reports that the tone curves are those of sRGB.
func (p *rgbProfile) hasSRGBCurve() bool {
	for ch := range p.curve {
		for i, v := range p.curve[ch] {
			if d := int(srgbEncode(v)) - i; d > nearSRGB || d < -nearSRGB {
				return false
			}
		}
	}
	return true
}

// chromaticities are CIE 1931 x and y of white, red, green, blue.
type chromaticities [4][2]float64

// Primaries that pictures name by number or imply.
var (
	bt709Primaries     = chromaticities{{0.3127, 0.3290}, {0.64, 0.33}, {0.30, 0.60}, {0.15, 0.06}}
	bt2020Primaries    = chromaticities{{0.3127, 0.3290}, {0.708, 0.292}, {0.170, 0.797}, {0.131, 0.046}}
	displayP3Primaries = chromaticities{{0.3127, 0.3290}, {0.680, 0.320}, {0.265, 0.690}, {0.150, 0.060}}
)

// profile makes a profile of chromaticities and one tone curve: colorants scaled so that together they
// are white, then adapted to D50 as a profile has them (Bradford, ICC.1:2022 annex E).
func (xy chromaticities) profile(curve func(float64) float64) (*rgbProfile, error) {
	var xyz [4][3]float64
	for i, c := range xy {
		if c[1] < 1e-4 || c[0] < 0 || c[0]+c[1] > 1 {
			return nil, errProfile
		}
		xyz[i] = [3]float64{c[0] / c[1], 1, (1 - c[0] - c[1]) / c[1]}
	}
	white, prim := xyz[0], [3][3]float64{xyz[1], xyz[2], xyz[3]}
	inv := invert(prim)
	p := &rgbProfile{}
	for i := range p.colorants {
		scale := white[0]*inv[0][i] + white[1]*inv[1][i] + white[2]*inv[2][i]
		if math.IsNaN(scale) || scale <= 0 || scale > 100 {
			return nil, errProfile
		}
		v := [3]float64{scale * prim[i][0], scale * prim[i][1], scale * prim[i][2]}
		p.colorants[i] = toD50(v, white)
	}
	for i := range 256 {
		v := min(max(curve(float64(i)/255), 0), 1)
		p.curve[0][i], p.curve[1][i], p.curve[2][i] = v, v, v
	}
	return p, nil
}

var bradford = [3][3]float64{{0.8951, 0.2664, -0.1614}, {-0.7502, 1.7135, 0.0367}, {0.0389, -0.0685, 1.0296}}

func toD50(v, white [3]float64) [3]float64 {
	d50 := [3]float64{0.9642, 1, 0.8249}
	from, to, c := apply(bradford, white), apply(bradford, d50), apply(bradford, v)
	for i := range c {
		c[i] *= to[i] / from[i]
	}
	return apply(invert(bradford), c)
}

func apply(m [3][3]float64, v [3]float64) (out [3]float64) {
	for i := range out {
		out[i] = m[i][0]*v[0] + m[i][1]*v[1] + m[i][2]*v[2]
	}
	return out
}

// srgbDecode is the inverse of the transfer function of IEC 61966-2-1.
func srgbDecode(x float64) float64 {
	if x <= 0.04045 {
		return x / 12.92
	}
	return math.Pow((x+0.055)/1.055, 2.4)
}

// gammaDecode is a plain power.
func gammaDecode(g float64) func(float64) float64 {
	return func(x float64) float64 { return math.Pow(x, g) }
}
