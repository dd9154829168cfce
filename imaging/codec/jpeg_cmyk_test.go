package codec_test

import (
	"bytes"
	"image"
	"image/color"
	"testing"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// inked is a picture of slow ramps in four inks.
func inked(w, h int) *image.CMYK {
	m := image.NewCMYK(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetCMYK(x, y, color.CMYK{C: byte(x * 255 / w), M: byte(y * 255 / h), Y: byte((x + y) * 255 / (w + h)), K: byte(x * 100 / w)})
		}
	}
	return m
}

// as lays inks out as a file holds them: inverted, or the first three as YCbCr that decodes to the ink and
// only black inverted, as Adobe writes it.
func as(m *image.CMYK, inverted, ycck bool) *image.CMYK {
	out := image.NewCMYK(m.Rect)
	copy(out.Pix, m.Pix)
	for i := 0; i < len(out.Pix); i += 4 {
		p := out.Pix[i : i+4]
		if inverted {
			p[0], p[1], p[2], p[3] = ^p[0], ^p[1], ^p[2], ^p[3]
		}
		if ycck {
			p[0], p[1], p[2] = color.RGBToYCbCr(m.Pix[i], m.Pix[i+1], m.Pix[i+2])
		}
	}
	return out
}

func TestFourInksAreConverted(t *testing.T) {
	m := inked(96, 64)
	press := specimen.TableProfile("CMYK", specimen.TableMixed, 9, specimen.LabOfInks)
	cmyk, ycck := codec.EncodeInks(as(m, true, false), 0), codec.EncodeInks(as(m, true, true), 2)
	bare := codec.EncodeInks(as(m, false, false), 0)
	bare = append(bare[:2:2], bare[2+16:]...) // without Adobe's marker inks are the right way round
	for name, in := range map[string][]byte{
		"CMYK": cmyk, "YCCK": ycck, "no marker": bare,
		"profile":          specimen.Decorate(cmyk, specimen.Options{ICC: press}),
		"YCCK and profile": specimen.Decorate(ycck, specimen.Options{ICC: press}),
		"turned":           specimen.Decorate(cmyk, specimen.Options{Orientation: 3}),
	} {
		t.Run(name, func(t *testing.T) {
			a, err := codec.Sanitise(in, limits)
			if err != nil {
				t.Fatal(err)
			}
			if f := a.Findings; f.SourceProfile != "CMYK" || !f.ColourConverted || f.CodedDataKept || !f.Plausible(int64(len(in))) {
				t.Errorf("findings %+v", f)
			}
			for _, r := range a.Renditions {
				got := decode(t, r.Data)
				if _, ok := got.(*image.YCbCr); !ok {
					t.Fatalf("%s is a %T", r.Name, got)
				}
				if r.Name == "thumb" {
					continue
				}
				want := image.NewNRGBA(m.Rect)
				for y := range 64 {
					for x := range 96 {
						c := m.CMYKAt(x, y)
						light := func(ink byte) byte { return byte(((255-int(ink))*(255-int(c.K)) + 127) / 255) }
						to := image.Pt(x, y)
						if name == "turned" {
							to = image.Pt(95-x, 63-y)
						}
						want.Set(to.X, to.Y, color.NRGBA{light(c.C), light(c.M), light(c.Y), 255})
					}
				}
				if p := psnr(t, want, got); p < 36 {
					t.Errorf("%s: %.1f dB", r.Name, p)
				}
			}
			if _, err := codec.Scan(in); codeOf(err) != codec.CodeUnsafe {
				t.Errorf("inks pass as a finished rendition: %v", err)
			}
		})
	}
}

func TestAProfileOfAnotherSpaceIsBroken(t *testing.T) {
	press := specimen.TableProfile("CMYK", specimen.Table8, 3, specimen.LabOfInks)
	for name, in := range map[string][]byte{
		"CMYK on RGB":  specimen.JPEG(specimen.Options{Width: 40, Height: 30, ICC: press}),
		"sRGB on CMYK": specimen.Decorate(codec.EncodeInks(inked(40, 32), 0), specimen.Options{ICC: specimen.SRGB()}),
		"a table cut":  specimen.JPEG(specimen.Options{Width: 40, Height: 30, ICC: specimen.LUT()}),
	} {
		if _, err := codec.Sanitise(in, limits); codeOf(err) != codec.CodeColour {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Display P3 stays as it was coded, under a profile that is ours byte for byte.
func TestDisplayP3IsKeptUnderOurOwnProfile(t *testing.T) {
	plain := specimen.JPEG(specimen.Options{Width: 300, Height: 200})
	in := specimen.Decorate(plain, specimen.Options{ICC: specimen.DisplayP3()})
	a := sanitise(t, in)
	original := a.Renditions[0].Data
	if f := a.Findings; !f.CodedDataKept || f.ColourConverted || f.SourceProfile != "Display P3" || f.Pixels.Decoded != f.Pixels.Encoded {
		t.Errorf("findings %+v", f)
	}
	scan := plain[bytes.LastIndex(plain, []byte{0xFF, 0xDA}):]
	if !bytes.HasSuffix(original, scan) {
		t.Error("coded data is not that of the upload")
	}
	if !bytes.Contains(original, codec.CanonicalDisplayP3()) || bytes.Contains(original, specimen.DisplayP3()) {
		t.Error("the profile is not our own")
	}
	if again := sanitise(t, original); !bytes.Equal(again.Renditions[0].Data, original) || len(again.Findings.Removed) != 0 {
		t.Errorf("sanitising twice differs: %+v", again.Findings)
	}
	for _, r := range a.Renditions[1:] {
		if bytes.Contains(r.Data, []byte("ICC_PROFILE")) {
			t.Errorf("%s has a profile", r.Name)
		}
	}
	// One byte of the profile changed, and the second worker refuses it.
	bad := bytes.Clone(original)
	bad[bytes.Index(bad, []byte("acsp"))+100] ^= 1
	if _, err := codec.Scan(bad); codeOf(err) != codec.CodeUnsafe {
		t.Errorf("a changed profile passes: %v", err)
	}
	turned := sanitise(t, specimen.Decorate(plain, specimen.Options{ICC: specimen.DisplayP3(), Orientation: 6}))
	if !bytes.Contains(turned.Renditions[0].Data, codec.CanonicalDisplayP3()) || turned.Findings.ColourConverted || turned.Findings.CodedDataKept {
		t.Errorf("turned: %+v", turned.Findings)
	}
}
