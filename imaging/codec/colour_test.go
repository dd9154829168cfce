package codec_test

import (
	"fmt"
	"image"
	"testing"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

func TestColoursArriveWhereTheyShould(t *testing.T) {
	// Expected values computed by hand from the published primaries and curves: e.g. Display P3
	// (0.5, 0.5, 0.5) is neutral and stays; P3 red lies outside sRGB and clips to (255, 0, 0).
	for _, c := range []struct {
		name     string
		icc      []byte
		in, want [3]byte
	}{
		{"P3 white", specimen.DisplayP3(), [3]byte{255, 255, 255}, [3]byte{255, 255, 255}},
		{"P3 black", specimen.DisplayP3(), [3]byte{0, 0, 0}, [3]byte{0, 0, 0}},
		{"P3 grey", specimen.DisplayP3(), [3]byte{128, 128, 128}, [3]byte{128, 128, 128}},
		{"P3 red clips", specimen.DisplayP3(), [3]byte{255, 0, 0}, [3]byte{255, 0, 0}},
		{"P3 green clips", specimen.DisplayP3(), [3]byte{0, 255, 0}, [3]byte{0, 255, 0}},
		{"sRGB red in P3", specimen.DisplayP3(), [3]byte{234, 51, 35}, [3]byte{255, 0, 0}},
		{"sRGB green in P3", specimen.DisplayP3(), [3]byte{117, 251, 76}, [3]byte{0, 255, 0}},
		{"sRGB blue in P3", specimen.DisplayP3(), [3]byte{0, 0, 245}, [3]byte{0, 0, 255}},
		{"Adobe white", specimen.AdobeRGB(), [3]byte{255, 255, 255}, [3]byte{255, 255, 255}},
		{"sRGB red in Adobe", specimen.AdobeRGB(), [3]byte{219, 0, 0}, [3]byte{255, 0, 0}},
		{"sRGB green in Adobe", specimen.AdobeRGB(), [3]byte{144, 255, 60}, [3]byte{0, 255, 0}},
		{"gamma 2.2 dark", specimen.Gamma22(), [3]byte{16, 16, 16}, [3]byte{8, 8, 8}},
	} {
		t.Run(c.name, func(t *testing.T) {
			convert, same, err := codec.Converter(c.icc)
			if err != nil || same {
				t.Fatalf("same %v, %v", same, err)
			}
			r, g, b := convert(c.in[0], c.in[1], c.in[2])
			for i, v := range [3]byte{r, g, b} {
				if d := int(v) - int(c.want[i]); d < -6 || d > 6 {
					t.Errorf("got %v, want %v", [3]byte{r, g, b}, c.want)
				}
			}
		})
	}
}

func TestProfilesAreJudgedByContent(t *testing.T) {
	damaged := specimen.DisplayP3()
	copy(damaged[36:], "xxxx")
	for _, c := range []struct {
		name, code, class string
		o                 specimen.Options
		converted         bool
	}{
		{"none", "", "none", specimen.Options{}, false},
		{"sRGB", "", "sRGB", specimen.Options{ICC: specimen.SRGB()}, false},
		{"sRGB under another name, sampled", "", "sRGB", specimen.Options{ICC: specimen.SRGBSampled()}, false},
		{"named sRGB but plain gamma", "", "other RGB", specimen.Options{ICC: specimen.Gamma22()}, true},
		{"Display P3", "", "Display P3", specimen.Options{ICC: specimen.DisplayP3()}, false},
		{"table of RGB", "", "other RGB", specimen.Options{ICC: specimen.TableProfile("RGB ", specimen.Table8, 3, specimen.LabOfSRGB)}, true},
		{"table of grey", "", "gray", specimen.Options{Gray: true, ICC: specimen.TableProfile("GRAY", specimen.Table16, 5, specimen.LabOfSRGB)}, true},
		{"table of RGB on grey", "", "other RGB", specimen.Options{Gray: true, ICC: specimen.TableProfile("RGB ", specimen.Table16, 5, specimen.LabOfSRGB)}, true},
		{"Adobe RGB", "", "Adobe RGB", specimen.Options{ICC: specimen.AdobeRGB()}, true},
		{"Adobe RGB by EXIF", "", "Adobe RGB", specimen.Options{AdobeRGB: true}, true},
		{"grey gamma 1.8", "", "gray", specimen.Options{Gray: true, ICC: specimen.GrayGamma(1.8)}, true},
		{"sRGB on grey", "", "sRGB", specimen.Options{Gray: true, ICC: specimen.SRGB()}, false},
		{"grey on colour", codec.CodeColour, "", specimen.Options{ICC: specimen.GrayGamma(1.8)}, false},
		{"table without its data", codec.CodeColour, "", specimen.Options{ICC: specimen.LUT()}, false},
		{"damaged", codec.CodeColour, "", specimen.Options{ICC: damaged}, false},
		{"cut", codec.CodeColour, "", specimen.Options{ICC: specimen.SRGB()[:140]}, false},
		{"in two segments", "", "Display P3", specimen.Options{ICC: append(specimen.DisplayP3(), make([]byte, 70000)...)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Width, c.o.Height = 61, 43
			a, err := codec.Sanitise(specimen.JPEG(c.o), limits)
			if c.code != "" {
				if codeOf(err) != c.code {
					t.Errorf("got %v, want %s", err, c.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			f := a.Findings
			if f.SourceProfile != c.class || f.ColourConverted != c.converted || f.CodedDataKept == c.converted {
				t.Errorf("findings %+v", f)
			}
			if (f.Pixels.Encoded != f.Pixels.Decoded) != c.converted {
				t.Error("pixel hashes do not say whether colours were converted")
			}
		})
	}
}

// TestConversionReachesEveryRendition compares each rendition with a pixel-by-pixel conversion.
func TestConversionReachesEveryRendition(t *testing.T) {
	convert, _, err := codec.Converter(specimen.AdobeRGB())
	if err != nil {
		t.Fatal(err)
	}
	for orient := 1; orient <= 8; orient += 5 {
		t.Run(fmt.Sprint(orient), func(t *testing.T) {
			in := specimen.JPEG(specimen.Options{Width: 300, Height: 200, ICC: specimen.AdobeRGB(), Orientation: orient})
			a := sanitise(t, in)
			turned := decode(t, sanitise(t, specimen.JPEG(specimen.Options{Width: 300, Height: 200, Orientation: orient})).Renditions[0].Data)
			b := turned.Bounds()
			want := image.NewNRGBA(b)
			for y := range b.Dy() {
				for x := range b.Dx() {
					want.Set(x, y, turned.At(x, y))
					p := want.Pix[want.PixOffset(x, y):]
					p[0], p[1], p[2] = convert(p[0], p[1], p[2])
				}
			}
			if p := psnr(t, want, decode(t, a.Renditions[0].Data)); p < 38 {
				t.Errorf("original: %.1f dB", p)
			}
			if p := psnr(t, want, decode(t, a.Renditions[1].Data)); p < 30 {
				t.Errorf("web: %.1f dB", p)
			}
		})
	}
}
