package vaulttest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
	"photovault/vault/seal"
)

func testDerivations(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Provider)
	p := s.patient(t)
	photo := s.ready(t, p.ID, by.ID)
	masked := func(size int64) vault.Rendition {
		o := s.planned(t, blobs.Photos, string(photo.ID), seal.SealedSize(size))
		return vault.Rendition{Name: consent.Masked, Object: o.ID, ContentType: "image/jpeg", Width: 4, Height: 3, Size: size}
	}
	t.Run("an intent is durable at the record's epoch only", func(t *testing.T) {
		r, err := s.c.Record(ctx, p.ID)
		must(t, err)
		for epoch, want := range map[int64]bool{r.Epoch: true, r.Epoch + 1: false, r.Epoch - 1: false} {
			entries := map[bool]int{true: 1}[want]
			must(t, s.logs(t, entries, func() error {
				ok, err := s.c.CommitDerive(ctx, p.ID, epoch, s.entry(audit.PhotoDerive))
				if ok != want {
					t.Errorf("epoch %d of %d: %t", epoch, r.Epoch, ok)
				}
				return err
			}))
		}
		if ok, err := s.c.CommitDerive(ctx, id.New[id.Patient](), 0, s.entry(audit.PhotoDerive)); ok || err != nil {
			t.Errorf("an unknown patient: %t, %v", ok, err)
		}
		if ok, err := s.c.CommitDerive(ctx, p.ID, r.Epoch, nil); ok || err == nil {
			t.Error("without an entry")
		}
	})
	t.Run("a photo's key is read by its place", func(t *testing.T) {
		got, err := s.c.PhotoKey(ctx, photo.ID, "")
		must(t, err)
		if d := cmp.Diff(&vault.PhotoKey{Photo: photo.ID, Wrapped: []byte("wrapped")}, got); d != "" {
			t.Error(d)
		}
		for name, err := range map[string]error{
			"an unknown photo": second(s.c.PhotoKey(ctx, id.New[id.Photo](), "")),
			"an authorization": second(s.c.PhotoKey(ctx, photo.ID, id.New[id.Authorization]())),
			"another practice": second(s.Catalogs.ForPractice(s.Other).PhotoKey(ctx, photo.ID, "")),
		} {
			t.Log(name)
			wantError(t, err, vault.ErrNotFound)
		}
	})
	t.Run("a rendition is added, and one of the same name goes", func(t *testing.T) {
		first := masked(100)
		must(t, s.logs(t, 1, func() error { return s.c.AddRendition(ctx, photo.ID, first, s.entry(audit.PhotoDerive)) }))
		got, err := s.c.Photo(ctx, photo.ID)
		must(t, err)
		if d := cmp.Diff(append(photo.Renditions[:len(photo.Renditions):len(photo.Renditions)], first), got.Renditions); d != "" || got.Version != photo.Version+1 {
			t.Errorf("version %d: %s", got.Version, d)
		}
		next := masked(200)
		must(t, s.c.AddRendition(ctx, photo.ID, next, s.entry(audit.PhotoDerive)))
		if got, err = s.c.Photo(ctx, photo.ID); err != nil || len(got.Renditions) != 4 || got.Renditions[3] != next {
			t.Errorf("%+v, %v", got.Renditions, err)
		}
		s.wantDead(t, string(photo.ID), first.Object)
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.AddRendition(ctx, photo.ID, masked(100), nil) })
	})
	t.Run("an object that is not pending, or another's, is refused", func(t *testing.T) {
		taken, err := s.c.Photo(ctx, photo.ID)
		must(t, err)
		other := s.ready(t, p.ID, by.ID)
		of := masked(100)
		short := masked(100)
		short.Size--
		for name, c := range map[string]struct {
			photo id.Photo
			r     vault.Rendition
		}{
			"live already": {photo.ID, taken.Renditions[3]}, "another photo's": {other.ID, of}, "of another size": {photo.ID, short},
			"never planned": {photo.ID, vault.Rendition{Name: consent.Masked, Object: id.New[id.Object](), Size: 1}}, "an unknown photo": {id.New[id.Photo](), of},
			"a photo that has not arrived": {s.declared(t, p.ID, by.ID).ID, of},
		} {
			t.Log(name)
			wantError(t, s.logs(t, 0, func() error { return s.c.AddRendition(ctx, c.photo, c.r, s.entry(audit.PhotoDerive)) }), vault.ErrGone)
		}
	})
	t.Run("a deleted photo takes every picture with it that shows it", func(t *testing.T) {
		gone, stays := s.ready(t, p.ID, by.ID), s.ready(t, p.ID, by.ID)
		var dead []id.Object
		for name, with := range map[string]*vault.Photo{consent.Compare: gone, consent.MaskedCompare: gone, consent.Masked: nil} {
			o := s.planned(t, blobs.Photos, string(stays.ID), seal.SealedSize(10))
			r := vault.Rendition{Name: name, Object: o.ID, Size: 10}
			if with != nil {
				r.With = consent.Photo{ID: with.ID, Patient: p.ID, Ready: true, PairMarking: "marking"}
				dead = append(dead, o.ID)
			}
			must(t, s.c.AddRendition(ctx, stays.ID, r, s.entry(audit.PhotoDerive)))
		}
		_, err := s.c.DeletePhoto(ctx, gone.ID, s.event(p.ID, consent.Deleted, string(gone.ID)), s.entry(audit.PhotoDelete))
		must(t, err)
		got, err := s.c.Photo(ctx, stays.ID)
		must(t, err)
		if len(got.Renditions) != 4 || got.Renditions[3].Name != consent.Masked {
			t.Errorf("%+v", got.Renditions)
		}
		s.wantDead(t, string(stays.ID), dead...)
	})
	t.Run("a deleted photo takes none", func(t *testing.T) {
		late := masked(100)
		_, err := s.c.DeletePhoto(ctx, photo.ID, s.event(p.ID, consent.Deleted, string(photo.ID)), s.entry(audit.PhotoDelete))
		must(t, err)
		wantError(t, s.c.AddRendition(ctx, photo.ID, late, s.entry(audit.PhotoDerive)), vault.ErrGone)
		wantError(t, second(s.c.PhotoKey(ctx, photo.ID, "")), vault.ErrNotFound)
	})
}
