package vaulttest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
)

func testPhotos(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Provider)
	p := s.patient(t)
	photo, grant := s.newPhoto(p.ID, by.ID)
	t.Run("declaring adds photo and grant and writes one entry", func(t *testing.T) {
		wantNothingWithoutEntry(t, func(ctx context.Context) error { _, err := s.c.DeclarePhoto(ctx, photo, grant, nil); return err })
		var got *vault.Photo
		must(t, s.logs(t, 1, func() (err error) {
			got, err = s.c.DeclarePhoto(ctx, photo, grant, s.entry(audit.PhotoDeclare))
			return err
		}))
		again, err := s.c.Photo(ctx, photo.ID)
		must(t, err)
		if d := cmp.Diff(photo, got) + cmp.Diff(photo, again); d != "" {
			t.Error(d)
		}
		a, g, err := s.Catalogs.Grant(ctx, grant.Hash)
		must(t, err)
		if d := cmp.Diff(by, a) + cmp.Diff(grant, g); d != "" {
			t.Error(d)
		}
	})
	t.Run("declaring the same capture again returns the photo and adds the grant to it", func(t *testing.T) {
		again, more := s.newPhoto(p.ID, by.ID)
		again.Device, again.Capture = photo.Device, photo.Capture
		got, err := s.c.DeclarePhoto(ctx, again, more, s.entry(audit.PhotoDeclare))
		must(t, err)
		if d := cmp.Diff(photo, got); d != "" {
			t.Error(d)
		}
		_, g, err := s.Catalogs.Grant(ctx, more.Hash)
		must(t, err)
		if g.Photo != photo.ID {
			t.Errorf("the grant is for %s", g.Photo)
		}
		_, err = s.c.Photo(ctx, again.ID)
		wantError(t, err, vault.ErrNotFound)
		e := s.entry(audit.PhotoDeclare)
		again.ID, more.Hash = id.New[id.Photo](), consent.NewBearer(consent.GrantPrefix).Hash()
		e.Photo, more.Photo = again.ID, again.ID
		_, err = s.c.DeclarePhoto(ctx, again, more, e)
		must(t, err)
		var last *audit.Entry
		must(t, s.c.AuditRecords(ctx, 0, func(r audit.Record) (err error) { last, err = audit.Decode(r.Encoded); return err }))
		if last.Photo != photo.ID {
			t.Errorf("the log names photo %s, which does not exist", last.Photo)
		}
	})
	t.Run("the same capture for another patient is a conflict", func(t *testing.T) {
		other, g := s.newPhoto(s.patient(t).ID, by.ID)
		other.Device, other.Capture = photo.Device, photo.Capture
		err := s.logs(t, 0, func() error { _, err := s.c.DeclarePhoto(ctx, other, g, s.entry(audit.PhotoDeclare)); return err })
		wantConflict(t, err, "capture_differs")
		_, _, err = s.Catalogs.Grant(ctx, g.Hash)
		wantError(t, err, vault.ErrNotFound)
	})
	t.Run("the same capture in another set, or of another treatment, is a conflict", func(t *testing.T) {
		for _, change := range []func(*vault.Photo){
			func(p *vault.Photo) { p.Set = id.New[id.Set]() },
			func(p *vault.Photo) { p.Treatment = id.New[id.Treatment]() },
		} {
			other, g := s.newPhoto(p.ID, by.ID)
			other.Device, other.Capture = photo.Device, photo.Capture
			change(other)
			_, err := s.c.DeclarePhoto(ctx, other, g, s.entry(audit.PhotoDeclare))
			wantConflict(t, err, "capture_differs")
		}
	})
	t.Run("the same capture id on another device is another photo", func(t *testing.T) {
		other, g := s.newPhoto(p.ID, by.ID)
		other.Capture = photo.Capture
		got, err := s.c.DeclarePhoto(ctx, other, g, s.entry(audit.PhotoDeclare))
		must(t, err)
		if got.ID != other.ID {
			t.Error("taken for the same")
		}
	})
	t.Run("a photo needs its patient", func(t *testing.T) {
		other, g := s.newPhoto(id.New[id.Patient](), by.ID)
		_, err := s.c.DeclarePhoto(ctx, other, g, s.entry(audit.PhotoDeclare))
		wantError(t, err, vault.ErrNotFound)
	})
	t.Run("a patient's photos are listed", func(t *testing.T) {
		one := s.patient(t)
		want := []*vault.Photo{s.declared(t, one.ID, by.ID), s.declared(t, one.ID, by.ID)}
		got, err := s.c.PhotosOf(ctx, one.ID)
		must(t, err)
		byID := cmpopts.SortSlices(func(a, b *vault.Photo) bool { return a.ID < b.ID })
		if d := cmp.Diff(want, got, byID); d != "" {
			t.Error(d)
		}
	})
	t.Run("unknown is not found", func(t *testing.T) {
		_, err := s.c.Photo(ctx, id.New[id.Photo]())
		wantError(t, err, vault.ErrNotFound)
		_, _, err = s.Catalogs.Grant(ctx, consent.NewBearer(consent.GrantPrefix).Hash())
		wantError(t, err, vault.ErrNotFound)
	})
}

func testUploads(t *testing.T, s *shelf) {
	t.Run("an account that has ended completes none", func(t *testing.T) {
		ctx := t.Context()
		by, _ := s.account(t, consent.Provider)
		photo := s.declared(t, s.patient(t).ID, by.ID)
		u := s.upload(t, photo, 100)
		s.segment(t, u, 40)
		must(t, s.c.RevokeAccount(ctx, by.ID, s.entry(audit.AccountRevoke)))
		o := s.planned(t, blobs.Staging, string(u.ID), 60)
		wantError(t, s.c.AddSegments(ctx, u, []vault.Segment{{Start: 40, Size: 60, Object: o.ID}}, s.now, s.entry(audit.PhotoUpload)), vault.ErrNotFound)
		s.wantState(t, photo.ID, vault.Receiving)
	})
	ctx := t.Context()
	by, _ := s.account(t, consent.Provider)
	p := s.patient(t)
	photo := s.declared(t, p.ID, by.ID)
	var u *vault.Upload
	t.Run("beginning one makes the photo receiving and writes one entry", func(t *testing.T) {
		wantNothingWithoutEntry(t, func(ctx context.Context) error {
			u := vault.Upload{ID: id.New[id.Upload](), Practice: s.Practice, Photo: photo.ID, Owner: by.ID, Length: 10, ExpiresAt: s.now}
			return s.c.AddUpload(ctx, &u, nil)
		})
		must(t, s.logs(t, 1, func() error { u = s.upload(t, photo, 100); return nil }))
		s.wantState(t, photo.ID, vault.Receiving)
	})
	t.Run("an older upload of the same photo ends and its segments die", func(t *testing.T) {
		seg := s.segment(t, u, 10)
		old := u
		u = s.upload(t, photo, 100)
		_, _, err := s.c.Upload(ctx, old.ID)
		wantError(t, err, vault.ErrNotFound)
		s.wantDead(t, string(old.ID), seg.Object)
		o := s.planned(t, blobs.Staging, string(old.ID), 5)
		wantError(t, s.c.AddSegments(ctx, old, []vault.Segment{vault.Segment{Start: 10, Size: 5, Object: o.ID}}, s.now, s.entry(audit.PhotoUpload)), vault.ErrGone)
	})
	t.Run("segments lie end to end and move offset and expiry", func(t *testing.T) {
		var want []vault.Segment
		must(t, s.logs(t, 0, func() error {
			want = append(want, s.segment(t, u, 30), s.segment(t, u, 50))
			return nil
		}))
		for _, read := range []func() (*vault.Upload, []vault.Segment, error){
			func() (*vault.Upload, []vault.Segment, error) { return s.c.Upload(ctx, u.ID) },
			func() (*vault.Upload, []vault.Segment, error) { return s.c.UploadOf(ctx, photo.ID) },
		} {
			got, segments, err := read()
			must(t, err)
			moved := *u
			moved.Offset, moved.ExpiresAt = 80, s.now.Add(2*time.Hour)
			if d := cmp.Diff(&moved, got) + cmp.Diff(want, segments); d != "" {
				t.Error(d)
			}
		}
	})
	t.Run("a segment elsewhere, too long, or unplanned is refused", func(t *testing.T) {
		for _, c := range []struct {
			name string
			seg  vault.Segment
			want error
		}{
			{"before the offset", vault.Segment{Start: 0, Size: 10}, vault.ErrOffset},
			{"after the offset", vault.Segment{Start: 90, Size: 10}, vault.ErrOffset},
			{"beyond the length", vault.Segment{Start: 80, Size: 21}, vault.ErrTooLarge},
			{"empty", vault.Segment{Start: 80, Size: 0}, vault.ErrTooLarge},
		} {
			c.seg.Object = s.planned(t, blobs.Staging, string(u.ID), c.seg.Size).ID
			if err := s.logs(t, 0, func() error {
				return s.c.AddSegments(ctx, u, []vault.Segment{c.seg}, s.now, s.entry(audit.PhotoUpload))
			}); err == nil {
				t.Errorf("%s: accepted", c.name)
			} else {
				wantError(t, err, c.want)
			}
		}
		for name, o := range map[string]id.Object{
			"unplanned":     id.New[id.Object](),
			"another's":     s.planned(t, blobs.Staging, string(id.New[id.Upload]()), 5).ID,
			"of other size": s.planned(t, blobs.Staging, string(u.ID), 6).ID,
		} {
			if s.c.AddSegments(ctx, u, []vault.Segment{vault.Segment{Start: 80, Size: 5, Object: o}}, s.now, s.entry(audit.PhotoUpload)) == nil {
				t.Errorf("an object that is %s became a segment", name)
			}
		}
	})
	t.Run("of two segments for one offset one counts", func(t *testing.T) {
		errs := make(chan error)
		for range 2 {
			o := s.planned(t, blobs.Staging, string(u.ID), 5)
			go func() {
				errs <- s.c.AddSegments(ctx, u, []vault.Segment{vault.Segment{Start: 80, Size: 5, Object: o.ID}}, s.now.Add(time.Hour), s.entry(audit.PhotoUpload))
			}()
		}
		a, b := <-errs, <-errs
		if a == nil {
			a, b = b, a
		}
		must(t, b)
		wantError(t, a, vault.ErrOffset)
		u.Offset += 5
	})
	t.Run("the last byte makes the photo received and a job, with the entry", func(t *testing.T) {
		o := s.planned(t, blobs.Staging, string(u.ID), 15)
		last := vault.Segment{Start: 85, Size: 15, Object: o.ID}
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.AddSegments(ctx, u, []vault.Segment{last}, s.now, nil) })
		s.wantState(t, photo.ID, vault.Receiving)
		must(t, s.logs(t, 1, func() error { return s.c.AddSegments(ctx, u, []vault.Segment{last}, s.now, s.entry(audit.PhotoUpload)) }))
		s.wantState(t, photo.ID, vault.Received)
		if j := s.claim(t, photo.ID); j.Attempts != 1 {
			t.Errorf("attempt %d", j.Attempts)
		}
	})
	t.Run("a received upload neither ends, nor expires, nor can be begun again", func(t *testing.T) {
		wantError(t, s.c.EndUpload(ctx, u.ID, s.entry(audit.PhotoUploadCancel)), vault.ErrNotFound)
		for _, e := range s.expired(t) {
			if e.ID == u.ID {
				t.Error("it expired")
			}
		}
		again := vault.Upload{ID: id.New[id.Upload](), Practice: s.Practice, Photo: photo.ID, Owner: by.ID, Length: 10, ExpiresAt: s.now}
		wantConflict(t, s.c.AddUpload(ctx, &again, s.entry(audit.PhotoUpload)), "already_received")
	})
	t.Run("ending one lets its segments die and declares the photo again", func(t *testing.T) {
		photo := s.declared(t, p.ID, by.ID)
		u := s.upload(t, photo, 100)
		seg := s.segment(t, u, 10)
		must(t, s.logs(t, 1, func() error { return s.c.EndUpload(ctx, u.ID, s.entry(audit.PhotoUploadCancel)) }))
		s.wantState(t, photo.ID, vault.Declared)
		s.wantDead(t, string(u.ID), seg.Object)
		_, _, err := s.c.Upload(ctx, u.ID)
		wantError(t, err, vault.ErrNotFound)
		wantError(t, s.c.EndUpload(ctx, u.ID, s.entry(audit.PhotoUploadCancel)), vault.ErrNotFound)
		s.upload(t, photo, 100)
	})
	t.Run("uploads that expired are found", func(t *testing.T) {
		photo := s.declared(t, p.ID, by.ID)
		u := s.upload(t, photo, 100)
		found := false
		for _, e := range s.expired(t) {
			found = found || e.ID == u.ID && e.Practice == s.Practice && e.Photo == photo.ID
		}
		if !found {
			t.Error("not found")
		}
		early, err := s.Catalogs.Expired(ctx, s.now.Add(-time.Hour), 100)
		must(t, err)
		if len(early) != 0 {
			t.Errorf("%d expired before their time", len(early))
		}
	})
	t.Run("unknown is not found", func(t *testing.T) {
		_, _, err := s.c.Upload(ctx, id.New[id.Upload]())
		wantError(t, err, vault.ErrNotFound)
		_, _, err = s.c.UploadOf(ctx, s.declared(t, p.ID, by.ID).ID)
		wantError(t, err, vault.ErrNotFound)
		u := vault.Upload{ID: id.New[id.Upload](), Practice: s.Practice, Photo: id.New[id.Photo](), Owner: by.ID, Length: 10, ExpiresAt: s.now}
		wantError(t, s.c.AddUpload(ctx, &u, s.entry(audit.PhotoUpload)), vault.ErrNotFound)
	})
}

func (s *shelf) expired(t *testing.T) []*vault.Upload {
	t.Helper()
	list, err := s.Catalogs.Expired(t.Context(), s.now.Add(24*time.Hour), 100)
	must(t, err)
	return list
}

func (s *shelf) wantState(t *testing.T, p id.Photo, want vault.PhotoState) {
	t.Helper()
	got, err := s.c.Photo(t.Context(), p)
	must(t, err)
	if got.State != want {
		t.Errorf("the photo is %s, want %s", got.State, want)
	}
}

func (s *shelf) wantDead(t *testing.T, owner string, want ...id.Object) {
	t.Helper()
	list, err := s.c.DeadObjects(t.Context(), owner)
	must(t, err)
	var got []id.Object
	for _, o := range list {
		if o.Practice != s.Practice {
			t.Errorf("of practice %s", o.Practice)
		}
		got = append(got, o.ID)
	}
	if d := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b id.Object) bool { return a < b }), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("dead objects: %s", d)
	}
}
