package codec

import (
	"image"
	"image/color"
	"math"
)

// conversion brings 8-bit colours of one space to sRGB. Colours outside sRGB are clipped, as a
// display would.
type conversion struct {
	gray   *[256]byte    // grey pictures
	linear [3][256]int32 // RGB: to linear light, 1<<linearBits being white
	matrix [3][3]int64   // linear source to linear sRGB, in 1<<matrixBits
	encode []byte        // linear light to sRGB
	table  *colourTable  // in place of all that, where a profile says so by a table
}

const (
	linearBits = 14
	matrixBits = 16
)

// Colorants of sRGB and others in XYZ relative to D50, as their ICC profiles hold them.
var (
	srgbColorants      = [3][3]float64{{0.43607, 0.22249, 0.01392}, {0.38515, 0.71687, 0.09708}, {0.14307, 0.06061, 0.71410}}
	adobeRGBColorants  = [3][3]float64{{0.60974, 0.31111, 0.01947}, {0.20528, 0.62567, 0.06087}, {0.14919, 0.06322, 0.74457}}
	displayP3Colorants = [3][3]float64{{0.51512, 0.24120, -0.00105}, {0.29198, 0.69225, 0.04189}, {0.15710, 0.06657, 0.78407}}
)

// nearSRGB is how far, in 8-bit levels, a colour may move before a profile counts as other than sRGB.
// Profiles named sRGB differ among themselves by one or two.
const nearSRGB = 2

// sourceColours decides how a JPEG's colours are to be read: by its ICC profile, else by EXIF's word
// that it is Adobe RGB, else as sRGB.
func sourceColours(l *jpegLayout, x exifFacts) (colours, error) {
	icc, err := l.icc.profile()
	switch {
	case err != nil:
		return colours{}, refuse(CodeColour, "%v", err)
	case icc != nil:
		return judgeICC(icc, l.model)
	case l.model == modelCMYK:
		return colours{class: "CMYK", conv: &conversion{}}, nil
	case x.adobeRGB:
		return judgeRGB(adobeRGB(), l.model == modelGray), nil
	}
	return colours{class: "none"}, nil
}

// class names a profile by its content.
func (p *rgbProfile) class(g *grayProfile) string {
	if g != nil {
		return "gray"
	}
	near := func(want [3][3]float64) bool {
		for i := range want {
			for k := range want[i] {
				if math.Abs(want[i][k]-p.colorants[i][k]) > 0.002 {
					return false
				}
			}
		}
		return true
	}
	switch {
	case near(displayP3Colorants):
		return "Display P3"
	case near(adobeRGBColorants):
		return "Adobe RGB"
	}
	return "other RGB"
}

func adobeRGB() *rgbProfile {
	p := &rgbProfile{colorants: adobeRGBColorants}
	for i := range 256 {
		v := math.Pow(float64(i)/255, 563.0/256) // Adobe RGB (1998) 4.3.4.2
		p.curve[0][i], p.curve[1][i], p.curve[2][i] = v, v, v
	}
	return p
}

// srgbEncode is the transfer function of IEC 61966-2-1 with its result in 0..255.
func srgbEncode(x float64) byte {
	y := 12.92 * x
	if x > 0.0031308 {
		y = 1.055*math.Pow(x, 1/2.4) - 0.055
	}
	return byte(min(max(y, 0), 1)*255 + 0.5)
}

func newGrayConversion(curve *[256]float64) *conversion {
	c := &conversion{gray: new([256]byte)}
	for i, v := range curve {
		c.gray[i] = srgbEncode(v)
	}
	return c
}

func newConversion(p *rgbProfile) *conversion {
	c := &conversion{encode: make([]byte, 1<<linearBits+1)}
	for ch := range 3 {
		for i, v := range p.curve[ch] {
			c.linear[ch][i] = int32(math.Round(v * (1 << linearBits)))
		}
	}
	inv := invert(srgbColorants)
	for out := range 3 {
		for in := range 3 {
			var sum float64
			for k := range 3 {
				sum += inv[k][out] * p.colorants[in][k]
			}
			c.matrix[out][in] = int64(math.Round(min(max(sum, -64), 64) * (1 << matrixBits)))
		}
	}
	for i := range c.encode {
		c.encode[i] = srgbEncode(float64(i) / (1 << linearBits))
	}
	return c
}

// invert inverts a 3×3 matrix by cofactors.
func invert(m [3][3]float64) (out [3][3]float64) {
	cof := func(i, j int) float64 {
		a, b := (i+1)%3, (i+2)%3
		c, d := (j+1)%3, (j+2)%3
		return m[a][c]*m[b][d] - m[a][d]*m[b][c]
	}
	det := m[0][0]*cof(0, 0) + m[0][1]*cof(0, 1) + m[0][2]*cof(0, 2)
	for i := range 3 {
		for j := range 3 {
			out[j][i] = cof(i, j) / det
		}
	}
	return out
}

// rgb converts one colour.
func (c *conversion) rgb(r, g, b byte) (byte, byte, byte) {
	if c.table != nil {
		return c.table.rgb(r, g, b)
	}
	lr, lg, lb := int64(c.linear[0][r]), int64(c.linear[1][g]), int64(c.linear[2][b])
	var out [3]byte
	for i := range out {
		m := &c.matrix[i]
		v := (m[0]*lr + m[1]*lg + m[2]*lb + 1<<(matrixBits-1)) >> matrixBits
		out[i] = c.encode[min(max(v, 0), 1<<linearBits)]
	}
	return out[0], out[1], out[2]
}

// isIdentity reports that no colour moves by more than nearSRGB.
func (c *conversion) isIdentity() bool {
	near := func(a, b byte) bool { return max(a, b)-min(a, b) <= nearSRGB }
	if c.gray != nil {
		for i, v := range c.gray {
			if !near(byte(i), v) {
				return false
			}
		}
		return true
	}
	for r := 0; r < 256; r += 15 {
		for g := 0; g < 256; g += 15 {
			for b := 0; b < 256; b += 15 {
				x, y, z := c.rgb(byte(r), byte(g), byte(b))
				if !near(byte(r), x) || !near(byte(g), y) || !near(byte(b), z) {
					return false
				}
			}
		}
	}
	return true
}

// converted is a picture seen through a conversion.
type converted struct {
	rows
	c *conversion
}

func (p converted) fill(y int, ch [][]byte) {
	p.rows.fill(y, ch)
	switch p.model() {
	case modelGray:
		for i, v := range ch[0] {
			ch[0][i] = p.c.gray[v]
		}
	case modelRGB, modelRGBA:
		for i := range ch[0] {
			ch[0][i], ch[1][i], ch[2][i] = p.c.rgb(ch[0][i], ch[1][i], ch[2][i])
		}
	default:
		for i := range ch[0] {
			r, g, b := color.YCbCrToRGB(ch[0][i], ch[1][i], ch[2][i])
			ch[0][i], ch[1][i], ch[2][i] = color.RGBToYCbCr(p.c.rgb(r, g, b))
		}
	}
}

// apply converts a picture in place; alpha stays.
func (c *conversion) apply(m *image.NRGBA) {
	for i := 0; i+3 < len(m.Pix); i += 4 {
		if c.gray != nil {
			v := c.gray[m.Pix[i]]
			m.Pix[i], m.Pix[i+1], m.Pix[i+2] = v, v, v
		} else {
			m.Pix[i], m.Pix[i+1], m.Pix[i+2] = c.rgb(m.Pix[i], m.Pix[i+1], m.Pix[i+2])
		}
	}
}
