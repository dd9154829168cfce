package catalog

import (
	"context"
	"errors"
	"strings"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// aftermath does, in the transaction that added p to the record r, what follows:
// it raises the alert of an emergency, and for releases that were made it opens
// takedowns and asks for reviews. The
// record's head is locked, and every release is fenced on it, so that none is
// missed. e is the entry of what is being done; those written here name the
// same actor.
func (c *practice) aftermath(ctx context.Context, tx querier, k *practiceKeys, r *consent.Record, p *permission, e *audit.Entry) ([]sighting, error) {
	if ev := p.Event; ev != nil && ev.Kind == consent.Emergency {
		n := vault.Notice{Kind: vault.EmergencyOpened, Event: ev.ID, Patient: ev.Patient, Account: id.Account(ev.Subject)}
		return nil, c.notify(ctx, tx, k, n, e, vault.ForAlerts)
	}
	if !r.Withdraws(p.row()) {
		return nil, nil
	}
	made, err := c.marketed(ctx, tx, k, r.Patient)
	if err != nil || len(made) == 0 {
		return nil, err
	}
	if err := c.openTakedowns(ctx, tx, k, r, made, e); err != nil {
		return nil, err
	}
	return c.question(ctx, tx, k, r, made, e)
}

// row is the one of the three that p is.
func (p *permission) row() any {
	switch {
	case p.Clinical != nil:
		return p.Clinical
	case p.Authorization != nil:
		return p.Authorization
	default:
		return p.Event
	}
}

// marketed returns the patient's releases for marketing.
func (c *practice) marketed(ctx context.Context, tx querier, k *practiceKeys, p id.Patient) ([]consent.Released, error) {
	var all consent.Ledger
	err := c.patientAudit(ctx, func() querier { return tx }, k, p, func(r audit.Record) error {
		e, err := audit.Decode(r.Encoded)
		if err == nil && e.Purpose == string(consent.ForMarketing) {
			all.Add(e)
		}
		return err
	})
	return all.Released(), err
}

func (c *practice) openTakedowns(ctx context.Context, tx querier, k *practiceKeys, r *consent.Record, made []consent.Released, e *audit.Entry) error {
	open := map[id.Entry]bool{} // or was: a release comes down once
	err := tx.each(ctx, `SELECT release_id FROM takedown WHERE practice = $1 AND patient = $2`, []any{c.p, r.Patient}, func(scan scanner) error {
		var release id.Entry
		err := scan(&release)
		open[release] = true
		return err
	})
	if err != nil {
		return err
	}
	photos, campaigns, err := c.subjects(ctx, tx, k, r.Patient, made)
	if err != nil {
		return err
	}
	now := c.d.now()
	for i := range made {
		rel := &made[i]
		why := r.Withdrawn(rel, photos[rel.Photo], campaigns[rel.Campaign], now)
		if why == nil || open[rel.Entry] {
			continue
		}
		t := &consent.Takedown{ID: id.New[id.Takedown](), Practice: c.p, Patient: r.Patient, Version: 1, State: consent.TakedownOpen,
			Release: rel.Entry, ReleasedAt: rel.At, Photo: rel.Photo, Rendition: rel.Rendition, Recipient: rel.Recipient, Channel: rel.Channel,
			Campaign: rel.Campaign, Authorization: rel.Authorization, Why: why.Refusal, Cause: why.Cause, OpenedAt: now, DueAt: now.Add(c.d.options.TakedownDue)}
		if err := c.addTakedown(ctx, tx, k, t); err != nil {
			return err
		}
		entry := vault.TakedownEntry(t, e, audit.TakedownOpen)
		if err := c.notify(ctx, tx, k, ofTakedown(vault.TakedownOpened, t), entry, vault.ForMarketing); err != nil {
			return err
		}
		if err := c.d.audit(ctx, tx, k, entry); err != nil {
			return err
		}
	}
	return nil
}

// subjects reads the photos and campaigns of the releases.
func (c *practice) subjects(ctx context.Context, tx querier, k *practiceKeys, p id.Patient, made []consent.Released) (map[id.Photo]*consent.Photo, map[id.Campaign]*consent.Campaign, error) {
	list, err := c.photosOf(ctx, tx, k, p)
	if err != nil {
		return nil, nil, err
	}
	photos, campaigns := map[id.Photo]*consent.Photo{}, map[id.Campaign]*consent.Campaign{}
	for _, photo := range list {
		one := photo.Subject()
		photos[photo.ID] = &one
	}
	for _, rel := range made {
		if _, read := campaigns[rel.Campaign]; read {
			continue
		}
		ca, err := c.campaign(ctx, tx, k, rel.Campaign, "")
		if err != nil && !errors.Is(err, vault.ErrNotFound) {
			return nil, nil, err
		}
		campaigns[rel.Campaign] = ca // nil: nothing covers the release
	}
	return photos, campaigns, nil
}

// question appends, for each record that shows releases not to have been
// allowed, the event that a review is owed.
func (c *practice) question(ctx context.Context, tx querier, k *practiceKeys, r *consent.Record, made []consent.Released, e *audit.Entry) (now []sighting, err error) {
	for i := range made {
		for _, flaw := range r.Flaws(&made[i]) {
			_, cause, _ := strings.Cut(flaw.Cause, "/")
			if hasEvent(r, consent.Questioned, cause) {
				continue
			}
			at := c.d.now()
			ev := &consent.Event{ID: id.New[id.Event](), Practice: c.p, Patient: r.Patient, Kind: consent.Questioned, Subject: cause,
				ReceivedAt: at, EnteredAt: at, EnteredBy: e.Actor, Reason: flaw.Code}
			if now, err = c.appendTo(ctx, tx, k, r, &permission{Kind: kindEvent, Event: ev}); err != nil {
				return nil, err
			}
			entry := &audit.Entry{Actor: e.Actor, Role: e.Role, Source: e.Source, Action: audit.RecordEvent, Outcome: audit.Allowed,
				Reason: string(consent.Questioned), Patient: r.Patient, Subject: cause, Records: []string{"event/" + string(ev.ID), flaw.Cause}}
			n := vault.Notice{Kind: vault.ReviewOwed, Event: ev.ID, Patient: r.Patient, Reason: flaw.Code}
			if err := c.notify(ctx, tx, k, n, entry, vault.ForAlerts); err != nil {
				return nil, err
			}
			if err := c.d.audit(ctx, tx, k, entry); err != nil {
				return nil, err
			}
		}
	}
	return now, nil
}
