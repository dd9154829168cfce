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
func addSmall(a *wire.Answer, web image.Image, gray bool) error {
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
			Width: small.Bounds().Dx(), Height: small.Bounds().Dy(), Data: data}
	}
	return nil
}

// shrink makes the web picture from the decoded original: resized while it still lies as it was
// taken, then turned, then converted, so that the costly steps see few pixels. Grey and YCbCr stay so,
// with chroma for each pixel, unless they are to be converted.
func shrink(src image.Image, orient int, c *conversion) image.Image {
	b := src.Bounds()
	w, h := fit(b.Dx(), b.Dy(), webSide)
	m := turn(reduce(src, w, h), orient)
	if c != nil {
		n := resize.Clone(m)
		c.apply(n)
		return n
	}
	return m
}

// reduce resizes a picture.
func reduce(m image.Image, w, h int) image.Image {
	switch m := m.(type) {
	case *image.Gray:
		return reduceGray(m, w, h)
	case *image.YCbCr:
		return reduceYCC(m, w, h)
	}
	return resize.Resize(m, w, h, resize.Lanczos)
}

// thumbnail makes the thumb picture from the web picture.
func thumbnail(web image.Image) image.Image {
	b := web.Bounds()
	w, h := fit(b.Dx(), b.Dy(), thumbSide)
	if w == b.Dx() && h == b.Dy() {
		return web
	}
	return reduce(web, w, h)
}

// turn applies an EXIF orientation to a picture that reduce gave.
func turn(m image.Image, orient int) image.Image {
	if orient <= 1 {
		return m
	}
	src := picture{m, orient}
	w, h := src.size()
	switch m := m.(type) {
	case *image.Gray:
		out := image.NewGray(image.Rect(0, 0, w, h))
		for y := range h {
			src.fill(y, [][]byte{out.Pix[y*w : y*w+w]})
		}
		return out
	case *image.YCbCr:
		out := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio444)
		for y := range h {
			src.fill(y, [][]byte{out.Y[y*w : y*w+w], out.Cb[y*w : y*w+w], out.Cr[y*w : y*w+w]})
		}
		return out
	case *image.NRGBA:
		return turnNRGBA(m, orient)
	}
	return m
}

// turnNRGBA is for pictures of pixels. resize counts angles against the clock.
func turnNRGBA(m *image.NRGBA, orient int) *image.NRGBA {
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

// encodeSmall codes a rendition and brings it into the canonical form of rebuild.
func encodeSmall(src image.Image, gray bool, quality int) ([]byte, error) {
	if m, ok := src.(*image.NRGBA); ok {
		src = &image.RGBA{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect} // opaque: the same bytes
		if gray {
			g := image.NewGray(m.Rect)
			for i := range g.Pix {
				g.Pix[i] = m.Pix[4*i]
			}
			src = g
		}
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
