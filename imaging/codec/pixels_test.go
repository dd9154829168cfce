package codec_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"os/exec"
	"testing"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

func TestPixelsAreThoseOfTheUploadTurned(t *testing.T) {
	for orient := 1; orient <= 8; orient++ {
		for _, gray := range []bool{false, true} {
			t.Run(fmt.Sprintf("orientation %d, gray %v", orient, gray), func(t *testing.T) {
				in := specimen.JPEG(specimen.Options{Width: 203, Height: 117, Seed: 4, Gray: gray, Orientation: orient})
				src := decode(t, in)
				a := sanitise(t, in)
				f := a.Findings
				if f.Pixels.Decoded != oracleHash(src, 1) {
					t.Error("hash of the decoded pixels is not that of the upload")
				}
				if f.Pixels.Encoded != oracleHash(src, orient) {
					t.Error("what was encoded is not the upload turned")
				}
				if f.OrientationBaked != (orient > 1) || f.CodedDataKept != (orient == 1) {
					t.Errorf("findings %+v", f)
				}
				out := decode(t, a.Renditions[0].Data)
				if orient == 1 && codec.HashPixels(out) != f.Pixels.Decoded {
					t.Error("the original shows other pixels")
				}
				_, w, h, rows := samples(src, orient)
				want := image.NewNRGBA(image.Rect(0, 0, w, h))
				for y := range h {
					for x := range w {
						c := color.Color(color.Gray{Y: rows[y][0][x]})
						if !gray {
							c = color.YCbCr{Y: rows[y][0][x], Cb: rows[y][1][x], Cr: rows[y][2][x]}
						}
						want.Set(x, y, c)
					}
				}
				if p := psnr(t, want, out); p < 40 {
					t.Errorf("the original differs from the upload turned: %.1f dB", p)
				}
				if y, ok := out.(*image.YCbCr); ok && orient > 1 && !f.TurnedWithoutLoss && y.SubsampleRatio != image.YCbCrSubsampleRatio444 {
					t.Errorf("coded with %v", y.SubsampleRatio)
				}
				for _, r := range a.Renditions {
					if (r.Width > r.Height) != (w > h) {
						t.Errorf("%s is %d×%d", r.Name, r.Width, r.Height)
					}
				}
				if p := psnr(t, out, decode(t, a.Renditions[1].Data)); p < 30 {
					t.Errorf("web differs from the original: %.1f dB", p)
				}
			})
		}
	}
}

func TestEveryCodingThatImageJPEGReadsIsKept(t *testing.T) {
	for name, in := range testdata(t, "[^r]*.jpg") {
		t.Run(name, func(t *testing.T) { keeps(t, in) })
	}
	for name, in := range testdata(t, "restart*.jpg") {
		t.Run(name, func(t *testing.T) { keeps(t, in) })
	}
	t.Run("rgb.jpg", func(t *testing.T) { keeps(t, testdata(t, "rgb.jpg")["rgb.jpg"]) })
}

// image/jpeg cannot read restart markers in the one-component scans of a subsampled progressive image;
// its pixels must be those of the sequential image it was transcoded from.
func TestProgressiveWithRestartsShowsThePixelsOfItsTwin(t *testing.T) {
	a := sanitise(t, testdata(t, "rst-of-sampling-420.jpg")["rst-of-sampling-420.jpg"])
	twin := sanitise(t, testdata(t, "sampling-420.jpg")["sampling-420.jpg"])
	if a.Findings.Pixels != twin.Findings.Pixels || !a.Findings.CodedDataKept {
		t.Errorf("findings %+v", a.Findings)
	}
}

func keeps(t *testing.T, in []byte) {
	a := sanitise(t, in)
	out := a.Renditions[0].Data
	if want := oracleHash(decode(t, in), 1); a.Findings.Pixels.Decoded != want || oracleHash(decode(t, out), 1) != want {
		t.Error("pixels changed")
	}
	if _, err := codec.Scan(out); err != nil {
		t.Error(err)
	}
	if !a.Findings.CodedDataKept {
		t.Error("coded anew without need")
	}
	// Turned, it goes through the encoder and every sampling's reader.
	o := specimen.Decorate(in, specimen.Options{Orientation: 6})
	if f := sanitise(t, o).Findings; f.Pixels.Encoded != oracleHash(decode(t, in), 6) {
		t.Error("turned pixels differ")
	}
}

func TestRenditionSizes(t *testing.T) {
	for _, c := range []struct{ w, h, webW, webH, thumbW, thumbH int }{
		{1, 1, 1, 1, 1, 1}, {320, 320, 320, 320, 320, 320}, {1600, 10, 1600, 10, 320, 2},
		{2000, 1000, 1600, 800, 320, 160}, {1000, 2000, 800, 1600, 160, 320}, {3000, 1, 1600, 1, 320, 1},
	} {
		a := sanitise(t, specimen.JPEG(specimen.Options{Width: c.w, Height: c.h}))
		got := [4]int{a.Renditions[1].Width, a.Renditions[1].Height, a.Renditions[2].Width, a.Renditions[2].Height}
		if want := [4]int{c.webW, c.webH, c.thumbW, c.thumbH}; got != want {
			t.Errorf("%d×%d: got %v, want %v", c.w, c.h, got, want)
		}
	}
}

func TestEncoderIsReadAlikeByOthers(t *testing.T) {
	djpeg, err := exec.LookPath("djpeg")
	if err != nil {
		require(t, "djpeg is not installed (libjpeg-turbo-progs)")
	}
	for _, size := range []image.Point{{1, 1}, {8, 8}, {9, 7}, {100, 63}} {
		m := specimen.Picture(size.X, size.Y, 7, false)
		b := codec.Encode(m, 95)
		ours := decode(t, b)
		if p := psnr(t, m, ours); p < 38 {
			t.Errorf("%v: %.1f dB from the source", size, p)
		}
		cmd := exec.Command(djpeg, "-dct", "int", "-nosmooth", "-pnm")
		cmd.Stdin = bytes.NewReader(b)
		pnm, err := cmd.Output()
		if err != nil {
			t.Fatalf("djpeg: %v", err)
		}
		raster := pnm[len(pnm)-3*size.X*size.Y:]
		theirs := image.NewNRGBA(image.Rectangle{Max: size})
		for i := range size.X * size.Y {
			copy(theirs.Pix[4*i:], raster[3*i:3*i+3])
			theirs.Pix[4*i+3] = 255
		}
		if p := psnr(t, ours, theirs); p < 45 {
			t.Errorf("%v: image/jpeg and djpeg differ: %.1f dB", size, p)
		}
	}
}
