package vault_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"io"
	"slices"
	"testing"

	"photovault/consent"
	"photovault/imaging/specimen"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func (f *fixture) read(p *vault.Photo, rendition string) ([]byte, error) {
	f.t.Helper()
	_, b, err := f.IssueToken(f.t.Context(), f.people[consent.Provider], vault.TokenRequest{Photo: p.ID, Rendition: rendition, Purpose: consent.ForCare})
	if err != nil {
		return nil, err
	}
	d, err := f.open(b)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(d)
	return got, errors.Join(err, d.Close(err == nil))
}

func TestAMaskHidesAndItsRegionsAreKept(t *testing.T) {
	f := newFixture(t)
	photo := f.add(specimen.JPEG(specimen.Options{Width: 320, Height: 240}))
	provider := f.people[consent.Provider]
	regions := []consent.Region{{Shape: "rectangle", X: 2000, Y: 2000, Width: 3000, Height: 3000}}
	r, err := f.Mask(t.Context(), provider, photo.ID, regions)
	if err != nil || r.Name != consent.Masked || r.Marking == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	got, err := f.read(photo, consent.Masked)
	if err != nil {
		t.Fatal(err)
	}
	m, err := jpeg.Decode(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	if x, y, z, _ := m.At(112, 84).RGBA(); x+y+z != 0 {
		t.Errorf("the region shows %d %d %d", x, y, z)
	}
	small, err := f.read(photo, consent.MaskedThumb)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = jpeg.Decode(bytes.NewReader(small)); err != nil || m.Bounds().Dx() != 320 {
		t.Fatalf("the thumb is %v, %v", m, err)
	}
	if x, y, z, _ := m.At(112, 84).RGBA(); x+y+z != 0 {
		t.Errorf("in the thumb the region shows %d %d %d", x, y, z)
	}
	record, err := f.catalogs.ForPractice(f.practice).Record(t.Context(), photo.Patient)
	if err != nil {
		t.Fatal(err)
	}
	last := record.Events[len(record.Events)-1]
	if last.ID != r.Marking || last.Kind != consent.Marked || len(last.Regions) != 1 || last.Regions[0] != regions[0] || last.EnteredBy != provider.Account {
		t.Errorf("the record ends with %+v", last)
	}
	if e := f.entries(photo, audit.RecordEvent); len(e) != 1 || e[0].Reason != "marked" {
		t.Errorf("the log has %+v", e)
	}
	// Marked anew, and the machine fails before there is a new picture: the old one shows too much.
	f.catalogs.set("CommitDerive", vault.ErrUnavailable)
	if _, err := f.Mask(t.Context(), provider, photo.ID, append(regions, consent.Region{Shape: "ellipse", X: 6000, Y: 6000, Width: 1000, Height: 1000})); !errors.Is(err, vault.ErrUnavailable) {
		t.Errorf("without an entry: %v", err)
	}
	f.catalogs.set("CommitDerive", nil)
	if _, err := f.read(photo, consent.Masked); !errors.Is(err, vault.ErrDenied) {
		t.Errorf("a stale mask: %v", err)
	}
	if _, err := f.read(photo, consent.MaskedThumb); !errors.Is(err, vault.ErrDenied) {
		t.Errorf("the thumb of a stale mask: %v", err)
	}
	for name, bad := range map[string][]consent.Region{"none": nil, "outside": {{Shape: "ellipse", X: 9999, Width: 2, Height: 1}}} {
		if _, err := f.Mask(t.Context(), provider, photo.ID, bad); !errors.Is(err, vault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, role := range []consent.Role{consent.FrontDesk, consent.Marketing, consent.Admin, consent.Privacy, consent.EMR} {
		if _, err := f.Mask(t.Context(), f.people[role], photo.ID, regions); !errors.Is(err, vault.ErrDenied) {
			t.Errorf("%s: %v", role, err)
		}
	}
}

func TestAComparisonGoesWithEitherPhoto(t *testing.T) {
	f := newFixture(t)
	provider := f.people[consent.Provider]
	before := f.add(specimen.JPEG(specimen.Options{Width: 320, Height: 240}))
	after := f.addTo(before.Patient, specimen.JPEG(specimen.Options{Width: 640, Height: 480, Seed: 2}))
	stranger := f.add(specimen.JPEG(specimen.Options{Width: 320, Height: 240}))
	whole := consent.Region{Shape: "rectangle", Width: 10000, Height: 10000}
	crops := [2]consent.Region{whole, whole}
	for name, other := range map[string]id.Photo{"another patient's": stranger.ID, "itself": after.ID} {
		if _, err := f.Compare(t.Context(), provider, after.ID, other, crops, false); !errors.Is(err, vault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	crops[1].Height = 5000
	if _, err := f.Compare(t.Context(), provider, after.ID, before.ID, crops, false); !errors.Is(err, vault.ErrInvalid) {
		t.Errorf("crops of other shapes: %v", err)
	}
	crops[1].Height = 10000
	if _, err := f.Compare(t.Context(), provider, after.ID, before.ID, crops, false); err != nil {
		t.Fatal(err)
	}
	if got, err := f.read(after, consent.Compare); err != nil || len(got) == 0 {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	had := f.stored()
	if _, err := f.Delete(t.Context(), provider, before.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.read(after, consent.Compare); !errors.Is(err, vault.ErrDenied) && !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("after one photo is gone: %v", err)
	}
	if got, err := f.Photo(t.Context(), provider, after.ID); err != nil || len(got.Renditions) != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := f.read(after, consent.Web); err != nil {
		t.Errorf("the other photo itself: %v", err)
	}
	if n := f.stored(); n > had-3 {
		t.Errorf("%d objects of %d remain", n, had)
	}
}

// shades counts the pixels of a picture that are clearly of the colour, and those that are black.
func shades(t *testing.T, b []byte, of func(r, g, b uint32) bool) (coloured, black int) {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			switch r, g, b, _ := m.At(x, y).RGBA(); {
			case of(r>>8, g>>8, b>>8):
				coloured++
			case r+g+b == 0:
				black++
			}
		}
	}
	return coloured, black
}

// tattooed is a grey photo with a patch of one colour: from a quarter to a half of its width and height.
func tattooed(t *testing.T, colour color.NRGBA) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 640, 480))
	draw.Draw(m, m.Rect, image.NewUniform(color.NRGBA{150, 150, 150, 255}), image.Point{}, draw.Src)
	draw.Draw(m, image.Rect(160, 120, 320, 240), image.NewUniform(colour), image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 92}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func red(r, g, b uint32) bool   { return r > g+40 && r > b+40 }
func green(r, g, b uint32) bool { return g > r+40 && g > b+40 }

func TestAMaskedComparisonShowsNothingThatIsMarked(t *testing.T) {
	f := newFixture(t)
	provider := f.people[consent.Provider]
	before := f.add(tattooed(t, color.NRGBA{220, 20, 20, 255}))
	after := f.addTo(before.Patient, tattooed(t, color.NRGBA{20, 200, 20, 255}))
	whole := consent.Region{Shape: "rectangle", Width: 10000, Height: 10000}
	tattoo := []consent.Region{{Shape: "rectangle", X: 2500, Y: 2500, Width: 2500, Height: 2500}}
	compare := func(masked bool) (*vault.Rendition, error) {
		return f.Compare(t.Context(), provider, after.ID, before.ID, [2]consent.Region{whole, whole}, masked)
	}
	mask := func(p *vault.Photo) {
		t.Helper()
		if _, err := f.Mask(t.Context(), provider, p.ID, tattoo); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(want string, rendition string) []byte {
		t.Helper()
		b, err := f.read(after, rendition)
		if err != nil {
			t.Fatal(err)
		}
		reds, black := shades(t, b, red)
		greens, _ := shades(t, b, green)
		got := ""
		for _, c := range []struct {
			name string
			n    int
		}{{"red", reds}, {"green", greens}, {"black", black}} {
			if c.n > 0 {
				got += " " + c.name
			}
		}
		if got != want {
			t.Errorf("%s shows%s, want%s: %d red, %d green, %d black", rendition, got, want, reds, greens, black)
		}
		return b
	}

	had := len(f.events(after))
	if _, err := compare(true); !errors.Is(err, vault.ErrInvalid) {
		t.Errorf("nothing is marked: %v", err)
	}
	if n := len(f.events(after)); n != had {
		t.Errorf("what was refused left %d events", n-had)
	}

	// One is marked: it is masked, and the other shown as it is.
	mask(after)
	r, err := compare(true)
	if err != nil || r.Name != consent.MaskedCompare || r.Marking == "" || r.With.ID != before.ID || r.With.PairMarking != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	shows(" red black", consent.MaskedCompare)

	// Then the other, too: what was made before shows what is hidden now.
	mask(before)
	if _, err := f.read(after, consent.MaskedCompare); !errors.Is(err, vault.ErrDenied) {
		t.Errorf("the other was marked since: %v", err)
	}
	if r, err = compare(true); err != nil || r.With.PairMarking == "" || r.With.PairMarking == r.Marking {
		t.Fatalf("%+v, %v", r, err)
	}
	first := shows(" black", consent.MaskedCompare)
	if last := f.events(after); last[len(last)-1].Kind != consent.Compared || !last[len(last)-1].Masked {
		t.Errorf("the record ends with %+v", last[len(last)-1])
	}
	if _, err := compare(true); err != nil {
		t.Fatal(err)
	}
	if again := shows(" black", consent.MaskedCompare); !bytes.Equal(first, again) {
		t.Error("the same photos and markings became other bytes")
	}

	// It is another rendition than compare, which shows all; each is made of what it says.
	if _, err := compare(false); err != nil {
		t.Fatal(err)
	}
	shows(" red green", consent.Compare)
	shows(" black", consent.MaskedCompare)
	intent := f.entries(after, audit.PhotoDerive)
	if e := intent[slices.IndexFunc(intent, func(e *audit.Entry) bool { return e.Rendition == consent.MaskedCompare })]; !slices.Contains(e.Records, "source/"+string(after.ID)+"/"+consent.Masked) ||
		!slices.Contains(e.Records, "source/"+string(before.ID)+"/"+consent.Web) {
		t.Errorf("the first was made of %v", e.Records)
	}

	// Marked anew while the machine fails: neither the old mask nor the whole photo takes its place.
	f.catalogs.set("AddRendition", vault.ErrUnavailable)
	if _, err := f.Mask(t.Context(), provider, before.ID, tattoo); !errors.Is(err, vault.ErrUnavailable) {
		t.Errorf("a mask that is not stored: %v", err)
	}
	f.catalogs.set("AddRendition", nil)
	if _, err := f.read(after, consent.MaskedCompare); !errors.Is(err, vault.ErrDenied) {
		t.Errorf("marked anew: %v", err)
	}
	if _, err := compare(true); !errors.Is(err, vault.ErrDenied) {
		t.Errorf("made of an older mask: %v", err)
	}
	mask(before)
	if _, err := compare(true); err != nil {
		t.Fatal(err)
	}
	shows(" black", consent.MaskedCompare)

	// Both comparisons go with either photo.
	if _, err := f.Delete(t.Context(), provider, before.ID); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{consent.Compare, consent.MaskedCompare} {
		if _, err := f.read(after, name); !errors.Is(err, vault.ErrDenied) && !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%s, after one photo is gone: %v", name, err)
		}
	}
	if got, err := f.Photo(t.Context(), provider, after.ID); err != nil || len(got.Renditions) != 5 {
		t.Errorf("%+v, %v", got, err)
	}
}

// events are those of the photo's patient.
func (f *fixture) events(p *vault.Photo) []consent.Event {
	f.t.Helper()
	r, err := f.catalogs.ForPractice(f.practice).Record(f.t.Context(), p.Patient)
	if err != nil {
		f.t.Fatal(err)
	}
	return r.Events
}
