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
	"photovault/vault/id"
)

// marketed releases the photo for marketing once and returns the entry's id.
func (s *shelf) marketed(t testing.TB, photo *vault.Photo, by id.Account, a *consent.Authorization, c *consent.Campaign, recipient string) *consent.Released {
	t.Helper()
	k := s.token(t, photo, by, func(k *consent.Token) {
		k.Purpose, k.Recipient, k.Channel, k.Campaign = consent.ForMarketing, recipient, "website", c.ID
	})
	r, err := s.c.Record(t.Context(), photo.Patient)
	must(t, err)
	accounts, err := s.c.ListAccounts(t.Context())
	must(t, err)
	i := slices.IndexFunc(accounts, func(a *vault.Account) bool { return a.ID == by })
	e := &audit.Entry{Actor: by, Role: string(consent.Marketing), Action: audit.Release, Outcome: audit.Intent, Patient: photo.Patient, Photo: photo.ID,
		Rendition: "web", Purpose: string(consent.ForMarketing), Recipient: recipient, Channel: "website", Subject: string(k.ID), Use: 1,
		Records: []string{"rule/164.508(a)(3)", "authorization/" + string(a.ID), c.Basis()}}
	ok, err := s.c.CommitUse(t.Context(), consent.Fence{Patient: photo.Patient, Epoch: r.Epoch, Account: by, Version: accounts[i].Version},
		consent.Use{Practice: s.Practice, Token: k.ID, N: 1}, e)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	var l consent.Ledger
	must(t, s.c.PatientAudit(t.Context(), photo.Patient, func(r audit.Record) error {
		e, err := audit.Decode(r.Encoded)
		if err == nil {
			l.Add(e)
		}
		return err
	}))
	made := l.Released()
	return &made[len(made)-1]
}

// takenDown makes a patient whose photo was marketed, whose authorization was
// revoked, and whose takedown was confirmed.
func (s *shelf) takenDown(t testing.TB, by id.Account, c *consent.Campaign) *consent.Takedown {
	t.Helper()
	p := s.patient(t)
	a := s.authorization(t, p.ID)
	rel := s.marketed(t, s.ready(t, p.ID, by), by, a, c, "our website")
	ev := s.event(p.ID, consent.Revoked, string(a.ID))
	revoke := s.entry(audit.ConsentRevoke)
	revoke.Patient, revoke.Subject, revoke.Records = p.ID, string(a.ID), []string{"event/" + string(ev.ID)}
	must(t, s.c.AddEvent(t.Context(), ev, revoke))
	list, err := s.c.Takedowns(t.Context())
	must(t, err)
	i := slices.IndexFunc(list, func(t consent.Takedown) bool { return t.Release == rel.Entry })
	if i < 0 {
		t.Fatal("no takedown opened")
	}
	confirm := s.entry(audit.TakedownConfirm)
	confirm.Subject = string(list[i].ID)
	done, err := s.c.ConfirmTakedown(t.Context(), &consent.Confirmation{Practice: s.Practice, Takedown: list[i].ID, By: by, At: s.now, TakenDownAt: s.now, Text: "gone"}, confirm)
	must(t, err)
	return done
}

func testTakedowns(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Marketing)
	c := s.campaign(t)
	p := s.patient(t)
	a := s.authorization(t, p.ID)
	photo, other := s.ready(t, p.ID, by.ID), s.ready(t, p.ID, by.ID)
	first, second := s.marketed(t, photo, by.ID, a, c, "our website"), s.marketed(t, other, by.ID, a, c, "our website")
	of := func(t *testing.T, release id.Entry) *consent.Takedown {
		t.Helper()
		list, err := s.c.Takedowns(ctx)
		must(t, err)
		var found *consent.Takedown
		for i := range list {
			if list[i].Release == release {
				if found != nil {
					t.Error("two takedowns of one release")
				}
				found = &list[i]
			}
		}
		return found
	}
	t.Run("what does not end the basis opens none, and writes one entry", func(t *testing.T) {
		must(t, s.logs(t, 1, func() error {
			return s.c.AddEvent(ctx, s.restriction(p.ID, string(photo.ID), consent.ForTeaching), s.entry(audit.RecordEvent))
		}))
		if list, err := s.c.Takedowns(ctx); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
	t.Run("a restriction opens one for its photo, with the event and one entry more", func(t *testing.T) {
		ev := s.restriction(p.ID, string(photo.ID), consent.ForMarketing)
		must(t, s.logs(t, 2, func() error { return s.c.AddEvent(ctx, ev, s.entry(audit.RecordEvent)) }))
		got := of(t, first.Entry)
		if got == nil || of(t, second.Entry) != nil {
			t.Fatal("the takedowns are not those of the photo")
		}
		want := &consent.Takedown{ID: got.ID, Practice: s.Practice, Patient: p.ID, Version: 1, State: consent.TakedownOpen, Release: first.Entry,
			ReleasedAt: first.At, Photo: photo.ID, Rendition: "web", Recipient: "our website", Channel: "website", Campaign: c.ID, Authorization: a.ID,
			Why: got.Why, Cause: "event/" + string(ev.ID), OpenedAt: got.OpenedAt, DueAt: got.OpenedAt.Add(72 * time.Hour)}
		if d := cmp.Diff(want, got); d != "" || got.Why.Code != "photo_restricted" {
			t.Error(got.Why, d)
		}
	})
	t.Run("a revocation opens those that are not open", func(t *testing.T) {
		must(t, s.logs(t, 2, func() error {
			return s.c.AddEvent(ctx, s.event(p.ID, consent.Revoked, string(a.ID)), s.entry(audit.ConsentRevoke))
		}))
		if got := of(t, second.Entry); got == nil || got.Why.Code != "authorization_revoked" {
			t.Errorf("%+v", got)
		}
	})
	task := of(t, second.Entry)
	t.Run("one is overdue from its day on, and escalated once", func(t *testing.T) {
		for at, want := range map[time.Time]int{task.DueAt.Add(-time.Millisecond): 0, task.DueAt: 2} {
			list, err := s.c.Overdue(ctx, at)
			must(t, err)
			if n := len(list); at.Before(task.DueAt) && n > 1 || !at.Before(task.DueAt) && n != want {
				t.Errorf("at %v: %d are overdue", at, n)
			}
		}
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.EscalateTakedown(ctx, task.ID, nil) })
		must(t, s.logs(t, 1, func() error { return s.c.EscalateTakedown(ctx, task.ID, s.entry(audit.TakedownOverdue)) }))
		err := s.logs(t, 0, func() error { return s.c.EscalateTakedown(ctx, task.ID, s.entry(audit.TakedownOverdue)) })
		wantError(t, err, vault.ErrGone)
		if got := of(t, second.Entry); got.State != consent.TakedownOverdue || got.EscalatedAt.IsZero() || got.Version != 2 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("confirmations are appended and numbered", func(t *testing.T) {
		wantNothingWithoutEntry(t, func(ctx context.Context) error {
			_, err := s.c.ConfirmTakedown(ctx, &consent.Confirmation{Practice: s.Practice, Takedown: task.ID}, nil)
			return err
		})
		var want []consent.Confirmation
		for n, text := range []string{"taken off the page", "and out of the archive"} {
			co := consent.Confirmation{Practice: s.Practice, Takedown: task.ID, By: by.ID, At: s.now, TakenDownAt: s.now, Text: text}
			var got *consent.Takedown
			must(t, s.logs(t, 1, func() (err error) {
				got, err = s.c.ConfirmTakedown(ctx, &co, s.entry(audit.TakedownConfirm))
				return err
			}))
			co.N = n + 1
			want = append(want, co)
			if d := cmp.Diff(want, got.Confirmations); d != "" || got.State != consent.TakedownConfirmed || got.Confirmed != n+1 {
				t.Error(got.State, d)
			}
		}
		err := s.logs(t, 0, func() error { return s.c.EscalateTakedown(ctx, task.ID, s.entry(audit.TakedownOverdue)) })
		wantError(t, err, vault.ErrGone)
	})
	t.Run("deleting a photo opens those of its releases", func(t *testing.T) {
		p := s.patient(t)
		a := s.authorization(t, p.ID)
		photo := s.ready(t, p.ID, by.ID)
		rel := s.marketed(t, photo, by.ID, a, c, "our website")
		ev := s.event(p.ID, consent.Deleted, string(photo.ID))
		_, err := s.c.DeletePhoto(ctx, photo.ID, ev, s.entry(audit.PhotoDelete))
		must(t, err)
		if got := of(t, rel.Entry); got == nil || got.Why.Code != "photo_deleted" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("one that superseded without covering opens them, one that covers none", func(t *testing.T) {
		p := s.patient(t)
		a := s.authorization(t, p.ID)
		rel := s.marketed(t, s.ready(t, p.ID, by.ID), by.ID, a, c, "our website")
		covering := *a
		covering.ID, covering.Supersedes = id.New[id.Authorization](), a.ID
		must(t, s.c.AddAuthorization(ctx, &covering, s.entry(audit.AuthorizeRecord)))
		if got := of(t, rel.Entry); got != nil {
			t.Errorf("covered: %+v", got)
		}
		narrow := covering
		narrow.ID, narrow.Supersedes, narrow.Recipients = id.New[id.Authorization](), covering.ID, []string{"somebody else"}
		must(t, s.c.AddAuthorization(ctx, &narrow, s.entry(audit.AuthorizeRecord)))
		if got := of(t, rel.Entry); got == nil || got.Why.Code != "authorization_superseded" {
			t.Errorf("not covered: %+v", got)
		}
	})
	t.Run("what was known before a release asks for a review, once", func(t *testing.T) {
		p := s.patient(t)
		a := s.authorization(t, p.ID)
		photo := s.ready(t, p.ID, by.ID)
		s.marketed(t, photo, by.ID, a, c, "our website")
		s.marketed(t, photo, by.ID, a, c, "our website")
		ev := s.event(p.ID, consent.Revoked, string(a.ID))
		ev.ReceivedAt, ev.EnteredAt = s.now.Add(-time.Hour), time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
		must(t, s.logs(t, 4, func() error { return s.c.AddEvent(ctx, ev, s.entry(audit.ConsentRevoke)) }))
		r, err := s.c.Record(ctx, p.ID)
		must(t, err)
		owed := r.Owed()
		if len(owed) != 1 || owed[0].Kind != consent.Questioned || owed[0].Subject != string(ev.ID) || owed[0].Reason != "authorization_revoked" {
			t.Errorf("%+v", owed)
		}
		must(t, s.c.AddEvent(ctx, s.restriction(p.ID, string(p.ID), consent.ForMarketing), s.entry(audit.RecordEvent)))
		must(t, s.c.AddEvent(ctx, s.event(p.ID, consent.Reviewed, string(owed[0].ID)), s.entry(audit.RecordEvent)))
		if r, err = s.c.Record(ctx, p.ID); err != nil || len(r.Owed()) != 0 || r.Epoch != 5 {
			t.Errorf("%+v at epoch %d, %v", r.Owed(), r.Epoch, err)
		}
		if s.c.AddEvent(ctx, s.event(p.ID, consent.Questioned, string(a.ID)), s.entry(audit.RecordEvent)) == nil {
			t.Error("somebody entered that a review is owed")
		}
	})
}

func (s *shelf) restriction(p id.Patient, subject string, of consent.Purpose) *consent.Event {
	ev := s.event(p, consent.Restricted, subject)
	ev.Purposes, ev.Reason = []consent.Purpose{of}, "asked"
	return ev
}

func testTakedownsApart(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Marketing)
	mine := s.takenDown(t, by.ID, s.campaign(t))
	other := s.Catalogs.ForPractice(s.Other)
	_, err := other.Takedown(ctx, mine.ID)
	wantError(t, err, vault.ErrNotFound)
	_, err = other.ConfirmTakedown(ctx, &consent.Confirmation{Practice: s.Other, Takedown: mine.ID}, s.entry(audit.TakedownConfirm))
	wantError(t, err, vault.ErrNotFound)
	wantError(t, other.EscalateTakedown(ctx, mine.ID, s.entry(audit.TakedownOverdue)), vault.ErrNotFound)
	if list, err := other.Takedowns(ctx); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := s.c.ConfirmTakedown(ctx, &consent.Confirmation{Practice: s.Other, Takedown: mine.ID}, s.entry(audit.TakedownConfirm)); err == nil {
		t.Error("another practice's confirmation was taken")
	}
	_, err = s.c.Takedown(ctx, id.New[id.Takedown]())
	wantError(t, err, vault.ErrNotFound)
	got, err := s.c.Takedown(ctx, mine.ID)
	must(t, err)
	if d := cmp.Diff(mine, got); d != "" {
		t.Error(d)
	}
}
