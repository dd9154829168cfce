package codec

import (
	"bytes"
	"image"
	"image/jpeg"

	resize "github.com/disintegration/imaging"

	"photovault/imaging/internal/wire"
)

// Long sides of the smaller renditions in pixels, and the quality they are coded at. They are for
// screens: 4:2:0 is what every browser expects there.
const (
	webSide, webQuality     = 1600, 85
	thumbSide, thumbQuality = 320, 80
)

// fit returns the size with the given long side and the same shape; it never enlarges.
func fit(w, h, side int) (int, int) {
	long := max(w, h)
	if long <= side {
		return w, h
	}
	return max(1, (w*side+long/2)/long), max(1, (h*side+long/2)/long)
}

// addSmall adds the web and thumb renditions, of any format, to an answer that has room for three. web
// is opaque, upright and in sRGB.
func addSmall(a *wire.Answer, web *image.NRGBA, gray bool) error {
	small := web
	for i, r := range []struct {
		name    string
		quality int
	}{{"web", webQuality}, {"thumb", thumbQuality}} {
		if r.name == "thumb" {
			small = thumbnail(small)
		}
		data, err := encodeSmall(small, gray, r.quality)
		if err != nil {
			return err
		}
		a.Renditions[i+1] = wire.Rendition{Name: r.name, ContentType: "image/jpeg",
			Width: small.Rect.Dx(), Height: small.Rect.Dy(), Data: data}
	}
	return nil
}

// shrink makes the web picture from the decoded original: resized while it still lies as it was
// taken, then turned, then converted, so that the costly steps see few pixels.
func shrink(src image.Image, orient int, c *conversion) *image.NRGBA {
	b := src.Bounds()
	w, h := fit(b.Dx(), b.Dy(), webSide)
	m := turn(resize.Resize(src, w, h, resize.Lanczos), orient)
	if c != nil {
		c.apply(m)
	}
	return m
}

// turn applies an EXIF orientation. resize counts angles against the clock.
func turn(m *image.NRGBA, orient int) *image.NRGBA {
	switch orient {
	case 2:
		return resize.FlipH(m)
	case 3:
		return resize.Rotate180(m)
	case 4:
		return resize.FlipV(m)
	case 5:
		return resize.Transpose(m)
	case 6:
		return resize.Rotate270(m)
	case 7:
		return resize.Transverse(m)
	case 8:
		return resize.Rotate90(m)
	}
	return m
}

// thumbnail makes the thumb picture from the web picture.
func thumbnail(web *image.NRGBA) *image.NRGBA {
	w, h := fit(web.Rect.Dx(), web.Rect.Dy(), thumbSide)
	if w == web.Rect.Dx() && h == web.Rect.Dy() {
		return web
	}
	return resize.Resize(web, w, h, resize.Lanczos)
}

// encodeSmall codes a rendition and brings it into the canonical form of rebuild.
func encodeSmall(m *image.NRGBA, gray bool, quality int) ([]byte, error) {
	var src image.Image = &image.RGBA{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect} // opaque: the same bytes
	if gray {
		g := image.NewGray(m.Rect)
		for i := range g.Pix {
			g.Pix[i] = m.Pix[4*i]
		}
		src = g
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, src, &jpeg.Options{Quality: quality}); err != nil {
		return nil, err
	}
	l, err := parseJPEG(buf.Bytes(), toScan, noLimits)
	if err != nil {
		return nil, err
	}
	return l.rebuild().join(), nil
}
