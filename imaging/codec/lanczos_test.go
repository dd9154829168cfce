package codec_test

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	resize "github.com/disintegration/imaging"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// Pictures are resized plane by plane in whole numbers. No sample is further than a level from what the filter
// is in floating point, chroma repeated where it is subsampled.
func TestResizingIsLanczos(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422,
		image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410} {
		for _, s := range []image.Point{{2531, 31}, {1601, 47}, {90, 1777}, {4033, 50}, {37, 3001}, {1777, 1}, {33, 21}} {
			m := image.NewYCbCr(image.Rect(0, 0, s.X, s.Y), ratio)
			for _, plane := range [][]byte{m.Y, m.Cb, m.Cr} {
				for i := range plane {
					plane[i] = byte(r.IntN(256)) &^ byte(i>>3&1*0x7F) // noise, coarse in places
				}
			}
			got := codec.Shrink(m).(*image.YCbCr)
			size := got.Rect.Size()
			thumb := codec.Thumbnail(got).(*image.YCbCr)
			for i, pick := range []func(c color.YCbCr) byte{
				func(c color.YCbCr) byte { return c.Y }, func(c color.YCbCr) byte { return c.Cb }, func(c color.YCbCr) byte { return c.Cr }} {
				if d := farFromLanczos(m, [][]byte{got.Y, got.Cb, got.Cr}[i], size, pick); d > 1 {
					t.Errorf("%v %v, plane %d: off by %.2f levels", ratio, s, i, d)
				}
				if d := farFromLanczos(got, [][]byte{thumb.Y, thumb.Cb, thumb.Cr}[i], thumb.Rect.Size(), pick); d > 1 {
					t.Errorf("thumb of %v %v, plane %d: off by %.2f levels", ratio, s, i, d)
				}
			}
		}
	}
}

// farFromLanczos is the largest distance of a plane from the filter in floating point.
func farFromLanczos(m *image.YCbCr, plane []byte, size image.Point, pick func(color.YCbCr) byte) (far float64) {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	src := make([]float64, w*h)
	for i := range src {
		src[i] = float64(pick(m.YCbCrAt(i%w, i/w)))
	}
	mid := make([]float64, size.X*h)
	for x := range size.X {
		for u, k := range kernel(x, size.X, w) {
			for y := range h {
				mid[y*size.X+x] += k * src[y*w+u]
			}
		}
	}
	for y := range size.Y {
		rows := kernel(y, size.Y, h)
		for x := range size.X {
			v := 0.0
			for u, k := range rows {
				v += k * mid[u*size.X+x]
			}
			far = max(far, math.Abs(min(max(v, 0), 255)-float64(plane[y*size.X+x])))
		}
	}
	return far
}

// kernel returns the weights of the source samples that make one of dst.
func kernel(at, dst, src int) map[int]float64 {
	step := float64(src) / float64(dst)
	centre, scale := (float64(at)+0.5)*step-0.5, max(step, 1)
	out, sum := map[int]float64{}, 0.0
	for u := range src {
		if x := (float64(u) - centre) / scale; math.Abs(x) < 3 {
			out[u] = resize.Lanczos.Kernel(x)
			sum += out[u]
		}
	}
	for u := range out {
		out[u] /= sum
	}
	return out
}

// A photo comes out as the library would resize it, which clips in between and works on RGB.
func TestResizedAsByTheLibrary(t *testing.T) {
	m := decode(t, specimen.JPEG(specimen.Options{Width: 2000, Height: 700, Seed: 5}))
	web := codec.Shrink(m)
	want := resize.Resize(m, web.Bounds().Dx(), web.Bounds().Dy(), resize.Lanczos)
	if p := psnr(t, want, web); p < 45 {
		t.Errorf("%.1f dB from the library's", p)
	}
	thumb := codec.Thumbnail(web)
	want = resize.Resize(web, thumb.Bounds().Dx(), thumb.Bounds().Dy(), resize.Lanczos)
	if p := psnr(t, want, thumb); p < 45 {
		t.Errorf("thumb: %.1f dB from the library's", p)
	}
}

// A plain area keeps its colour, to the last level and up to the edges.
func TestResizingKeepsPlainAreas(t *testing.T) {
	for _, v := range []byte{0, 1, 127, 254, 255} {
		m := image.NewGray(image.Rect(0, 0, 2531, 1907))
		for i := range m.Pix {
			m.Pix[i] = v
		}
		for i, p := range codec.Shrink(m).(*image.Gray).Pix {
			if p != v {
				t.Fatalf("%d became %d at %d", v, p, i)
			}
		}
	}
}
