package specimen_test

import (
	"bytes"
	"image/jpeg"
	"testing"

	"photovault/imaging/specimen"
)

func TestSpecimensDecode(t *testing.T) {
	for _, o := range []specimen.Options{{}, {Width: 1, Height: 1}, {Gray: true, Width: 50, Height: 33}, specimen.Full(100, 80, 3)} {
		o.Fill = false // image/jpeg does not follow stray data that looks like a marker
		m, err := jpeg.Decode(bytes.NewReader(specimen.JPEG(o)))
		if err != nil {
			t.Errorf("%+v: %v", o, err)
		} else if o.Width != 0 && m.Bounds().Dx() != o.Width {
			t.Errorf("width %d, want %d", m.Bounds().Dx(), o.Width)
		}
	}
}

func TestSpecimensAreRepeatable(t *testing.T) {
	a, b := specimen.JPEG(specimen.Full(64, 64, 1)), specimen.JPEG(specimen.Full(64, 64, 1))
	if !bytes.Equal(a, b) {
		t.Error("the same options give different bytes")
	}
	if bytes.Equal(a, specimen.JPEG(specimen.Full(64, 64, 2))) {
		t.Error("another seed gives the same bytes")
	}
}

func TestEveryFormIsFoundAtEveryAlignment(t *testing.T) {
	const text = "canary-4711-Mustermann"
	for name, form := range specimen.Forms(text) {
		if len(form) < 8 {
			t.Errorf("%s is too short to be told from chance: %d bytes", name, len(form))
		}
		if got := specimen.Find(append([]byte("xyz"), form...), text); len(got) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
	if got := specimen.Find(bytes.Repeat([]byte("nothing "), 100), text); got != nil {
		t.Errorf("found %v in nothing", got)
	}
}
