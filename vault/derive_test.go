package vault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"photovault/consent"
	"photovault/imaging"
	"photovault/imaging/specimen"
	"photovault/vault"
	"photovault/vault/audit"
)

// entries returns the outcomes of an action on a photo, in order.
func (f *fixture) entries(p *vault.Photo, action audit.Action) (list []*audit.Entry) {
	f.t.Helper()
	err := f.catalogs.ForPractice(f.practice).PatientAudit(f.t.Context(), p.Patient, func(r audit.Record) error {
		e, err := audit.Decode(r.Encoded)
		if err == nil && e.Action == action && e.Photo == p.ID {
			list = append(list, e)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Promise P2: a rendition is made of a stored one under a derive permit, whose
// intent is durable before the source is opened.
func TestARenditionIsMadeOfAStoredOne(t *testing.T) {
	f := newFixture(t)
	photo := f.add(specimen.JPEG(specimen.Options{Width: 320, Height: 240}))
	var web vault.Rendition
	for _, r := range photo.Renditions {
		if r.Name == "web" {
			web = r
		}
	}
	var borrowed []byte
	work := func(_ context.Context, sources [][]byte) (*imaging.Rendition, error) {
		if len(sources) != 1 || digestOf(sources[0]) != web.SHA256 {
			t.Error("the source is not the photo's web rendition")
		}
		if e := f.entries(photo, audit.PhotoDerive); len(e) != 1 || e[0].Outcome != audit.Intent || len(e[0].Records) != 4 {
			t.Errorf("the source was opened on %+v", e)
		}
		borrowed = sources[0]
		return &imaging.Rendition{ContentType: "image/jpeg", Width: 320, Height: 240, Data: append([]byte("masked: "), sources[0]...)}, nil
	}
	provider := f.people[consent.Provider]
	r, err := f.DeriveMasked(t.Context(), provider, photo.ID, work)
	if err != nil {
		t.Fatal(err)
	}
	if len(bytes.Trim(borrowed, "\x00")) != 0 {
		t.Error("the opened source was not overwritten")
	}
	got, err := f.Photo(t.Context(), provider, photo.ID)
	if err != nil || len(got.Renditions) != 4 || got.Renditions[3] != *r || r.Name != consent.Masked || r.Size != web.Size+8 {
		t.Fatalf("%+v, %v", got, err)
	}
	if e := f.entries(photo, audit.PhotoDerive); len(e) != 2 || e[1].Outcome != audit.Complete {
		t.Errorf("the log has %+v", e)
	}
	report, err := (&vault.Fsck{Catalogs: f.catalogs, Keys: f.Keys, Blobs: f.Blobs, Checkpoints: f.Checkpoints, Practice: f.practice, ReadData: true}).Run(t.Context())
	if err != nil || len(report.Findings) != 0 {
		t.Errorf("fsck: %+v, %v", report, err)
	}
}

func TestWhatIsNotAllowedOpensNoSource(t *testing.T) {
	f := newFixture(t)
	photo := f.add(specimen.JPEG(specimen.Options{Width: 64, Height: 48}))
	never := func(context.Context, [][]byte) (*imaging.Rendition, error) {
		t.Error("a source was opened")
		return nil, io.EOF
	}
	for _, role := range []consent.Role{consent.FrontDesk, consent.Marketing, consent.Admin, consent.Privacy, consent.EMR} {
		if _, err := f.DeriveMasked(t.Context(), f.people[role], photo.ID, never); !errors.Is(err, vault.ErrDenied) {
			t.Errorf("%s: %v", role, err)
		}
	}
	f.catalogs.set("CommitDerive", vault.ErrUnavailable)
	if _, err := f.DeriveMasked(t.Context(), f.people[consent.Provider], photo.ID, never); !errors.Is(err, vault.ErrUnavailable) {
		t.Errorf("without an entry: %v", err)
	}
	f.catalogs.set("CommitDerive", nil)
	f.catalogs.set("AddRendition", vault.ErrUnavailable)
	if _, err := f.DeriveMasked(t.Context(), f.people[consent.Provider], photo.ID, func(context.Context, [][]byte) (*imaging.Rendition, error) {
		return &imaging.Rendition{Data: []byte("never committed")}, nil
	}); !errors.Is(err, vault.ErrUnavailable) {
		t.Errorf("not committed: %v", err)
	}
	f.catalogs.set("AddRendition", nil)
	if n := f.stored(); n != 3 {
		t.Errorf("%d objects remain in the store, the photo has 3", n)
	}
	if e := f.entries(photo, audit.PhotoDerive); e[len(e)-1].Outcome != audit.Failed {
		t.Errorf("the last entry is %+v", e[len(e)-1])
	}
}
