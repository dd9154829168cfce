package codec

import (
	"image"
	"image/color"
)

// colourModel is how the samples of a picture are to be read. Its values are part of pixel hashes.
type colourModel byte

const (
	modelGray colourModel = 1
	modelYCC  colourModel = 3
	modelRGB  colourModel = 4
	modelRGBA colourModel = 5
	modelYCCA colourModel = 6
	modelCMYK colourModel = 7
	modelDeep colourModel = 16 // samples of 16 bits, added to another
)

func (m colourModel) deep() bool { return m&modelDeep != 0 }

func (m colourModel) channels() int {
	switch m &^ modelDeep {
	case modelGray:
		return 1
	case modelRGBA, modelYCCA, modelCMYK:
		return 4
	}
	return 3
}

// pngKind is the PNG colour type that holds the model.
func (m colourModel) pngKind() byte {
	switch m &^ modelDeep {
	case modelGray:
		return pngGray
	case modelRGBA:
		return pngRGBA
	}
	return pngRGB
}

// indexed is a picture of a palette, with its colours looked up once.
type indexed struct {
	*image.Paletted
	rgba   [256][4]byte
	opaque bool
}

func newIndexed(m *image.Paletted) *indexed {
	x := &indexed{Paletted: m, opaque: true}
	for i, c := range m.Palette {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		x.rgba[i] = [4]byte{n.R, n.G, n.B, n.A}
		x.opaque = x.opaque && n.A == 0xFF
	}
	return x
}

// forResize unwraps a picture for a library that knows the standard types.
func forResize(m image.Image) image.Image {
	if x, ok := m.(*indexed); ok {
		return x.Paletted
	}
	return m
}

// fillMore fills rows of the pictures that come from PNG and WebP.
func (p picture) fillMore(sx, sy, dx, dy int, ch [][]byte) {
	switch m := p.img.(type) {
	case *indexed:
		at, step := sy*m.Stride+sx, dy*m.Stride+dx
		for i := range ch[0] {
			c := &m.rgba[m.Pix[at]]
			for k := range ch {
				ch[k][i] = c[k]
			}
			at += step
		}
	case *image.CMYK:
		fillBytes(m.Pix, sy*m.Stride+4*sx, dy*m.Stride+4*dx, ch)
	case *image.NRGBA:
		fillBytes(m.Pix, sy*m.Stride+4*sx, dy*m.Stride+4*dx, ch)
	case *image.NYCbCrA:
		fillYCC(&m.YCbCr, sx, sy, dx, dy, ch[:3])
		at, step := sy*m.AStride+sx, dy*m.AStride+dx
		for i := range ch[3] {
			ch[3][i] = m.A[at]
			at += step
		}
	case *image.Gray16:
		fillWords(m.Pix, sy*m.Stride+2*sx, dy*m.Stride+2*dx, ch)
	case *image.RGBA64:
		fillWords(m.Pix, sy*m.Stride+8*sx, dy*m.Stride+8*dx, ch)
	case *image.NRGBA64:
		fillWords(m.Pix, sy*m.Stride+8*sx, dy*m.Stride+8*dx, ch)
	}
}

func fillBytes(pix []byte, at, step int, ch [][]byte) {
	for i := range ch[0] {
		for k := range ch {
			ch[k][i] = pix[at+k]
		}
		at += step
	}
}

func fillWords(pix []byte, at, step int, ch [][]byte) {
	for i := 0; i+1 < len(ch[0]); i += 2 {
		for k := range ch {
			ch[k][i], ch[k][i+1] = pix[at+2*k], pix[at+2*k+1]
		}
		at += step
	}
}

// shallow is a picture of 16 bits seen in 8: conversions are tables of 8.
type shallow struct{ rows }

func (p shallow) model() colourModel { return p.rows.model() &^ modelDeep }

func (p shallow) fill(y int, ch [][]byte) {
	w, _ := p.size()
	deep := channels(p.rows.model(), w)
	p.rows.fill(y, deep)
	for k := range ch {
		for i := range ch[k] {
			ch[k][i] = byte(((int(deep[k][2*i])<<8 | int(deep[k][2*i+1])) + 128) / 257)
		}
	}
}

// flatten lays a picture on white: JPEG has no transparency.
func flatten(m *image.NRGBA) {
	for i := 0; i+3 < len(m.Pix); i += 4 {
		if a := uint32(m.Pix[i+3]); a != 0xFF {
			for k := range 3 {
				m.Pix[i+k] = byte((uint32(m.Pix[i+k])*a + 255*(255-a) + 127) / 255)
			}
			m.Pix[i+3] = 0xFF
		}
	}
}
