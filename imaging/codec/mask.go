package codec

import (
	"image"
	"image/color"

	resize "github.com/disintegration/imaging"

	"photovault/imaging/internal/wire"
)

// spread is how far, in pixels, a detail can reach beyond its own place in a finished rendition: a unit
// of 16 by 16 pixels that the upload was coded in, and the width of the filter that resized it, which
// is never larger than that. Around each region so much is blacked out as well.
const spread = 16

// unit16 is the largest unit a rendition is coded in: regions grow to whole ones, so that none holds both
// what is hidden and what is shown, when it was read or when it is coded again.
const unit16 = 16

// mask blacks regions out of a finished rendition, before it is coded anew.
func mask(in []byte, regions []wire.Region, lim wire.Limits) (wire.Answer, error) {
	m, gray, err := openFinished(in, lim)
	if err != nil {
		return wire.Answer{}, err
	}
	b := m.Bounds()
	for _, r := range regions {
		for top := 0; top < b.Dy(); top += unit16 {
			for left := 0; left < b.Dx(); left += unit16 {
				u := image.Rect(left, top, left+unit16, top+unit16)
				if touches(r, u.Inset(-spread), b.Dx(), b.Dy()) {
					black(m, u.Intersect(b))
				}
			}
		}
	}
	return finished("masked", m, gray, webQuality)
}

// shrinkFinished makes the thumb of a finished rendition: of a masked one, in which nothing is left to be
// spread.
func shrinkFinished(in []byte, lim wire.Limits) (wire.Answer, error) {
	m, gray, err := openFinished(in, lim)
	if err != nil {
		return wire.Answer{}, err
	}
	return finished("masked-thumb", thumbnail(m), gray, thumbQuality)
}

// touches reports whether a region of a picture of w by h pixels and a rectangle overlap. It rounds to
// yes.
func touches(r wire.Region, u image.Rectangle, w, h int) bool {
	x0, x1 := float64(r.X)*float64(w)/wire.RegionUnit, float64(r.X+r.Width)*float64(w)/wire.RegionUnit
	y0, y1 := float64(r.Y)*float64(h)/wire.RegionUnit, float64(r.Y+r.Height)*float64(h)/wire.RegionUnit
	if r.Shape == wire.Rectangle {
		return float64(u.Max.X) >= x0 && float64(u.Min.X) <= x1 && float64(u.Max.Y) >= y0 && float64(u.Min.Y) <= y1
	}
	// The point of the rectangle nearest to the centre, measured in radii.
	cx, cy := (x0+x1)/2, (y0+y1)/2
	nx, ny := min(max(cx, float64(u.Min.X)), float64(u.Max.X)), min(max(cy, float64(u.Min.Y)), float64(u.Max.Y))
	dx, dy := (nx-cx)/((x1-x0)/2), (ny-cy)/((y1-y0)/2)
	return dx*dx+dy*dy <= 1
}

func black(m *image.NRGBA, r image.Rectangle) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			m.SetNRGBA(x, y, color.NRGBA{A: 0xFF})
		}
	}
}

// openFinished decodes a rendition as the scan does, and tells whether it is grey.
func openFinished(in []byte, lim wire.Limits) (*image.NRGBA, bool, error) {
	l, err := parseJPEG(in, toScan, lim)
	if err != nil {
		return nil, false, err
	}
	if max(l.width, l.height) > webSide {
		return nil, false, refuse(CodePixels, "not a web rendition")
	}
	if err := l.walk(); err != nil {
		return nil, false, err
	}
	img, err := l.decode(pieces{in})
	if err != nil {
		return nil, false, err
	}
	return resize.Clone(img), l.model == modelGray, nil
}

// finished codes what was made of renditions.
func finished(name string, m image.Image, gray bool, quality int) (wire.Answer, error) {
	data, err := encodeSmall(m, gray, quality)
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.Answer{Renditions: []wire.Rendition{{Name: name, ContentType: "image/jpeg",
		Width: m.Bounds().Dx(), Height: m.Bounds().Dy(), Data: data}}}, nil
}
