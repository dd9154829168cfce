package codec_test

import (
	"bytes"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/webp"

	"photovault/imaging/codec"
	"photovault/imaging/internal/wire"
	"photovault/imaging/specimen"
)

func decodeWebP(t testing.TB, b []byte) image.Image {
	t.Helper()
	m, err := webp.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("webp: %v", err)
	}
	return m
}

// sameCoded compares decoded pictures as they are coded, sample by sample.
func sameCoded(t testing.TB, a, b image.Image) {
	t.Helper()
	if a.Bounds() != b.Bounds() {
		t.Fatalf("%v, %v", a.Bounds(), b.Bounds())
	}
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			if p, q := fmt.Sprint(a.At(x, y)), fmt.Sprint(b.At(x, y)); p != q {
				t.Fatalf("pixel %d,%d: %s, %s", x, y, p, q)
			}
		}
	}
}

// still makes a simple file of an animation's first picture.
func still(t testing.TB, file []byte) []byte {
	for _, c := range specimen.WebPChunks(file) {
		if string(c[:4]) == "ANMF" {
			return specimen.WebPFile(c[8+16:])
		}
	}
	t.Fatal("no animation")
	return nil
}

func TestEveryKindOfWebPKeepsItsPixels(t *testing.T) {
	kept := 0
	for name, in := range specimen.WebPs() {
		t.Run(name, func(t *testing.T) {
			a := sanitise(t, in)
			got, f := a.Renditions[0], a.Findings
			lossless := strings.HasPrefix(name, "lossless")
			if f.CodedDataKept == lossless || f.Format != "webp" || f.Pixels.Decoded != f.Pixels.Encoded {
				t.Errorf("findings %+v", f)
			}
			was := in
			if name == "animated.webp" {
				was = still(t, in)
			}
			if lossless {
				samePixels(t, decodePNG(t, got.Data), decodeWebP(t, was), 1)
			} else {
				sameCoded(t, decodeWebP(t, got.Data), decodeWebP(t, was))
			}
			seen, err := codec.Scan(got.Data)
			if err != nil || seen.Pixels != f.Pixels.Decoded || seen.ContentType != got.ContentType {
				t.Errorf("%+v, %v", seen, err)
			}
			if again := sanitise(t, got.Data); !bytes.Equal(again.Renditions[0].Data, got.Data) || len(again.Findings.Removed) != 0 {
				t.Errorf("sanitising twice differs: %v", again.Findings.Removed)
			}
			kept++
		})
	}
	t.Logf("pixels identical: %d of %d", kept, len(specimen.WebPs()))
}

// Browsers show a still picture without its transparency where the canvas knows of none: what they do not show
// is not delivered either.
func TestTransparencyThatTheCanvasDeniesGoes(t *testing.T) {
	denied := bytes.Clone(specimen.WebPs()["alpha.webp"])
	denied[20] &^= specimen.WebPAlpha
	without := specimen.WebPChunks(denied)
	without = slices.DeleteFunc(without, func(c []byte) bool { return string(c[:4]) == "ALPH" })
	if len(without) != 2 {
		t.Fatalf("%d chunks", len(without))
	}
	got, want := sanitise(t, denied), sanitise(t, specimen.WebPFile(without...))
	if !slices.ContainsFunc(got.Findings.Removed, func(r wire.Removed) bool { return r.Kind == "alpha channel" }) {
		t.Errorf("removed: %v", got.Findings.Removed)
	}
	for i, r := range want.Renditions {
		if !bytes.Equal(got.Renditions[i].Data, r.Data) {
			t.Errorf("%s differs", r.Name)
		}
	}
}

// Pictures that have to be turned come out as PNG: what dwebp shows, turned, to within its rounding.
func TestTurnedWebPShowsWhatOthersShow(t *testing.T) {
	dwebp, err := exec.LookPath("dwebp")
	if err != nil {
		require(t, "dwebp is not installed")
	}
	for name, in := range specimen.WebPs() {
		if name == "animated.webp" {
			in = still(t, in)
		}
		w, h := decodeWebP(t, in).Bounds().Dx(), decodeWebP(t, in).Bounds().Dy()
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, in, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(dwebp, "-quiet", file, "-o", "-").Output()
		if err != nil {
			t.Fatalf("%s: dwebp: %v", name, err)
		}
		want := decodePNG(t, out)
		exif := specimen.RIFFChunk(nil, "EXIF", block(specimen.Options{Orientation: 3}))
		chunks := specimen.WebPChunks(in)
		photo := specimen.WebPFile(append(chunks, exif)...)
		if string(in[12:16]) != "VP8X" {
			photo = specimen.Extended(in, w, h, specimen.WebPEXIF, nil, exif)
		}
		a := sanitise(t, photo)
		got := decodePNG(t, a.Renditions[0].Data)
		largest := 0
		for y := range h {
			for x := range w {
				r1, g1, b1, a1 := got.At(w-1-x, h-1-y).RGBA()
				r2, g2, b2, a2 := want.At(x, y).RGBA()
				for _, d := range [][2]uint32{{r1, r2}, {g1, g2}, {b1, b2}, {a1, a2}} {
					largest = max(largest, int(d[0]>>8)-int(d[1]>>8), int(d[1]>>8)-int(d[0]>>8))
				}
			}
		}
		t.Logf("%s: largest difference of a channel %d", name, largest)
		if limit := map[bool]int{true: 0, false: 3}[strings.HasPrefix(name, "lossless")]; largest > limit {
			t.Errorf("%s: largest difference %d", name, largest)
		}
	}
}

func TestWebPEndsWhereThePictureEnds(t *testing.T) {
	for name, in := range specimen.WebPs() {
		for _, cut := range specimen.Cuts(in, 30) {
			if got := code(cut); got != codec.CodeTruncated && got != codec.CodeFormat {
				t.Errorf("%s cut at %d: %s", name, len(cut), got)
			}
		}
		if len(specimen.WebPChunks(in)) != 1 {
			continue
		}
		// The same in a file whose sizes agree with the cut.
		n := len(in) - 20
		for i := range 20 {
			short := specimen.WebPFile(specimen.RIFFChunk(nil, string(in[12:16]), in[20:20+n*i/20]))
			if got := code(short); got == "accepted" {
				t.Errorf("%s cut to %d of %d: accepted", name, n*i/20, n)
			}
		}
	}
}
