package vault_test

import (
	"bytes"
	"errors"
	"image/jpeg"
	"io"
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
		if _, err := f.Compare(t.Context(), provider, after.ID, other, crops); !errors.Is(err, vault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	crops[1].Height = 5000
	if _, err := f.Compare(t.Context(), provider, after.ID, before.ID, crops); !errors.Is(err, vault.ErrInvalid) {
		t.Errorf("crops of other shapes: %v", err)
	}
	crops[1].Height = 10000
	if _, err := f.Compare(t.Context(), provider, after.ID, before.ID, crops); err != nil {
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
