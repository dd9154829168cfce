package codec

import (
	"image"
	"image/color"
)

// ink converts one colour, 255 being full ink. Without a profile it is as a display without one shows
// it: each ink takes away its part of the light.
func (c *conversion) ink(cyan, magenta, yellow, black byte) (byte, byte, byte) {
	if c.table != nil {
		return c.table.cmyk(cyan, magenta, yellow, black)
	}
	light := func(ink byte) byte { return byte(((255-uint32(ink))*(255-uint32(black)) + 127) / 255) }
	return light(cyan), light(magenta), light(yellow)
}

// printed turns a picture of four inks into sRGB, in its own memory. Files that Adobe's marker does not
// vouch for hold their inks the right way round; image/jpeg has inverted all.
func printed(m *image.CMYK, c *conversion, inverted bool) *image.RGBA {
	var flip byte
	if !inverted {
		flip = 0xFF
	}
	for i := 0; i+3 < len(m.Pix); i += 4 {
		p := m.Pix[i : i+4 : i+4]
		p[0], p[1], p[2] = c.ink(p[0]^flip, p[1]^flip, p[2]^flip, p[3]^flip)
		p[3] = 0xFF
	}
	return &image.RGBA{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect}
}

// luminous is an RGB picture seen in YCbCr, as JPEG codes it best.
type luminous struct{ rows }

func (p luminous) model() colourModel { return modelYCC }

func (p luminous) fill(y int, ch [][]byte) {
	p.rows.fill(y, ch)
	for i := range ch[0] {
		ch[0][i], ch[1][i], ch[2][i] = color.RGBToYCbCr(ch[0][i], ch[1][i], ch[2][i])
	}
}
