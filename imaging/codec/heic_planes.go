package codec

import "image"

// newPlanes makes an empty picture: grey, or with chroma at full resolution.
func newPlanes(gray bool, w, h int) image.Image {
	if r := image.Rect(0, 0, w, h); gray {
		return image.NewGray(r)
	} else {
		return image.NewYCbCr(r, image.YCbCrSubsampleRatio444)
	}
}

// eachPlane calls f for each plane of two pictures of one kind, with its bytes and stride.
func eachPlane(a, b image.Image, f func(a []byte, aStride int, b []byte, bStride int)) {
	switch a := a.(type) {
	case *image.Gray:
		b := b.(*image.Gray)
		f(a.Pix, a.Stride, b.Pix, b.Stride)
	case *image.YCbCr:
		b := b.(*image.YCbCr)
		f(a.Y, a.YStride, b.Y, b.YStride)
		f(a.Cb, a.CStride, b.Cb, b.CStride)
		f(a.Cr, a.CStride, b.Cr, b.CStride)
	}
}

// pastePlanes copies a picture to x, y of another of its kind, as far as that reaches.
func pastePlanes(dst, src image.Image, x, y int) {
	w := min(src.Bounds().Dx(), dst.Bounds().Dx()-x)
	h := min(src.Bounds().Dy(), dst.Bounds().Dy()-y)
	eachPlane(dst, src, func(d []byte, ds int, s []byte, ss int) {
		for row := range h {
			copy(d[(y+row)*ds+x:][:w], s[row*ss:])
		}
	})
}

// cropPlanes cuts out a part.
func cropPlanes(m image.Image, c clap) image.Image {
	_, gray := m.(*image.Gray)
	out := newPlanes(gray, c.w, c.h)
	eachPlane(out, m, func(d []byte, ds int, s []byte, ss int) {
		for row := range c.h {
			copy(d[row*ds:][:c.w], s[(c.y+row)*ss+c.x:])
		}
	})
	return out
}

// mendEdges computes the outermost rows and columns of a plane anew from the two next to them. libheif
// 1.18 takes the wrong samples there when it brings 4:2:0 chroma to full resolution, which would show as
// lines between the tiles of a grid. Inside, a row is three parts of the nearest row of samples and one
// of the next, so the nearest one can be had back to within a level.
func mendEdges(p []byte, stride, w, h int) {
	if w < 4 || h < 4 {
		return
	}
	mend := func(at, from, step, count int) {
		for range count {
			v := 3*int(p[from]) - int(p[2*from-at])
			p[at] = byte(min(max((v+1)/2, 0), 255))
			at += step
			from += step
		}
	}
	mend(0, stride, 1, w)
	mend((h-1)*stride, (h-2)*stride, 1, w)
	mend(0, 1, stride, h)
	mend(w-1, w-2, stride, h)
}
