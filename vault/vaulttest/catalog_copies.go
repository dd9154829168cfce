package vaulttest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
	"photovault/vault/seal"
)

// copyOf plans marketing's copy of a rendition under an authorization.
func (s *shelf) copyOf(t testing.TB, photo *vault.Photo, a id.Authorization, rendition string) (*vault.PhotoKey, vault.Copy) {
	t.Helper()
	o := vault.Object{ID: id.New[id.Object](), Area: string(blobs.Photos), Owner: string(photo.ID), Size: seal.SealedSize(1000), Authorization: a}
	must(t, s.c.PlanObjects(t.Context(), o))
	i := slices.IndexFunc(photo.Renditions, func(r vault.Rendition) bool { return r.Name == rendition })
	return &vault.PhotoKey{Photo: photo.ID, Authorization: a, Wrapped: []byte("wrapped for " + a)},
		vault.Copy{Rendition: vault.Rendition{Name: rendition, Object: o.ID, ContentType: "image/jpeg", Width: 4, Height: 3, Size: 1000}, Source: photo.Renditions[i].Object}
}

func (s *shelf) copied(t testing.TB, photo *vault.Photo, a id.Authorization, rendition string) vault.Copy {
	t.Helper()
	key, made := s.copyOf(t, photo, a, rendition)
	must(t, s.c.AddCopy(t.Context(), photo.Patient, key, made, s.entry(audit.PhotoDerive)))
	return made
}

func testCopies(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Provider)
	p := s.patient(t)
	photo := s.ready(t, p.ID, by.ID)
	add := func(key *vault.PhotoKey, made vault.Copy) error {
		return s.c.AddCopy(ctx, photo.Patient, key, made, s.entry(audit.PhotoDerive))
	}
	gone := func(t *testing.T, a id.Authorization, of *vault.Photo) {
		t.Helper()
		_, err := s.c.PhotoKey(ctx, of.ID, a)
		wantError(t, err, vault.ErrNotFound)
	}
	t.Run("the first brings the key, the next are added, with one entry each", func(t *testing.T) {
		a := s.authorization(t, p.ID)
		key, web := s.copyOf(t, photo, a.ID, "web")
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.AddCopy(ctx, p.ID, key, web, nil) })
		must(t, s.logs(t, 1, func() error { return add(key, web) }))
		_, thumb := s.copyOf(t, photo, a.ID, "thumb")
		must(t, s.logs(t, 1, func() error { return add(key, thumb) }))
		got, err := s.c.PhotoKey(ctx, photo.ID, a.ID)
		must(t, err)
		want := *key
		want.Copies = []vault.Copy{web, thumb}
		if d := cmp.Diff(&want, got); d != "" {
			t.Error(d)
		}
		if own, err := s.c.PhotoKey(ctx, photo.ID, ""); err != nil || own.Authorization != "" || string(own.Wrapped) != "wrapped" {
			t.Errorf("the photo's own key is %+v, %v", own, err)
		}
	})
	t.Run("what does not fit is refused", func(t *testing.T) {
		a := s.authorization(t, p.ID)
		there := s.copied(t, photo, a.ID, "web")
		key, twice := s.copyOf(t, photo, a.ID, "web")
		another, thumb := s.copyOf(t, photo, a.ID, "thumb")
		another.Wrapped = []byte("another key")
		stale := thumb
		stale.Source = there.Object
		_, bound := s.copyOf(t, photo, s.authorization(t, p.ID).ID, "thumb")
		plain := s.planned(t, blobs.Photos, string(photo.ID), seal.SealedSize(1000))
		unbound := thumb
		unbound.Object = plain.ID
		unknown, of := s.copyOf(t, photo, id.New[id.Authorization](), "web")
		theirs := s.authorization(t, s.patient(t).ID)
		foreign, their := s.copyOf(t, photo, theirs.ID, "web")
		for name, c := range map[string]struct {
			key  *vault.PhotoKey
			copy vault.Copy
		}{"a second of one rendition": {key, twice}, "under another key": {another, thumb}, "of what the photo has not": {key, stale},
			"planned under another authorization": {key, bound}, "planned under none": {key, unbound}, "under no such authorization": {unknown, of},
			"under another patient's": {foreign, their}} {
			t.Log(name)
			wantError(t, s.logs(t, 0, func() error { return add(c.key, c.copy) }), vault.ErrGone)
		}
		wantError(t, s.c.AddCopy(ctx, theirs.Patient, foreign, their, s.entry(audit.PhotoDerive)), vault.ErrGone)
		if none := add(&vault.PhotoKey{Photo: photo.ID, Wrapped: []byte("w")}, thumb); none == nil {
			t.Error("a copy without an authorization")
		}
	})
	t.Run("the token's key is that of its authorization's copies", func(t *testing.T) {
		a, b := s.authorization(t, p.ID), s.authorization(t, p.ID)
		s.copied(t, photo, a.ID, "web")
		for _, bound := range []id.Authorization{a.ID, b.ID, ""} {
			token := s.token(t, photo, by.ID, func(k *consent.Token) { k.Authorization = bound })
			r, err := s.Catalogs.Release(ctx, token.Hash)
			must(t, err)
			if r.Token.Authorization != bound || (r.Key == nil) != (bound == b.ID) || r.Key != nil && r.Key.Authorization != bound {
				t.Errorf("bound to %q: the key is %+v", bound, r.Key)
			}
		}
	})
	// What ends an authorization, or stands against the photo, takes the key of
	// its copies along in the same transaction, and nothing else.
	end := func(kind consent.EventKind) func(*testing.T, *vault.Photo, *consent.Authorization) {
		return func(t *testing.T, of *vault.Photo, a *consent.Authorization) {
			must(t, s.c.AddEvent(ctx, s.event(of.Patient, kind, string(a.ID)), s.entry(audit.RecordEvent)))
		}
	}
	restrict := func(subject func(*vault.Photo) string) func(*testing.T, *vault.Photo, *consent.Authorization) {
		return func(t *testing.T, of *vault.Photo, _ *consent.Authorization) {
			e := s.event(of.Patient, consent.Restricted, subject(of))
			e.Purposes, e.Reason = []consent.Purpose{consent.ForMarketing}, "asked"
			must(t, s.c.AddEvent(ctx, e, s.entry(audit.RecordEvent)))
		}
	}
	for name, c := range map[string]struct {
		end    func(*testing.T, *vault.Photo, *consent.Authorization)
		others bool // copies of other photos stay
		own    bool // the photo's own key goes too
	}{
		"revoked": {end: end(consent.Revoked)}, "its event": {end: end(consent.Expired)}, "found false": {end: end(consent.FoundFalse)},
		"superseded": {end: func(t *testing.T, of *vault.Photo, a *consent.Authorization) {
			next := *a
			next.ID, next.Supersedes = id.New[id.Authorization](), a.ID
			must(t, s.c.AddAuthorization(ctx, &next, s.entry(audit.AuthorizeRecord)))
		}},
		"a draft becomes complete and supersedes": {end: func(t *testing.T, of *vault.Photo, a *consent.Authorization) {
			next := *a
			next.ID, next.Supersedes, next.CopyGivenAt = id.New[id.Authorization](), a.ID, time.Time{}
			must(t, s.c.AddAuthorization(ctx, &next, s.entry(audit.AuthorizeRecord)))
			if _, err := s.c.PhotoKey(ctx, of.ID, a.ID); err != nil {
				t.Errorf("a draft took the key: %v", err)
			}
			must(t, s.c.AddEvent(ctx, s.event(of.Patient, consent.CopyGiven, string(next.ID)), s.entry(audit.RecordEvent)))
		}},
		"compound": {end: func(t *testing.T, of *vault.Photo, a *consent.Authorization) {
			c := &consent.Clinical{ID: id.New[id.Consent](), Practice: s.Practice, Patient: of.Patient, Signer: consent.Signer{Name: "x"}, SignedAt: s.now, Document: a.Document}
			must(t, s.c.AddClinical(ctx, c, s.entry(audit.ConsentRecord)))
		}},
		"photo restricted":   {end: restrict(func(p *vault.Photo) string { return string(p.ID) }), others: true},
		"patient restricted": {end: restrict(func(p *vault.Photo) string { return string(p.Patient) })},
		"photo deleted": {end: func(t *testing.T, of *vault.Photo, _ *consent.Authorization) {
			_, err := s.c.DeletePhoto(ctx, of.ID, s.event(of.Patient, consent.Deleted, string(of.ID)), s.entry(audit.PhotoDelete))
			must(t, err)
		}, others: true, own: true},
	} {
		t.Run("ended by: "+name, func(t *testing.T) {
			patient := s.patient(t)
			one, two := s.ready(t, patient.ID, by.ID), s.ready(t, patient.ID, by.ID)
			a := s.authorization(t, patient.ID, func(a *consent.Authorization) {
				a.Document = "0000000000000000000000000000000000000000000000000000000000000000"
			})
			other := s.authorization(t, patient.ID)
			first, second, stays := s.copied(t, one, a.ID, "web"), s.copied(t, two, a.ID, "web"), s.copied(t, two, other.ID, "thumb")
			_, late := s.copyOf(t, one, a.ID, "thumb")
			c.end(t, one, a)
			gone(t, a.ID, one)
			dead := []id.Object{first.Object, late.Object}
			if c.own {
				gone(t, "", one)
				for _, r := range one.Renditions {
					dead = append(dead, r.Object)
				}
			}
			s.wantDead(t, string(one.ID), dead...)
			key := &vault.PhotoKey{Photo: one.ID, Authorization: a.ID, Wrapped: []byte("wrapped")}
			wantError(t, s.c.AddCopy(ctx, patient.ID, key, late, s.entry(audit.PhotoDerive)), vault.ErrGone)
			if c.others {
				if _, err := s.c.PhotoKey(ctx, two.ID, a.ID); err != nil {
					t.Errorf("the copies of another photo went too: %v", err)
				}
			} else {
				gone(t, a.ID, two)
			}
			if name != "patient restricted" {
				if got, err := s.c.PhotoKey(ctx, two.ID, other.ID); err != nil || len(got.Copies) != 1 || got.Copies[0].Object != stays.Object {
					t.Errorf("the copies under another authorization: %+v, %v", got, err)
				}
			}
			if _, err := s.c.PhotoKey(ctx, two.ID, ""); err != nil {
				t.Errorf("the clinical album was touched: %v", err)
			}
			_ = second
		})
	}
	t.Run("what ended by date is found and swept, with an entry", func(t *testing.T) {
		type dated struct {
			patient id.Patient
			of      *vault.Photo
			a       id.Authorization
			web     vault.Copy
			until   time.Time
		}
		var keep func(life time.Duration) dated
		keep = func(life time.Duration) dated {
			patient := s.patient(t)
			of := s.ready(t, patient.ID, by.ID)
			until := time.Now().Add(life).UTC().Truncate(time.Millisecond)
			a := s.authorization(t, patient.ID, func(a *consent.Authorization) { a.ExpiryEvent, a.ExpiresAt = "", until })
			key, web := s.copyOf(t, of, a.ID, "web")
			key.KeepUntil = until
			err := s.c.AddCopy(ctx, patient.ID, key, web, s.entry(audit.PhotoDerive))
			if errors.Is(err, vault.ErrGone) && time.Now().After(until) { // this machine needs longer
				return keep(4 * life)
			}
			must(t, err)
			return dated{patient.ID, of, a.ID, web, until}
		}
		holds := func(d dated, by time.Time) bool {
			list, err := s.c.CopyHolders(ctx, by)
			must(t, err)
			return slices.Contains(list, d.patient)
		}
		sweep := func(d dated) (n int) {
			n, err := s.c.EndCopies(ctx, d.patient, s.entry(audit.CopiesEnd))
			must(t, err)
			return n
		}
		later := keep(time.Hour)
		if holds(later, later.until.Add(-time.Millisecond)) || !holds(later, later.until) || !holds(later, time.Time{}) {
			t.Error("found too early, or not")
		}
		must(t, s.logs(t, 0, func() error {
			if n := sweep(later); n != 0 {
				t.Errorf("%d ended before their time", n)
			}
			return nil
		}))
		soon := keep(time.Second)
		time.Sleep(time.Until(soon.until))
		must(t, s.logs(t, 1, func() error {
			for { // until the database's clock says so, too
				if ended := sweep(soon); ended == 1 {
					return nil
				} else if ended != 0 || time.Since(soon.until) > time.Minute {
					t.Fatalf("%d ended", ended)
				}
			}
		}))
		gone(t, soon.a, soon.of)
		s.wantDead(t, string(soon.of.ID), soon.web.Object)
		must(t, s.logs(t, 0, func() error {
			if sweep(soon) != 0 || holds(soon, soon.until) {
				t.Error("swept twice")
			}
			return nil
		}))
		if !holds(later, later.until) {
			t.Error("another patient's copy was swept along")
		}
	})
	t.Run("a rendition that is made anew ends the copies of the older", func(t *testing.T) {
		of := s.ready(t, p.ID, by.ID)
		a := s.authorization(t, p.ID)
		s.copied(t, of, a.ID, "web")
		o := s.planned(t, blobs.Photos, string(of.ID), seal.SealedSize(10))
		must(t, s.c.AddRendition(ctx, of.ID, vault.Rendition{Name: consent.Masked, Object: o.ID, Size: 10}, s.entry(audit.PhotoDerive)))
		if _, err := s.c.PhotoKey(ctx, of.ID, a.ID); err != nil {
			t.Errorf("another rendition ended the copies: %v", err)
		}
		next := s.planned(t, blobs.Photos, string(of.ID), seal.SealedSize(10))
		must(t, s.c.AddRendition(ctx, of.ID, vault.Rendition{Name: "web", Object: next.ID, Size: 10}, s.entry(audit.PhotoDerive)))
		gone(t, a.ID, of)
	})
}
