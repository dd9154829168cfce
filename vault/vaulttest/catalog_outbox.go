package vaulttest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func testOutbox(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Provider)
	soon := func() time.Time { return time.Now().Add(time.Minute) }
	claim := func(t *testing.T, to vault.Audience) *vault.Outgoing {
		t.Helper()
		o, err := s.Catalogs.ClaimNotice(ctx, to, soon(), time.Minute)
		must(t, err)
		return o
	}
	t.Run("nothing is due at first", func(t *testing.T) {
		for _, to := range []vault.Audience{vault.ForMarketing, vault.ForAlerts} {
			if o := claim(t, to); o != nil {
				t.Errorf("%+v", o)
			}
		}
	})
	var first *vault.Outgoing
	t.Run("a takedown tells marketing, and names no patient", func(t *testing.T) {
		task := s.takenDown(t, by.ID, s.campaign(t))
		first = claim(t, vault.ForMarketing)
		if first == nil {
			t.Fatal("no message")
		}
		want := vault.Notice{ID: first.ID, Practice: s.Practice, For: vault.ForMarketing, Kind: vault.TakedownOpened, At: first.At, Reason: "authorization_revoked",
			Takedown: task.ID, Photo: task.Photo, Rendition: "web", Recipient: "our website", Channel: "website", Campaign: task.Campaign, DueAt: task.DueAt}
		if d := cmp.Diff(want, first.Notice); d != "" || first.Attempts != 1 {
			t.Error(first.Attempts, d)
		}
		body, err := first.Body()
		must(t, err)
		for _, never := range []string{string(task.Patient), "MRN", "Somebody", `"patient"`} {
			if strings.Contains(string(body), never) {
				t.Errorf("%s is in %s", never, body)
			}
		}
		second := claim(t, vault.ForMarketing)
		if second == nil || second.Kind != vault.TakedownConfirmed || second.ID == first.ID {
			t.Fatalf("%+v", second)
		}
		if third := claim(t, vault.ForMarketing); third != nil {
			t.Errorf("one under lease was given out again: %+v", third)
		}
		must(t, s.logs(t, 1, func() error { return s.c.EndNotice(ctx, second, s.entry(audit.NoticeDeliver)) }))
		wantError(t, s.logs(t, 0, func() error { return s.c.EndNotice(ctx, second, s.entry(audit.NoticeDeliver)) }), vault.ErrGone)
	})
	t.Run("one that was not taken is due again when it is said", func(t *testing.T) {
		must(t, s.c.RetryNotice(ctx, first, soon().Add(time.Hour)))
		if o := claim(t, vault.ForMarketing); o != nil {
			t.Errorf("too early: %+v", o)
		}
		o, err := s.Catalogs.ClaimNotice(ctx, vault.ForMarketing, soon().Add(2*time.Hour), time.Minute)
		must(t, err)
		if o == nil || o.Attempts != 2 || !cmp.Equal(o.Notice, first.Notice) {
			t.Fatalf("%+v", o)
		}
		wantError(t, s.c.RetryNotice(ctx, first, soon()), vault.ErrGone)
		wantError(t, s.c.EndNotice(ctx, first, s.entry(audit.NoticeDeliver)), vault.ErrGone)
		again, err := s.Catalogs.ClaimNotice(ctx, vault.ForMarketing, soon().Add(3*time.Hour), time.Minute) // its lease ran out
		must(t, err)
		if again == nil || again.Attempts != 3 {
			t.Fatalf("%+v", again)
		}
		wantError(t, s.c.EndNotice(ctx, o, s.entry(audit.NoticeDeliver)), vault.ErrGone)
		if err := s.Catalogs.ForPractice(s.Other).EndNotice(ctx, again, s.entry(audit.NoticeDeliver)); err == nil {
			t.Error("another practice ended it")
		}
		if err := s.c.EndNotice(ctx, again, nil); err == nil {
			t.Error("it ended without an entry")
		}
		must(t, s.c.EndNotice(ctx, again, s.entry(audit.NoticeDeliver)))
	})
	t.Run("an emergency raises an alert in its transaction", func(t *testing.T) {
		p := s.patient(t)
		ev := s.event(p.ID, consent.Emergency, string(by.ID))
		ev.Reason = "bleeding"
		must(t, s.c.AddEvent(ctx, ev, s.entry(audit.RecordEvent)))
		o := claim(t, vault.ForAlerts)
		want := vault.Notice{ID: o.ID, Practice: s.Practice, For: vault.ForAlerts, Kind: vault.EmergencyOpened, At: o.At, Event: ev.ID, Patient: p.ID, Account: id.Account(ev.Subject)}
		if d := cmp.Diff(want, o.Notice); d != "" {
			t.Error(d)
		}
		incomplete := s.event(p.ID, consent.Emergency, string(by.ID))
		wantError(t, s.c.AddEvent(ctx, incomplete, s.entry(audit.RecordEvent)), vault.ErrInvalid)
		if o := claim(t, vault.ForAlerts); o != nil {
			t.Errorf("what was refused raised an alert: %+v", o)
		}
	})
}
