package codec_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// agreesWithImageJPEG demands that a picture that is opened shows the samples that image/jpeg gives, and that
// it is opened exactly when every code in it is sound.
func agreesWithImageJPEG(t testing.TB, in []byte) {
	t.Helper()
	got, err := codec.Open(in)
	if walked := codec.Walk(in); codeOf(walked) != codeOf(err) && codeOf(err) != codec.CodeCoding {
		t.Fatalf("decoding says %v, walking %v", err, walked)
	}
	if err != nil {
		return
	}
	// In the canonical form: image/jpeg takes data behind a scan amiss, and junk between segments.
	clean, err := codec.Rebuild(in)
	if err != nil {
		t.Fatal(err)
	}
	want, err := jpeg.Decode(bytes.NewReader(clean))
	if err != nil {
		return // it does not read restart markers in scans of one component
	}
	if got.Bounds() != want.Bounds() {
		t.Fatalf("%v, image/jpeg %v", got.Bounds(), want.Bounds())
	}
	if codec.HashPixels(got) != codec.HashPixels(want) {
		t.Error("samples differ from image/jpeg's")
	}
}

func TestDecodedSamplesAreThoseOfImageJPEG(t *testing.T) {
	for name, in := range testdata(t, "[^r]*.jpg") {
		t.Run(name, func(t *testing.T) {
			agreesWithImageJPEG(t, in)
			// With coefficients that no camera writes: rounding and overflow are the same, too.
			r := rand.New(rand.NewPCG(1, 2))
			for range 20 {
				agreesWithImageJPEG(t, requantised(in, func() byte { return byte(1 + r.IntN(255)) }))
				agreesWithImageJPEG(t, requantised(in, func() byte { return 255 }))
			}
			agreesWithImageJPEG(t, coarse(in, 0x7FFF))
			agreesWithImageJPEG(t, coarse(in, 0xFFFF))
		})
	}
	for name, in := range testdata(t, "r[^e]*.jpg") {
		t.Run(name, func(t *testing.T) { agreesWithImageJPEG(t, in) })
	}
	for name, in := range testdata(t, "restart*.jpg") {
		t.Run(name, func(t *testing.T) { agreesWithImageJPEG(t, in) })
	}
	for _, o := range []specimen.Options{{Width: 1, Height: 1}, {Width: 203, Height: 117, Seed: 3}, {Width: 64, Height: 9, Gray: true}} {
		agreesWithImageJPEG(t, specimen.JPEG(o))
	}
}

// A component that no scan codes need not have a quantisation table, and is missed only at the end.
func TestComponentThatIsNeverCodedIsRefused(t *testing.T) {
	in := testdata(t, "separate-scans.jpg")["separate-scans.jpg"]
	sof := bytes.Index(in, []byte{0xFF, 0xC0})
	if sof < 0 {
		t.Fatal("no frame header")
	}
	out := bytes.Clone(in)
	out[sof+4+6+3*2+2] = 3 // the table of the third component
	first := bytes.Index(out, []byte{0xFF, 0xDA})
	second := first + 2 + bytes.Index(out[first+2:], []byte{0xFF, 0xDA})
	third := second + 2 + bytes.Index(out[second+2:], []byte{0xFF, 0xDA})
	out = append(out[:third], 0xFF, 0xD9)
	if got := code(out); got != codec.CodeTruncated {
		t.Error(got)
	}
	if _, err := codec.Open(out); codeOf(err) != codec.CodeTruncated {
		t.Error(err)
	}
}

// requantised replaces the steps of all quantisation tables.
func requantised(in []byte, step func() byte) []byte {
	out := bytes.Clone(in)
	tables(out, func(body []byte) {
		for i := range body {
			if body[0]>>4 == 0 && i%65 != 0 {
				body[i] = step()
			}
		}
	})
	return out
}

// coarse replaces the quantisation tables by ones of 16 bits.
func coarse(in []byte, step uint16) []byte {
	var dqt []byte
	tables(in, func(body []byte) {
		for at := 0; body[0]>>4 == 0 && at+65 <= len(body); at += 65 {
			dqt = append(dqt, 0xFF, 0xDB, 0, 3+128, 0x10|body[at])
			for range 64 {
				dqt = binary.BigEndian.AppendUint16(dqt, step)
			}
		}
	})
	// Behind the tables that are there: the latest of a slot is the one in force.
	sof := 2
	for in[sof+1] != 0xC0 && in[sof+1] != 0xC1 && in[sof+1] != 0xC2 {
		sof += 2 + int(binary.BigEndian.Uint16(in[sof+2:]))
	}
	return append(append(bytes.Clone(in[:sof]), dqt...), in[sof:]...)
}

// tables shows the bodies of the segments that define quantisation tables.
func tables(in []byte, see func(body []byte)) {
	for at := 2; in[at+1] != 0xDA; {
		n := int(binary.BigEndian.Uint16(in[at+2:]))
		if in[at+1] == 0xDB {
			see(in[at+4 : at+2+n])
		}
		at += 2 + n
	}
}

func FuzzDecodeJPEG(f *testing.F) {
	for _, in := range testdata(f, "*.jpg") {
		f.Add(in)
	}
	f.Add(specimen.JPEG(specimen.Options{Width: 33, Height: 17, Gray: true}))
	f.Add(specimen.JPEG(specimen.Options{Width: 33, Height: 17}))
	f.Fuzz(func(t *testing.T, in []byte) {
		if c, err := jpeg.DecodeConfig(bytes.NewReader(in)); err == nil && c.Width*c.Height > 1<<20 {
			return
		}
		agreesWithImageJPEG(t, in)
	})
}

// The planes come with the strides of image/jpeg: whoever reads them knows nothing of their maker.
func TestDecodedPlanesAreShapedAsByImageJPEG(t *testing.T) {
	for name, in := range testdata(t, "sampling-*.jpg") {
		got, err := codec.Open(in)
		if err != nil {
			t.Fatal(err)
		}
		g, w := got.(*image.YCbCr), decode(t, in).(*image.YCbCr)
		shape := func(m *image.YCbCr) []int {
			return []int{m.YStride, m.CStride, len(m.Y), len(m.Cb), len(m.Cr), int(m.SubsampleRatio)}
		}
		if d := cmp.Diff(shape(w), shape(g)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
