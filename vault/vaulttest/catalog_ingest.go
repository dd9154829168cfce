package vaulttest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
)

func testIngest(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Provider)
	p := s.patient(t)
	t.Run("without a job there is none", func(t *testing.T) {
		j, err := s.Catalogs.ClaimJob(ctx, time.Now().Add(time.Hour), time.Minute)
		if j != nil || err != nil {
			t.Errorf("%+v, %v", j, err)
		}
	})
	t.Run("a leased job is not due until the lease ends, and then the old lease is worth nothing", func(t *testing.T) {
		photo, _ := s.received(t, p.ID, by.ID)
		now := time.Now().Add(time.Second)
		first, err := s.Catalogs.ClaimJob(ctx, now, time.Minute)
		must(t, err)
		if first == nil || first.Photo != photo.ID || first.Practice != s.Practice || first.Attempts != 1 || !first.Lease.Equal(now.Add(time.Minute).Truncate(time.Millisecond)) {
			t.Fatalf("claimed %+v", first)
		}
		early, err := s.Catalogs.ClaimJob(ctx, now.Add(59*time.Second), time.Minute)
		if early != nil || err != nil {
			t.Fatalf("claimed twice: %+v, %v", early, err)
		}
		second, err := s.Catalogs.ClaimJob(ctx, now.Add(61*time.Second), time.Minute)
		must(t, err)
		if second == nil || second.Attempts != 2 {
			t.Fatalf("claimed %+v", second)
		}
		ready, key := s.ingested(t, photo.ID)
		wantError(t, s.logs(t, 0, func() error { return s.c.CommitPhoto(ctx, first, ready, key, s.entry(audit.PhotoIngest)) }), vault.ErrGone)
		wantError(t, s.c.RejectPhoto(ctx, first, "x", s.entry(audit.PhotoIngest)), vault.ErrGone)
		wantError(t, s.c.RetryJob(ctx, first, now), vault.ErrGone)
		must(t, s.c.CommitPhoto(ctx, second, ready, key, s.entry(audit.PhotoIngest)))
		wantError(t, s.c.CommitPhoto(ctx, second, ready, key, s.entry(audit.PhotoIngest)), vault.ErrGone)
	})
	t.Run("a job that is given back is due at its time", func(t *testing.T) {
		photo, _ := s.received(t, p.ID, by.ID)
		j := s.claim(t, photo.ID)
		stale := *j
		must(t, s.c.RenewJob(ctx, j, j.Lease.Add(time.Minute)))
		wantError(t, s.c.RenewJob(ctx, &stale, s.now.Add(time.Hour)), vault.ErrGone)
		wantError(t, s.c.RetryJob(ctx, &stale, s.now), vault.ErrGone)
		must(t, s.c.RetryJob(ctx, j, s.now.Add(time.Hour)))
		wantError(t, s.c.RetryJob(ctx, j, s.now), vault.ErrGone)
		if j, err := s.Catalogs.ClaimJob(ctx, s.now.Add(59*time.Minute), time.Minute); j != nil || err != nil {
			t.Fatalf("claimed %+v, %v", j, err)
		}
		again, err := s.Catalogs.ClaimJob(ctx, s.now.Add(time.Hour), time.Minute)
		must(t, err)
		if again == nil || again.Attempts != 2 {
			t.Fatalf("claimed %+v", again)
		}
		must(t, s.c.RejectPhoto(ctx, again, "not_a_photo", s.entry(audit.PhotoIngest)))
	})
	t.Run("a job that is returned is due at once, as if it had not been claimed", func(t *testing.T) {
		photo, _ := s.received(t, p.ID, by.ID)
		j := s.claim(t, photo.ID)
		stale := *j
		stale.Lease = stale.Lease.Add(-time.Millisecond)
		wantError(t, s.c.ReturnJob(ctx, &stale), vault.ErrGone)
		must(t, s.c.ReturnJob(ctx, j))
		wantError(t, s.c.ReturnJob(ctx, j), vault.ErrGone)
		again := s.claim(t, photo.ID)
		if again.Attempts != j.Attempts {
			t.Errorf("attempt %d after %d", again.Attempts, j.Attempts)
		}
		ready, key := s.ingested(t, photo.ID)
		wantError(t, s.c.CommitPhoto(ctx, j, ready, key, s.entry(audit.PhotoIngest)), vault.ErrGone)
		must(t, s.c.RejectPhoto(ctx, again, "not_a_photo", s.entry(audit.PhotoIngest)))
	})
	t.Run("a commit makes the photo ready: objects live, segments dead, job over, one entry", func(t *testing.T) {
		photo, u := s.received(t, p.ID, by.ID)
		_, segments, err := s.c.UploadOf(ctx, photo.ID)
		must(t, err)
		j := s.claim(t, photo.ID)
		leftover := s.planned(t, blobs.Photos, string(photo.ID), 7) // of an attempt that broke off
		ready, key := s.ingested(t, photo.ID)
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.CommitPhoto(ctx, j, ready, key, nil) })
		must(t, s.logs(t, 1, func() error { return s.c.CommitPhoto(ctx, j, ready, key, s.entry(audit.PhotoIngest)) }))
		got, err := s.c.Photo(ctx, photo.ID)
		must(t, err)
		want := *ready
		want.State, want.Version = vault.Ready, got.Version
		if d := cmp.Diff(&want, got); d != "" {
			t.Error(d)
		}
		if got.Version <= ready.Version {
			t.Errorf("version %d after %d", got.Version, ready.Version)
		}
		s.wantDead(t, string(photo.ID), leftover.ID)
		s.wantDead(t, string(u.ID), segments[0].Object, segments[1].Object)
		if j, err := s.Catalogs.ClaimJob(ctx, time.Now().Add(24*time.Hour), time.Minute); j != nil || err != nil {
			t.Errorf("a job remains: %+v, %v", j, err)
		}
	})
	t.Run("a client that missed the last answer still finds its upload complete", func(t *testing.T) {
		photo, u := s.received(t, p.ID, by.ID)
		ready, key := s.ingested(t, photo.ID)
		must(t, s.c.CommitPhoto(ctx, s.claim(t, photo.ID), ready, key, s.entry(audit.PhotoIngest)))
		got, _, err := s.c.Upload(ctx, u.ID)
		must(t, err)
		if got.Offset != got.Length {
			t.Errorf("offset %d of %d", got.Offset, got.Length)
		}
	})
	t.Run("a segment whose object was taken by the sweeper does not count, and its upload goes on", func(t *testing.T) {
		u := s.upload(t, s.declared(t, p.ID, by.ID), 100)
		o := s.planned(t, blobs.Staging, string(u.ID), 5)
		_, err := s.Catalogs.TakeDead(ctx, time.Now().Add(time.Hour), 1000)
		must(t, err)
		link := func(o vault.Object) error {
			return s.c.AddSegments(ctx, u, []vault.Segment{{Start: 0, Size: 5, Object: o.ID}}, s.now.Add(time.Hour), s.entry(audit.PhotoUpload))
		}
		wantError(t, link(o), vault.ErrSwept)
		must(t, link(s.planned(t, blobs.Staging, string(u.ID), 5)))
	})
	t.Run("a commit whose object was taken by the sweeper is refused whole", func(t *testing.T) {
		photo, _ := s.received(t, p.ID, by.ID)
		j := s.claim(t, photo.ID)
		ready, key := s.ingested(t, photo.ID)
		_, err := s.Catalogs.TakeDead(ctx, time.Now().Add(time.Hour), 1000)
		must(t, err)
		wantError(t, s.logs(t, 0, func() error { return s.c.CommitPhoto(ctx, j, ready, key, s.entry(audit.PhotoIngest)) }), vault.ErrGone)
		s.wantState(t, photo.ID, vault.Received)
		ready, key = s.ingested(t, photo.ID)
		must(t, s.c.CommitPhoto(ctx, j, ready, key, s.entry(audit.PhotoIngest)))
	})
	t.Run("an object is abandoned unless it was committed", func(t *testing.T) {
		photo, _ := s.received(t, p.ID, by.ID)
		ready, key := s.ingested(t, photo.ID)
		o := s.planned(t, blobs.Photos, string(photo.ID), 7)
		must(t, s.c.CommitPhoto(ctx, s.claim(t, photo.ID), ready, key, s.entry(audit.PhotoIngest)))
		fresh := s.planned(t, blobs.Photos, string(photo.ID), 7)
		for name, c := range map[string]struct {
			object    id.Object
			abandoned bool
		}{"dead": {o.ID, true}, "pending": {fresh.ID, true}, "without a row": {id.New[id.Object](), true}, "live": {ready.Renditions[0].Object, false}} {
			if got, err := s.c.AbandonObject(ctx, c.object); err != nil || got != c.abandoned {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
		s.wantDead(t, string(photo.ID), o.ID, fresh.ID)
	})
	t.Run("a refusal keeps its code; objects and segments die", func(t *testing.T) {
		photo, u := s.received(t, p.ID, by.ID)
		j := s.claim(t, photo.ID)
		o := s.planned(t, blobs.Photos, string(photo.ID), 7)
		must(t, s.logs(t, 1, func() error { return s.c.RejectPhoto(ctx, j, "not_a_photo", s.entry(audit.PhotoIngest)) }))
		got, err := s.c.Photo(ctx, photo.ID)
		must(t, err)
		if got.State != vault.Rejected || got.RejectedCode != "not_a_photo" {
			t.Errorf("%s %s", got.State, got.RejectedCode)
		}
		s.wantDead(t, string(photo.ID), o.ID)
		if list, err := s.c.DeadObjects(ctx, string(u.ID)); err != nil || len(list) != 2 {
			t.Errorf("%d dead segments, %v", len(list), err)
		}
	})
}

func testDeletion(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Provider)
	p := s.patient(t)
	del := func(photo *vault.Photo) (*vault.Photo, error) {
		return s.c.DeletePhoto(ctx, photo.ID, s.event(photo.Patient, consent.Deleted, string(photo.ID)), s.entry(audit.PhotoDelete))
	}
	t.Run("event, key, mark and objects go together, with one entry", func(t *testing.T) {
		photo := s.ready(t, p.ID, by.ID)
		token := s.token(t, photo, by.ID)
		before, err := s.c.Record(ctx, p.ID)
		must(t, err)
		wantNothingWithoutEntry(t, func(ctx context.Context) error {
			_, err := s.c.DeletePhoto(ctx, photo.ID, s.event(p.ID, consent.Deleted, string(photo.ID)), nil)
			return err
		})
		var got *vault.Photo
		must(t, s.logs(t, 1, func() (err error) { got, err = del(photo); return err }))
		if got.State != vault.Removed || got.DeletedAt.IsZero() || got.Version <= photo.Version {
			t.Errorf("%+v", got)
		}
		r, err := s.c.Record(ctx, p.ID)
		must(t, err)
		if r.Epoch != before.Epoch+1 || len(r.Events) != 1 || r.Events[0].Kind != consent.Deleted {
			t.Errorf("%+v", r)
		}
		rel, err := s.Catalogs.Release(ctx, token.Hash)
		must(t, err)
		if rel.Key != nil || rel.Redemption.Photo.Ready {
			t.Error("the photo can still be opened")
		}
		var objects []id.Object
		for _, r := range photo.Renditions {
			objects = append(objects, r.Object)
		}
		s.wantDead(t, string(photo.ID), objects...)
	})
	t.Run("twice is no error and no second event", func(t *testing.T) {
		photo := s.declared(t, p.ID, by.ID)
		first, err := del(photo)
		must(t, err)
		r, err := s.c.Record(ctx, p.ID)
		must(t, err)
		second, err := del(photo)
		must(t, err)
		if d := cmp.Diff(first, second); d != "" {
			t.Error(d)
		}
		if again, err := s.c.Record(ctx, p.ID); err != nil || again.Epoch != r.Epoch {
			t.Errorf("epoch %d after %d, %v", again.Epoch, r.Epoch, err)
		}
	})
	t.Run("one that is being uploaded takes its segments along", func(t *testing.T) {
		photo := s.declared(t, p.ID, by.ID)
		u := s.upload(t, photo, 100)
		seg := s.segment(t, u, 10)
		_, err := del(photo)
		must(t, err)
		s.wantDead(t, string(photo.ID), seg.Object)
		o := s.planned(t, blobs.Staging, string(u.ID), 5)
		wantError(t, s.c.AddSegments(ctx, u, []vault.Segment{vault.Segment{Start: 10, Size: 5, Object: o.ID}}, s.now, s.entry(audit.PhotoUpload)), vault.ErrGone)
		again := vault.Upload{ID: id.New[id.Upload](), Practice: s.Practice, Photo: photo.ID, Owner: by.ID, Length: 10, ExpiresAt: s.now}
		wantError(t, s.c.AddUpload(ctx, &again, s.entry(audit.PhotoUpload)), vault.ErrNotFound)
	})
	t.Run("one that is being ingested cannot be committed", func(t *testing.T) {
		photo, _ := s.received(t, p.ID, by.ID)
		j := s.claim(t, photo.ID)
		ready, key := s.ingested(t, photo.ID)
		_, err := del(photo)
		must(t, err)
		wantError(t, s.c.CommitPhoto(ctx, j, ready, key, s.entry(audit.PhotoIngest)), vault.ErrGone)
		wantError(t, s.c.RejectPhoto(ctx, j, "x", s.entry(audit.PhotoIngest)), vault.ErrGone)
		s.wantState(t, photo.ID, vault.Removed)
	})
	t.Run("the event must be this photo's", func(t *testing.T) {
		photo := s.declared(t, p.ID, by.ID)
		for name, ev := range map[string]*consent.Event{
			"another photo":   s.event(p.ID, consent.Deleted, string(id.New[id.Photo]())),
			"another patient": s.event(s.patient(t).ID, consent.Deleted, string(photo.ID)),
			"another kind":    s.event(p.ID, consent.Revoked, string(photo.ID)),
		} {
			if _, err := s.c.DeletePhoto(ctx, photo.ID, ev, s.entry(audit.PhotoDelete)); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		s.wantState(t, photo.ID, vault.Declared)
	})
	t.Run("unknown is not found", func(t *testing.T) {
		_, err := s.c.DeletePhoto(ctx, id.New[id.Photo](), s.event(p.ID, consent.Deleted, "x"), s.entry(audit.PhotoDelete))
		wantError(t, err, vault.ErrNotFound)
	})
}

func testObjects(t *testing.T, s *shelf) {
	ctx := t.Context()
	owner := string(id.New[id.Photo]())
	t.Run("planned objects are pending, and die only when they are old", func(t *testing.T) {
		o := s.planned(t, blobs.Photos, owner, 5)
		s.wantDead(t, owner)
		young, err := s.Catalogs.TakeDead(ctx, s.now.Add(-time.Minute), 100)
		must(t, err)
		if len(young) != 0 {
			t.Errorf("%d taken too early", len(young))
		}
		old, err := s.Catalogs.TakeDead(ctx, time.Now().Add(time.Minute), 100)
		must(t, err)
		if d := cmp.Diff([]vault.DeadObject{{Practice: s.Practice, Object: o}}, old); d != "" {
			t.Error(d)
		}
		s.wantDead(t, owner, o.ID)
	})
	t.Run("dead ones are returned until they are forgotten", func(t *testing.T) {
		list, err := s.Catalogs.TakeDead(ctx, s.now.Add(-time.Minute), 100)
		must(t, err)
		if len(list) != 1 {
			t.Fatalf("%d objects", len(list))
		}
		must(t, s.c.ForgetObject(ctx, list[0].ID))
		must(t, s.c.ForgetObject(ctx, list[0].ID))
		list, err = s.Catalogs.TakeDead(ctx, s.now.Add(-time.Minute), 100)
		must(t, err)
		if len(list) != 0 {
			t.Errorf("%d objects remain", len(list))
		}
	})
	t.Run("one that dies while it may still be put is removed now, and once more when it is old", func(t *testing.T) {
		by, _ := s.account(t, consent.Provider)
		photo, u := s.received(t, s.patient(t).ID, by.ID)
		ofPhoto, ofUpload := s.planned(t, blobs.Photos, string(photo.ID), 5), s.planned(t, blobs.Staging, string(u.ID), 5)
		_, err := s.c.DeletePhoto(ctx, photo.ID, s.event(photo.Patient, consent.Deleted, string(photo.ID)), s.entry(audit.PhotoDelete))
		must(t, err)
		listed := func(list []vault.DeadObject, err error) (n int) {
			t.Helper()
			must(t, err)
			for _, o := range list {
				if o.ID == ofPhoto.ID || o.ID == ofUpload.ID {
					n++
				}
			}
			return n
		}
		forget := func() {
			t.Helper()
			must(t, s.c.ForgetObject(ctx, ofPhoto.ID))
			must(t, s.c.ForgetObject(ctx, ofUpload.ID))
		}
		if n := listed(s.c.DeadObjects(ctx, string(photo.ID))); n != 2 {
			t.Errorf("%d of 2 are to be removed now", n)
		}
		forget()
		if n := listed(s.Catalogs.TakeDead(ctx, s.now.Add(-time.Minute), 1000)); n != 0 {
			t.Errorf("%d were dead at once", n)
		}
		if n := listed(s.Catalogs.TakeDead(ctx, time.Now().Add(time.Minute), 1000)); n != 2 {
			t.Errorf("%d of 2 are removed when they are old", n)
		}
		forget()
		if n := listed(s.c.DeadObjects(ctx, string(photo.ID))); n != 0 {
			t.Errorf("%d were not forgotten", n)
		}
		wantError(t, s.c.AddSegments(ctx, u, []vault.Segment{{Start: 0, Size: 5, Object: ofUpload.ID}}, s.now.Add(time.Hour), s.entry(audit.PhotoUpload)), vault.ErrGone)
	})
	t.Run("objects that cannot be removed do not stand in the way of others", func(t *testing.T) {
		for range 6 {
			s.planned(t, blobs.Photos, owner, 5)
		}
		seen := map[id.Object]bool{}
		for range 3 {
			list, err := s.Catalogs.TakeDead(ctx, time.Now().Add(time.Minute), 2)
			must(t, err)
			if len(list) != 2 {
				t.Fatalf("%d objects, want 2", len(list))
			}
			for _, o := range list {
				seen[o.ID] = true
			}
		}
		if len(seen) != 6 {
			t.Errorf("%d of 6 came up", len(seen))
		}
	})
	t.Run("only a dead object is forgotten", func(t *testing.T) {
		by, _ := s.account(t, consent.Provider)
		photo, _ := s.received(t, s.patient(t).ID, by.ID)
		j := s.claim(t, photo.ID)
		ready, key := s.ingested(t, photo.ID)
		for _, r := range ready.Renditions {
			must(t, s.c.ForgetObject(ctx, r.Object))
		}
		must(t, s.c.CommitPhoto(ctx, j, ready, key, s.entry(audit.PhotoIngest)))
		for _, r := range ready.Renditions {
			must(t, s.c.ForgetObject(ctx, r.Object))
		}
		_, err := s.c.DeletePhoto(ctx, photo.ID, s.event(photo.Patient, consent.Deleted, string(photo.ID)), s.entry(audit.PhotoDelete))
		must(t, err)
		list, err := s.c.DeadObjects(ctx, string(photo.ID))
		must(t, err)
		for _, r := range ready.Renditions {
			if !slices.ContainsFunc(list, func(o vault.DeadObject) bool { return o.ID == r.Object }) {
				t.Error("a live object was forgotten")
			}
		}
	})
}
