package codec_test

import (
	"bytes"
	"image"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// turnable are JPEGs of all samplings and codings, some of whole units and some not.
func turnable(t *testing.T) map[string][]byte {
	all := testdata(t, "*.jpg")
	maps.DeleteFunc(all, func(name string, _ []byte) bool { return strings.HasPrefix(name, "refused-") })
	all["320×192"] = specimen.JPEG(specimen.Options{Width: 320, Height: 192})
	all["321×192"] = specimen.JPEG(specimen.Options{Width: 321, Height: 192})
	all["320×201"] = specimen.JPEG(specimen.Options{Width: 320, Height: 201})
	all["grey 88×40"] = specimen.JPEG(specimen.Options{Width: 88, Height: 40, Gray: true})
	return all
}

// farthest is the largest difference of a channel between a picture and another that was turned.
func farthest(t *testing.T, shown, source image.Image, orient int) int {
	t.Helper()
	model, w, h, want := samples(source, orient)
	got, gw, gh, have := samples(shown, 1)
	if model != got || w != gw || h != gh {
		t.Fatalf("%d×%d of model %d, want %d×%d of %d", gw, gh, got, w, h, model)
	}
	most := 0
	for y := range want {
		for c := range want[y] {
			for x, v := range want[y][c] {
				most = max(most, int(v)-int(have[y][c][x]), int(have[y][c][x])-int(v))
			}
		}
	}
	return most
}

// A JPEG whose edges are whole units is turned without loss: what is seen differs from the turned upload by
// the rounding of the inverse transform alone, and turning back gives the upload's pixels, bit for bit.
func TestTurnedJPEGsLoseNothing(t *testing.T) {
	back := [9]int{0, 1, 2, 3, 4, 5, 8, 7, 6}
	exact, coded, most, mostCoded := 0, 0, 0, 0
	all := turnable(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for orient := 2; orient <= 8; orient++ {
			in := specimen.Decorate(all[name], specimen.Options{Orientation: orient})
			was := wholePicture(t, in)
			a := sanitise(t, in)
			d := farthest(t, wholePicture(t, a.Renditions[0].Data), was, orient)
			if f := a.Findings; !f.OrientationBaked || f.CodedDataKept {
				t.Errorf("%s, orientation %d: %+v", name, orient, f)
			}
			if !a.Findings.TurnedWithoutLoss {
				coded, mostCoded = coded+1, max(mostCoded, d)
				continue
			}
			if exact, most = exact+1, max(most, d); d > 2 {
				t.Errorf("%s, orientation %d: %d apart", name, orient, d)
			}
			again := sanitise(t, specimen.Decorate(a.Renditions[0].Data, specimen.Options{Orientation: back[orient]}))
			if again.Findings.TurnedWithoutLoss && farthest(t, wholePicture(t, again.Renditions[0].Data), was, 1) != 0 {
				t.Errorf("%s, orientation %d: turned there and back is not where it was", name, orient)
			}
		}
	}
	names, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "photos", "*rotated*.jpg"))
	for _, n := range names {
		in, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		a := sanitise(t, in)
		f := a.Findings
		d := farthest(t, wholePicture(t, a.Renditions[0].Data), wholePicture(t, in), f.Orientation)
		if f.TurnedWithoutLoss && d > 2 {
			t.Errorf("%s: %d apart", n, d)
		}
		t.Logf("%s, orientation %d: turned without loss: %v, largest difference of a channel %d", filepath.Base(n), f.Orientation, f.TurnedWithoutLoss, d)
	}
	if exact < 30 || coded == 0 {
		t.Errorf("%d turned without loss, %d coded anew", exact, coded)
	}
	t.Logf("%d turned without loss: largest difference of a channel %d; %d coded anew: %d", exact, most, coded, mostCoded)
}

// wholePicture decodes by way of our own sequential twin, since image/jpeg reads no restart markers in
// progressive images.
func wholePicture(t *testing.T, in []byte) image.Image {
	t.Helper()
	m, err := codec.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// jpegtran turns coefficients as well: what djpeg shows of its file and of ours is the same, bit for bit.
func TestTurnedJPEGsAreThoseOfJpegtran(t *testing.T) {
	jpegtran, djpeg := program(t, "jpegtran", "libjpeg-turbo-progs"), program(t, "djpeg", "libjpeg-turbo-progs")
	turns := [9]string{2: "-flip horizontal", 3: "-rotate 180", 4: "-flip vertical", 5: "-transpose", 6: "-rotate 90", 7: "-transverse", 8: "-rotate 270"}
	show := func(in []byte) []byte {
		return native(t, in, "in.jpg", "out.pnm", func(from, to string) []string {
			return []string{djpeg, "-dct", "int", "-nosmooth", "-pnm", "-outfile", to, from}
		})
	}
	same := 0
	for name, plain := range turnable(t) {
		if testing.Short() && !strings.Contains(name, "×") {
			continue
		}
		for orient := 2; orient <= 8; orient++ {
			file := filepath.Join(t.TempDir(), "in.jpg")
			if err := os.WriteFile(file, plain, 0o600); err != nil {
				t.Fatal(err)
			}
			theirs, err := exec.CommandContext(t.Context(), jpegtran, append([]string{"-perfect"}, append(strings.Fields(turns[orient]), file)...)...).Output()
			a := sanitise(t, specimen.Decorate(plain, specimen.Options{Orientation: orient}))
			if err != nil || !a.Findings.TurnedWithoutLoss {
				// 4:1:1 would become a sampling that is not opened.
				if err == nil && !strings.Contains(name, "411") {
					t.Errorf("%s, orientation %d: jpegtran turns it without loss", name, orient)
				}
				continue
			}
			if !bytes.Equal(show(theirs), show(a.Renditions[0].Data)) {
				t.Errorf("%s, orientation %d: another picture", name, orient)
			}
			same++
		}
	}
	if same == 0 {
		t.Error("nothing was compared")
	}
	t.Logf("%d identical", same)
}
