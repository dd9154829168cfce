package codec_test

import (
	"testing"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// A table that says what sRGB says must move no colour by more than its own precision.
func TestTablesSayWhatTheyWereMadeFrom(t *testing.T) {
	for _, kind := range []specimen.TableKind{specimen.Table8, specimen.Table16, specimen.TableMixed} {
		t.Run(string(kind), func(t *testing.T) {
			convert, _, err := codec.Converter(specimen.TableProfile("RGB ", kind, 33, specimen.LabOfSRGB))
			if err != nil {
				t.Fatal(err)
			}
			tolerance := 2
			if kind == specimen.Table8 {
				tolerance = 16 // a step of a* or b* is one unit, several levels of a dark or saturated colour
			}
			for r := 0; r < 256; r += 15 {
				for g := 0; g < 256; g += 15 {
					for b := 0; b < 256; b += 15 {
						x, y, z := convert(byte(r), byte(g), byte(b))
						if d := max(apart(x, r), apart(y, g), apart(z, b)); d > tolerance {
							t.Fatalf("%d %d %d became %d %d %d", r, g, b, x, y, z)
						}
					}
				}
			}
		})
	}
}

func TestInksBecomeWhatThePressShows(t *testing.T) {
	ink, err := codec.Inks(specimen.TableProfile("CMYK", specimen.Table16, 17, specimen.LabOfInks))
	if err != nil {
		t.Fatal(err)
	}
	for c := 0; c < 256; c += 51 {
		for m := 0; m < 256; m += 51 {
			for y := 0; y < 256; y += 51 {
				for k := 0; k < 256; k += 51 {
					r, g, b := ink(byte(c), byte(m), byte(y), byte(k))
					light := func(ink int) int { return ((255-ink)*(255-k) + 127) / 255 }
					if d := max(apart(r, light(c)), apart(g, light(m)), apart(b, light(y))); d > 3 {
						t.Fatalf("%d %d %d %d became %d %d %d", c, m, y, k, r, g, b)
					}
				}
			}
		}
	}
}

func apart(a byte, b int) int { return max(int(a)-b, b-int(a)) }

func FuzzProfile(f *testing.F) {
	for _, kind := range []specimen.TableKind{specimen.Table8, specimen.Table16, specimen.TableMixed} {
		f.Add(specimen.TableProfile("RGB ", kind, 3, specimen.LabOfSRGB))
		f.Add(specimen.TableProfile("CMYK", kind, 2, specimen.LabOfInks))
	}
	f.Add(specimen.TableProfile("GRAY", specimen.Table16, 5, specimen.LabOfSRGB))
	f.Add(specimen.DisplayP3())
	f.Add(specimen.GrayGamma(1.8))
	f.Fuzz(func(t *testing.T, icc []byte) { _, _ = codec.Judge(icc) })
}
