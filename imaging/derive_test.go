package imaging_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"image"
	"image/color"
	"image/jpeg"
	"testing"

	"photovault/imaging"
	"photovault/imaging/specimen"
)

// picture is a scene of its own with a patch in it that a seed decides.
func scene(t *testing.T, w, h int, patch image.Rectangle, seed byte, gray bool) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{byte(x * 255 / w), byte(y * 255 / h), byte((x ^ y) & 0xFF), 255}
			if image.Pt(x, y).In(patch) {
				c = color.NRGBA{byte(x*7) ^ seed, byte(y*5) + seed, byte(x*y) * seed, 255}
			}
			m.SetNRGBA(x, y, c)
		}
	}
	var src image.Image = m
	if gray {
		g := image.NewGray(m.Rect)
		for i := range g.Pix {
			g.Pix[i] = m.Pix[4*i] + m.Pix[4*i+2]
		}
		src = g
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, src, &jpeg.Options{Quality: 92}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func webOf(t *testing.T, p *imaging.Pool, in []byte) []byte {
	t.Helper()
	r, err := p.Process(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return r.Renditions[1].Data
}

// Two photos that differ in the region and nowhere else become the same masked picture, byte for byte:
// nothing of the region is left in it, in brightness or colour, in the region or around it.
func TestNothingOfAMaskedRegionSurvives(t *testing.T) {
	p := pool(t, imaging.Config{}, "media-worker")
	for _, c := range []struct {
		name  string
		w, h  int
		gray  bool
		o     specimen.Options
		shape imaging.Shape
	}{
		{"as it was coded", 640, 480, false, specimen.Options{}, imaging.Rectangle},
		{"odd size", 641, 479, false, specimen.Options{}, imaging.Rectangle},
		{"grey", 333, 517, true, specimen.Options{}, imaging.Rectangle},
		{"turned", 641, 479, false, specimen.Options{Orientation: 3}, imaging.Rectangle},
		{"made smaller", 2111, 1603, false, specimen.Options{}, imaging.Rectangle},
	} {
		t.Run(c.name, func(t *testing.T) {
			patch := image.Rect(c.w*31/100, c.h*42/100, c.w*57/100, c.h*55/100)
			region := imaging.Region{Shape: c.shape, X: 3100, Y: 4200, Width: 2600, Height: 1300}
			if c.o.Orientation == 3 {
				region.X, region.Y = 10000-5700, 10000-5500
			}
			var out [2]*imaging.Rendition
			for i, seed := range []byte{3, 201} {
				in := scene(t, c.w, c.h, patch, seed, c.gray)
				if c.o.Orientation > 1 {
					in = specimen.Decorate(in, c.o)
				}
				var err error
				if out[i], err = p.Mask(context.Background(), webOf(t, p, in), []imaging.Region{region}); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(out[0].Data, out[1].Data) {
				t.Error("the masked picture depends on what was under the mask")
			}
			m, err := jpeg.Decode(bytes.NewReader(out[0].Data))
			if err != nil || out[0].SHA256 != sha256.Sum256(out[0].Data) || out[0].Name != imaging.Masked {
				t.Fatalf("%v, %+v", err, out[0].Name)
			}
			b := m.Bounds()
			if r, g, bl, _ := m.At((region.X+region.Width/2)*b.Dx()/10000, (region.Y+region.Height/2)*b.Dy()/10000).RGBA(); r+g+bl != 0 {
				t.Errorf("the middle of the region is %d %d %d", r, g, bl)
			}
			if r, g, bl, _ := m.At(b.Dx()*9/10, b.Dy()*9/10).RGBA(); r+g+bl == 0 {
				t.Error("what is shown is black, too")
			}
		})
	}
}

func TestAnEllipseHidesWhatLiesInIt(t *testing.T) {
	p := pool(t, imaging.Config{}, "media-worker")
	web := webOf(t, p, scene(t, 640, 480, image.Rectangle{}, 0, false))
	r, err := p.Mask(context.Background(), web, []imaging.Region{
		{Shape: imaging.Ellipse, X: 1000, Y: 1000, Width: 5000, Height: 5000}, {Shape: imaging.Ellipse, X: 8000, Y: 8000, Width: 1, Height: 1}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := jpeg.Decode(bytes.NewReader(r.Data))
	if err != nil {
		t.Fatal(err)
	}
	for y := range 480 {
		for x := range 640 {
			dx, dy := (float64(x)-64-160)/160, (float64(y)-48-120)/120
			cr, cg, cb, _ := m.At(x, y).RGBA()
			if dx*dx+dy*dy <= 1 && cr+cg+cb != 0 {
				t.Fatalf("%d,%d is shown", x, y)
			}
		}
	}
	if cr, cg, cb, _ := m.At(66, 50).RGBA(); cr+cg+cb == 0 {
		t.Error("the corner of the rectangle around the ellipse is hidden, too")
	}
	if cr, cg, cb, _ := m.At(512, 384).RGBA(); cr+cg+cb != 0 {
		t.Error("a small region is not hidden")
	}
}

// The thumb of a masked picture is made of it alone: small, clean and the same every time.
func TestAMaskedPictureHasItsOwnThumb(t *testing.T) {
	p := pool(t, imaging.Config{}, "media-worker")
	masked, err := p.Mask(context.Background(), webOf(t, p, scene(t, 640, 480, image.Rectangle{}, 0, false)),
		[]imaging.Region{{Shape: imaging.Rectangle, X: 2500, Y: 2500, Width: 5000, Height: 5000}})
	if err != nil {
		t.Fatal(err)
	}
	one, err := p.ShrinkMasked(context.Background(), masked.Data)
	if err != nil || one.Name != imaging.MaskedThumb || one.Width != 320 || one.Height != 240 || one.ContentType != "image/jpeg" {
		t.Fatalf("%+v, %v", one, err)
	}
	if two, err := p.ShrinkMasked(context.Background(), masked.Data); err != nil || !bytes.Equal(one.Data, two.Data) {
		t.Errorf("another thumb each time: %v", err)
	}
	m, err := jpeg.Decode(bytes.NewReader(one.Data))
	if err != nil {
		t.Fatal(err)
	}
	if cr, cg, cb, _ := m.At(160, 120).RGBA(); cr+cg+cb != 0 {
		t.Errorf("what was hidden shows %d %d %d", cr, cg, cb)
	}
	for name, in := range map[string][]byte{"nothing": nil, "no picture": []byte("masked"), "half of one": masked.Data[:len(masked.Data)/2]} {
		if _, err := p.ShrinkMasked(context.Background(), in); codeOf(err) == "accepted" || codeOf(err) == "worker_failed" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRegionsOutsideAreRefused(t *testing.T) {
	p := pool(t, imaging.Config{}, "media-worker")
	web := webOf(t, p, scene(t, 320, 240, image.Rectangle{}, 0, false))
	for name, r := range map[string][]imaging.Region{
		"none": nil, "too many": make([]imaging.Region, 33),
		"no area":    {{Shape: imaging.Rectangle, X: 10, Y: 10}},
		"no shape":   {{X: 10, Y: 10, Width: 10, Height: 10}},
		"left":       {{Shape: imaging.Rectangle, X: -1, Y: 10, Width: 10, Height: 10}},
		"right":      {{Shape: imaging.Rectangle, X: 9991, Y: 10, Width: 10, Height: 10}},
		"overflow":   {{Shape: imaging.Ellipse, X: 1, Y: 10, Width: 1 << 62, Height: 10}},
		"overflow 2": {{Shape: imaging.Ellipse, X: 1, Y: 1 << 62, Width: 10, Height: 1 << 62}},
	} {
		if _, err := p.Mask(context.Background(), web, r); codeOf(err) != string(imaging.RegionOutside) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAComparisonShowsBothAtTheSameScale(t *testing.T) {
	p := pool(t, imaging.Config{}, "media-worker")
	before := webOf(t, p, scene(t, 801, 601, image.Rect(200, 150, 400, 300), 9, false))
	after := webOf(t, p, scene(t, 1603, 1201, image.Rect(400, 300, 800, 600), 9, false))
	crops := [2]imaging.Region{{Shape: imaging.Rectangle, X: 2000, Y: 2000, Width: 4000, Height: 4000},
		{Shape: imaging.Rectangle, X: 2000, Y: 2000, Width: 4000, Height: 4000}}
	a, err := p.Compare(context.Background(), before, after, crops)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Compare(context.Background(), before, after, crops)
	if err != nil || !bytes.Equal(a.Data, b.Data) {
		t.Errorf("the same input became other bytes: %v", err)
	}
	m, err := jpeg.Decode(bytes.NewReader(a.Data))
	if err != nil || a.Name != imaging.Compare || m.Bounds().Dx() != a.Width {
		t.Fatalf("%v %+v", err, a)
	}
	// Both crops show the same scene: they must look the same at the same place.
	w := (a.Width - 16) / 2
	if w != 320 {
		t.Errorf("parts are %d pixels wide", w)
	}
	for _, at := range []image.Point{{30, 30}, {w - 30, 30}, {w - 30, 200}} {
		r0, g0, _, _ := m.At(at.X, at.Y).RGBA()
		r1, g1, _, _ := m.At(at.X+w+16, at.Y).RGBA()
		if d := max(int(r0)-int(r1), int(r1)-int(r0), int(g0)-int(g1), int(g1)-int(g0)) >> 8; d > 12 {
			t.Errorf("at %v the parts differ by %d", at, d)
		}
	}
	other := crops
	other[1].Height = 5000
	if _, err := p.Compare(context.Background(), before, after, other); codeOf(err) != string(imaging.CropsDiffer) {
		t.Errorf("crops of other shapes: %v", err)
	}
	other[1].X = 9999
	if _, err := p.Compare(context.Background(), before, after, other); codeOf(err) != string(imaging.RegionOutside) {
		t.Errorf("a crop outside: %v", err)
	}
}

// Two pairs that differ in what is masked and nowhere else become the same comparison, byte for byte.
func TestAComparisonOfMaskedPicturesShowsNothingOfThem(t *testing.T) {
	p := pool(t, imaging.Config{}, "media-worker")
	region := []imaging.Region{{Shape: imaging.Rectangle, X: 3000, Y: 3000, Width: 3000, Height: 2000}}
	whole := imaging.Region{Shape: imaging.Rectangle, Width: 10000, Height: 10000}
	masked := func(w, h int, seed byte) []byte {
		t.Helper()
		patch := image.Rect(w*30/100, h*30/100, w*60/100, h*50/100)
		m, err := p.Mask(context.Background(), webOf(t, p, scene(t, w, h, patch, seed, false)), region)
		if err != nil {
			t.Fatal(err)
		}
		return m.Data
	}
	var out [2]*imaging.Rendition
	for i, seed := range []byte{3, 201} {
		var err error // the larger is made smaller, which spreads pixels
		if out[i], err = p.Compare(context.Background(), masked(640, 480, seed), masked(1203, 901, seed+1), [2]imaging.Region{whole, whole}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(out[0].Data, out[1].Data) {
		t.Error("the comparison depends on what was under the masks")
	}
	m, err := jpeg.Decode(bytes.NewReader(out[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	w := (out[0].Width - 16) / 2
	for _, left := range []int{0, w + 16} {
		if r, g, b, _ := m.At(left+w*45/100, 480*40/100).RGBA(); r+g+b != 0 {
			t.Errorf("what was hidden at %d shows %d %d %d", left, r, g, b)
		}
		if r, g, b, _ := m.At(left+w*80/100, 480*80/100).RGBA(); r+g+b == 0 {
			t.Errorf("what is shown at %d is black, too", left)
		}
	}
}
