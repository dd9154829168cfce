package vaulttest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func (s *shelf) campaign(t testing.TB) *consent.Campaign {
	t.Helper()
	c := &consent.Campaign{ID: id.New[id.Campaign](), Practice: s.Practice, Version: 1, Name: "Spring", Purpose: "advertising",
		Channels: []string{"website"}, Recipients: []string{"our website"}, From: s.now.Add(-time.Hour), Until: s.now.Add(24 * time.Hour), CreatedAt: s.now}
	must(t, s.c.AddCampaign(t.Context(), c, s.entry(audit.CampaignCreate)))
	return c
}

func testCampaigns(t *testing.T, s *shelf) {
	ctx := t.Context()
	var c *consent.Campaign
	t.Run("a campaign is kept whole and writes one entry", func(t *testing.T) {
		must(t, s.logs(t, 1, func() error { c = s.campaign(t); return nil }))
		got, err := s.c.Campaign(ctx, c.ID)
		must(t, err)
		if d := cmp.Diff(c, got); d != "" {
			t.Error(d)
		}
		list, err := s.c.Campaigns(ctx)
		must(t, err)
		if d := cmp.Diff([]consent.Campaign{*c}, list); d != "" {
			t.Error(d)
		}
		wantNothingWithoutEntry(t, func(ctx context.Context) error {
			other := *c
			other.ID = id.New[id.Campaign]()
			return s.c.AddCampaign(ctx, &other, nil)
		})
	})
	t.Run("closing is the next version, once", func(t *testing.T) {
		wantNothingWithoutEntry(t, func(ctx context.Context) error {
			_, err := s.c.CloseCampaign(ctx, c.ID, nil)
			return err
		})
		closed, err := s.c.CloseCampaign(ctx, c.ID, s.entry(audit.CampaignClose))
		must(t, err)
		again, err := s.c.CloseCampaign(ctx, c.ID, s.entry(audit.CampaignClose))
		must(t, err)
		if closed.Version != 2 || closed.ClosedAt.IsZero() || again.Version != 2 || !again.ClosedAt.Equal(closed.ClosedAt) {
			t.Errorf("%+v, then %+v", closed, again)
		}
	})
	t.Run("an unknown and another practice's campaign are not found", func(t *testing.T) {
		_, err := s.c.Campaign(ctx, id.New[id.Campaign]())
		wantError(t, err, vault.ErrNotFound)
		_, err = s.Catalogs.ForPractice(s.Other).Campaign(ctx, c.ID)
		wantError(t, err, vault.ErrNotFound)
		_, err = s.Catalogs.ForPractice(s.Other).CloseCampaign(ctx, c.ID, s.entry(audit.CampaignClose))
		wantError(t, err, vault.ErrNotFound)
		foreign := *c
		foreign.ID, foreign.Practice = id.New[id.Campaign](), s.Other
		if err := s.c.AddCampaign(ctx, &foreign, s.entry(audit.CampaignCreate)); err == nil {
			t.Error("another practice's campaign was added")
		}
	})
	t.Run("a patient may begin with who treats them", func(t *testing.T) {
		by, _ := s.account(t, consent.Provider)
		s.n++
		p := &vault.Patient{ID: id.New[id.Patient](), Practice: s.Practice, RecordNumber: "begins-" + string(by.ID), CreatedAt: s.now}
		ev := s.event(p.ID, consent.Assigned, string(by.ID))
		must(t, s.logs(t, 1, func() error { return s.c.AddPatient(ctx, p, ev, s.entry(audit.PatientCreate)) }))
		r, err := s.c.Record(ctx, p.ID)
		must(t, err)
		if d := cmp.Diff(&consent.Record{Practice: s.Practice, Patient: p.ID, Epoch: 1, Events: []consent.Event{*ev}}, r); d != "" {
			t.Error(d)
		}
		patient, found, err := s.c.Event(ctx, ev.ID)
		must(t, err)
		if patient != p.ID || !cmp.Equal(found, ev) {
			t.Errorf("event of %s: %+v", patient, found)
		}
		_, _, err = s.c.Event(ctx, id.New[id.Event]())
		wantError(t, err, vault.ErrNotFound)
	})
	t.Run("the first photo of a set makes it, whoever adds more", func(t *testing.T) {
		p := s.patient(t)
		first, _ := s.account(t, consent.Provider)
		second, _ := s.account(t, consent.Provider)
		set := id.New[id.Set]()
		for _, by := range []id.Account{first.ID, second.ID} {
			photo, grant := s.newPhoto(p.ID, by)
			photo.Set = set
			out, err := s.c.DeclarePhoto(ctx, photo, grant, s.entry(audit.PhotoDeclare))
			must(t, err)
			if out.SetBy != first.ID || out.DeclaredBy != by {
				t.Errorf("set by %s, declared by %s", out.SetBy, out.DeclaredBy)
			}
		}
	})
}
