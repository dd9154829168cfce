package codec_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"slices"
	"testing"
	"time"

	"photovault/imaging/codec"
	"photovault/imaging/internal/wire"
	"photovault/imaging/specimen"
)

func decodePNG(t testing.TB, b []byte) image.Image {
	t.Helper()
	m, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("image/png: %v", err)
	}
	return m
}

// samePixels compares two pictures exactly, pixel by pixel, the second seen in an EXIF orientation.
func samePixels(t testing.TB, got, was image.Image, orient int) {
	t.Helper()
	sw, sh := was.Bounds().Dx(), was.Bounds().Dy()
	w, h := sw, sh
	if orient >= 5 {
		w, h = h, w
	}
	if got.Bounds() != image.Rect(0, 0, w, h) {
		t.Fatalf("%v, want %d×%d", got.Bounds(), w, h)
	}
	for y := range h {
		for x := range w {
			sx, sy := x, y // TIFF 6.0 tag 274
			switch orient {
			case 2:
				sx = sw - 1 - x
			case 3:
				sx, sy = sw-1-x, sh-1-y
			case 4:
				sy = sh - 1 - y
			case 5:
				sx, sy = y, x
			case 6:
				sx, sy = y, sh-1-x
			case 7:
				sx, sy = sw-1-y, sh-1-x
			case 8:
				sx, sy = sw-1-y, x
			}
			a := color.NRGBA64Model.Convert(got.At(x, y))
			b := color.NRGBA64Model.Convert(was.At(sx, sy))
			if a != b {
				t.Fatalf("pixel %d,%d is %v, was %v", x, y, a, b)
			}
		}
	}
}

// pngKinds are all kinds of PNG that there are.
func pngKinds() (all []specimen.PNGOptions) {
	for kind, depths := range map[byte][]byte{0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}} {
		for _, depth := range depths {
			for _, interlaced := range []bool{false, true} {
				for _, transparent := range []bool{false, true} {
					if transparent && kind >= 4 {
						continue
					}
					all = append(all, specimen.PNGOptions{Width: 61, Height: 43, Kind: kind, Depth: depth, Interlaced: interlaced, Transparent: transparent})
				}
			}
		}
	}
	return all
}

func TestEveryKindOfPNGKeepsItsPixels(t *testing.T) {
	same := 0
	for _, o := range pngKinds() {
		for orient := range 9 {
			t.Run(fmt.Sprintf("kind %d, %d bits, interlaced %v, transparent %v, orientation %d", o.Kind, o.Depth, o.Interlaced, o.Transparent, orient), func(t *testing.T) {
				in := o
				if orient > 0 {
					in.Chunks = specimen.Chunk(nil, "eXIf", block(specimen.Options{Orientation: orient}))
				}
				photo := specimen.PNG(in)
				a := sanitise(t, photo)
				got := a.Renditions[0]
				samePixels(t, decodePNG(t, got.Data), decodePNG(t, photo), orient)
				seen, err := codec.Scan(got.Data)
				if err != nil || seen.Pixels != a.Findings.Pixels.Encoded || seen.ContentType != "image/png" || seen.Width != got.Width {
					t.Errorf("%+v, %v", seen, err)
				}
				f := a.Findings
				if f.CodedDataKept != (orient <= 1) || f.Format != "png" || f.Orientation != orient {
					t.Errorf("findings %+v", f)
				}
				if again := sanitise(t, got.Data); !bytes.Equal(again.Renditions[0].Data, got.Data) || len(again.Findings.Removed) != 0 {
					t.Errorf("sanitising twice differs: %v", again.Findings.Removed)
				}
				same++
			})
		}
	}
	t.Logf("pixels identical: %d of %d", same, 9*len(pngKinds()))
}

// The filtered rows are the upload's: nothing but the compression is new.
func TestPNGRowsAreKeptBitForBit(t *testing.T) {
	for _, o := range pngKinds() {
		in := specimen.PNG(o)
		if !bytes.Equal(rowsOf(t, sanitise(t, in).Renditions[0].Data), rowsOf(t, in)) {
			t.Errorf("%+v: rows differ", o)
		}
	}
}

func TestBitsBehindTheLastPixelBecomeZero(t *testing.T) {
	for _, o := range pngKinds() {
		if o.Depth >= 8 {
			continue
		}
		clean := sanitise(t, specimen.PNG(o)).Renditions[0].Data
		o.Padding = true
		if got := sanitise(t, specimen.PNG(o)).Renditions[0].Data; !bytes.Equal(got, clean) {
			t.Errorf("%+v: padding survives", o)
		}
	}
}

func TestColoursThatNoPixelNamesGo(t *testing.T) {
	in := specimen.PNG(specimen.PNGOptions{Width: 3, Height: 2, Kind: 3, Depth: 8}) // names colours 0 to 3
	a := sanitise(t, in)
	m := decodePNG(t, a.Renditions[0].Data).(*image.Paletted)
	if len(m.Palette) != 4 {
		t.Errorf("%d colours are left", len(m.Palette))
	}
	samePixels(t, m, decodePNG(t, in), 1)
	if len(a.Findings.Removed) != 1 || a.Findings.Removed[0].Kind != "unused tables" {
		t.Errorf("removed %v", a.Findings.Removed)
	}
}

func TestPNGColoursAreJudged(t *testing.T) {
	icc := func(p []byte) []byte { return specimen.ICCP("a name", p) }
	for name, c := range map[string]struct {
		chunks    []byte
		class     string
		converted bool
		code      string
	}{
		"none":             {nil, "none", false, ""},
		"sRGB":             {specimen.Chunk(nil, "sRGB", []byte{1}), "sRGB", false, ""},
		"sRGB profile":     {icc(specimen.SRGB()), "sRGB", false, ""},
		"Display P3":       {icc(specimen.DisplayP3()), "Display P3", false, ""},
		"Adobe RGB":        {icc(specimen.AdobeRGB()), "Adobe RGB", true, ""},
		"gamma 2.2":        {specimen.Chunk(nil, "gAMA", []byte{0, 0, 0xB1, 0x8F}), "sRGB", false, ""},
		"linear":           {specimen.Chunk(nil, "gAMA", []byte{0, 1, 0x86, 0xA0}), "other RGB", true, ""},
		"cICP sRGB":        {specimen.Chunk(nil, "cICP", []byte{1, 13, 0, 1}), "sRGB", false, ""},
		"cICP P3":          {specimen.Chunk(nil, "cICP", []byte{12, 13, 0, 1}), "Display P3", false, ""},
		"cICP BT.2020":     {specimen.Chunk(nil, "cICP", []byte{9, 14, 0, 1}), "other RGB", true, ""},
		"cICP PQ":          {specimen.Chunk(nil, "cICP", []byte{9, 16, 0, 1}), "", false, codec.CodeColour},
		"cICP narrow":      {specimen.Chunk(nil, "cICP", []byte{1, 13, 0, 0}), "", false, codec.CodeColour},
		"cICP before all":  {append(icc(specimen.LUT()), specimen.Chunk(nil, "cICP", []byte{1, 13, 0, 1})...), "sRGB", false, ""},
		"a table":          {icc(specimen.LUT()), "", false, codec.CodeColour},
		"no profile":       {specimen.Chunk(nil, "iCCP", []byte("name\x00\x00nonsense")), "", false, codec.CodeCorrupt},
		"gamma of nothing": {specimen.Chunk(nil, "gAMA", []byte{0, 0, 0, 0}), "", false, codec.CodeCorrupt},
	} {
		for _, depth := range []byte{8, 16} {
			in := specimen.PNG(specimen.PNGOptions{Kind: 2, Depth: depth, Chunks: c.chunks})
			a, err := codec.Sanitise(in, limits)
			if c.code != "" || err != nil {
				if codeOf(err) != c.code {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			f := a.Findings
			if f.SourceProfile != c.class || f.ColourConverted != c.converted || f.CodedDataKept == c.converted {
				t.Errorf("%s: findings %+v", name, f)
			}
			if _, err := codec.Scan(a.Renditions[0].Data); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if twice := sanitise(t, a.Renditions[0].Data); !bytes.Equal(twice.Renditions[0].Data, a.Renditions[0].Data) || len(twice.Findings.Removed) != 0 {
				t.Errorf("%s: sanitising twice differs: %v", name, twice.Findings.Removed)
			}
		}
	}
}

// A thousand packets of a kilobyte each would inflate to a gigabyte.
func TestPacketsOfXMPAreInflatedWithinBounds(t *testing.T) {
	packet := func(text []byte) []byte {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		_, _ = z.Write(text)
		_ = z.Close()
		return specimen.Chunk(nil, "iTXt", append([]byte("XML:com.adobe.xmp\x00\x01\x00\x00\x00"), b.Bytes()...))
	}
	blank, position := packet(make([]byte, 1<<20)), packet([]byte(`exif:GPSLatitude="52,31.2N"`))
	for packets, gps := range map[int]bool{0: true, 2: true, 800: false} {
		in := specimen.PNG(specimen.PNGOptions{Chunks: append(bytes.Repeat(blank, packets), position...)})
		before := cpuTime()
		f := sanitise(t, in).Findings
		if d := cpuTime() - before; f.HadGPS != gps || d > time.Second {
			t.Errorf("%d packets in %d bytes: a position: %v, after %v", packets, len(in), f.HadGPS, d)
		}
	}
}

// What says something of the colours once the picture has begun comes too late for every reader (PNG 5.6).
func TestPNGColoursThatComeTooLateDoNotCount(t *testing.T) {
	linear := specimen.Chunk(nil, "gAMA", []byte{0, 1, 0x86, 0xA0})
	plain := sanitise(t, specimen.PNG(specimen.PNGOptions{}))
	late := sanitise(t, specimen.PNG(specimen.PNGOptions{Behind: slices.Concat(linear, linear, specimen.ICCP("a name", specimen.LUT()))}))
	if !late.Findings.CodedDataKept || late.Findings.SourceProfile != "none" || len(late.Findings.Removed) != 1 {
		t.Errorf("findings %+v", late.Findings)
	}
	for i, r := range plain.Renditions {
		if !bytes.Equal(r.Data, late.Renditions[i].Data) {
			t.Errorf("%s differs", r.Name)
		}
	}
}

// A conversion must not lose what it can keep: Display P3 by numbers and by profile are the same.
func TestDisplayP3IsTheSameByProfileAndByNumber(t *testing.T) {
	byProfile := sanitise(t, specimen.PNG(specimen.PNGOptions{Chunks: specimen.ICCP("x", specimen.DisplayP3())}))
	byNumber := sanitise(t, specimen.PNG(specimen.PNGOptions{Chunks: specimen.Chunk(nil, "cICP", []byte{12, 13, 0, 1})}))
	for i := range byProfile.Renditions {
		a, b := byProfile.Renditions[i].Data, byNumber.Renditions[i].Data
		if i == 0 && !bytes.Equal(a, b) {
			t.Errorf("%s differs", byProfile.Renditions[i].Name)
		}
		if i > 0 && psnr(t, decode(t, a), decode(t, b)) < 40 {
			t.Errorf("%s differs", byProfile.Renditions[i].Name)
		}
	}
}

// A colour that is said to be transparent and that no pixel has is six bytes of free text; one that some pixel has is
// picture.
func TestAColourKeyThatNoPixelHasGoes(t *testing.T) {
	black := func(kind byte) []byte { return make([]byte, map[byte]int{0: 2, 2: 6}[kind]) }
	for _, interlaced := range []bool{false, true} {
		for _, c := range []struct {
			kind, depth byte
			key         []byte
		}{{0, 16, []byte("GP")}, {2, 16, []byte("GPS52N")}, {0, 8, []byte{0, 255}}, {2, 8, []byte("\x00S\x002\x00N")}, {0, 4, []byte{0, 9}}, {0, 1, []byte{0, 1}}} {
			t.Run(fmt.Sprintf("kind %d, %d bits, interlaced %v", c.kind, c.depth, interlaced), func(t *testing.T) {
				flat := func(key []byte) []byte {
					var chunk []byte
					if key != nil {
						chunk = specimen.Chunk(nil, "tRNS", key)
					}
					return specimen.FlatPNG(37, 29, c.kind, c.depth, interlaced, chunk)
				}
				without, absent, present := sanitise(t, flat(nil)), sanitise(t, flat(c.key)), sanitise(t, flat(black(c.kind)))
				if got := absent.Renditions[0].Data; !bytes.Equal(got, without.Renditions[0].Data) {
					t.Errorf("the key stays: %x", got)
				}
				if len(absent.Findings.Removed) != 1 || absent.Findings.Removed[0].Bytes != int64(12+len(c.key)) {
					t.Errorf("findings %+v", absent.Findings.Removed)
				}
				if got := present.Renditions[0].Data; !bytes.Contains(got, specimen.Chunk(nil, "tRNS", black(c.kind))) || len(present.Findings.Removed) != 0 {
					t.Errorf("the key that a pixel has went: %x", got)
				}
				for _, a := range []wire.Answer{without, absent, present} {
					if _, err := codec.Scan(a.Renditions[0].Data); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}
