package codec

import (
	"image"
	"image/color"
	"image/draw"

	resize "github.com/disintegration/imaging"

	"photovault/imaging/internal/wire"
)

// Sizes of a comparison in pixels.
const (
	partWidth, partHeight = 800, 1200 // at most, of each part
	leastPart             = 64        // of a crop's shorter side
	gap                   = 16        // between the parts and around labels
	letterScale           = 3
)

// compare shows the crops of two finished renditions side by side at the same scale: never enlarged, as
// high as the smaller of the two allows. Labels are drawn from letters of our own; there is no name, no
// date and no place for one.
func compare(in [][]byte, crops []wire.Region, lim wire.Limits) (wire.Answer, error) {
	var parts [2]*image.NRGBA
	grays := true
	for i := range in {
		m, gray, err := openFinished(in[i], lim)
		if err != nil {
			return wire.Answer{}, err
		}
		parts[i], grays = resize.Crop(m, within(crops[i], m.Rect)), grays && gray
	}
	a, b := parts[0].Rect, parts[1].Rect
	// The same shape, give or take a fiftieth: what is left is evened out.
	cross := a.Dx()*b.Dy() - b.Dx()*a.Dy()
	if max(cross, -cross)*50 > a.Dx()*b.Dy() || min(a.Dx(), a.Dy(), b.Dx(), b.Dy()) < leastPart {
		return wire.Answer{}, refuse(CodeCrops, "crops of %dx%d and %dx%d", a.Dx(), a.Dy(), b.Dx(), b.Dy())
	}
	w, h := a.Dx(), a.Dy()
	if b.Dy() < h {
		w, h = b.Dx(), b.Dy()
	}
	if w > partWidth {
		w, h = partWidth, max(1, h*partWidth/w)
	}
	if h > partHeight {
		w, h = max(1, w*partHeight/h), partHeight
	}
	band := 7*letterScale + 2*gap
	out := image.NewNRGBA(image.Rect(0, 0, 2*w+gap, h+band))
	draw.Draw(out, out.Rect, image.White, image.Point{}, draw.Src)
	for i, label := range []string{"before", "after"} {
		left := i * (w + gap)
		part := resize.Resize(parts[i], w, h, resize.Lanczos)
		draw.Draw(out, image.Rect(left, 0, left+w, h), part, image.Point{}, draw.Src)
		write(out, label, left+(w-textWidth(label))/2, h+gap)
	}
	return finished("compare", out, grays, webQuality)
}

// within is a crop in pixels.
func within(r wire.Region, b image.Rectangle) image.Rectangle {
	x := func(v int) int { return v * b.Dx() / wire.RegionUnit }
	y := func(v int) int { return v * b.Dy() / wire.RegionUnit }
	return image.Rect(x(r.X), y(r.Y), x(r.X+r.Width), y(r.Y+r.Height))
}

// letters are those of the two labels, five columns by seven rows, the highest bit leftmost.
var letters = map[rune][7]byte{
	'a': {0b00000, 0b00000, 0b01110, 0b00001, 0b01111, 0b10001, 0b01111},
	'b': {0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b10001, 0b11110},
	'e': {0b00000, 0b00000, 0b01110, 0b10001, 0b11111, 0b10000, 0b01110},
	'f': {0b00110, 0b01000, 0b11100, 0b01000, 0b01000, 0b01000, 0b01000},
	'o': {0b00000, 0b00000, 0b01110, 0b10001, 0b10001, 0b10001, 0b01110},
	'r': {0b00000, 0b00000, 0b10110, 0b11001, 0b10000, 0b10000, 0b10000},
	't': {0b01000, 0b01000, 0b11100, 0b01000, 0b01000, 0b01001, 0b00110},
}

func textWidth(s string) int { return len(s)*6*letterScale - letterScale }

func write(m *image.NRGBA, s string, left, top int) {
	for _, c := range s {
		for row, bits := range letters[c] {
			for col := range 5 {
				if bits>>(4-col)&1 == 1 {
					at := image.Rect(0, 0, letterScale, letterScale).Add(image.Pt(left+col*letterScale, top+row*letterScale))
					draw.Draw(m, at, image.NewUniform(color.Gray{Y: 0x30}), image.Point{}, draw.Src)
				}
			}
		}
		left += 6 * letterScale
	}
}
