package vault

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// Takedowns lists what must come down, the overdue first and then by when it
// is due; all adds what was confirmed. Errors: ErrDenied.
func (s *Service) Takedowns(ctx context.Context, who consent.Principal, all bool) ([]consent.Takedown, error) {
	e := entry(who, audit.TakedownList, audit.Allowed)
	if err := s.allow(ctx, who, consent.SeeTakedowns, e); err != nil {
		return nil, err
	}
	list, err := s.Catalogs.ForPractice(who.Practice).Takedowns(ctx)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	if !all {
		list = slices.DeleteFunc(list, func(t consent.Takedown) bool { return t.State == consent.TakedownConfirmed })
	}
	now := s.now()
	rank := func(t *consent.Takedown) int {
		switch {
		case t.Overdue(now):
			return 0
		case t.State != consent.TakedownConfirmed:
			return 1
		}
		return 2
	}
	slices.SortFunc(list, func(a, b consent.Takedown) int {
		return cmp.Or(rank(&a)-rank(&b), a.DueAt.Compare(b.DueAt), cmp.Compare(a.ID, b.ID))
	})
	return list, s.log(ctx, who, e)
}

// MarketingView is what marketing may use now, and what must come down.
// Errors: ErrDenied.
func (s *Service) MarketingView(ctx context.Context, who consent.Principal) ([]UsablePhoto, []consent.Takedown, error) {
	usable, err := s.Usable(ctx, who)
	if err != nil {
		return nil, nil, err
	}
	down, err := s.Takedowns(ctx, who, false)
	return usable, down, err
}

// Takedown returns one with its confirmations. Errors: ErrDenied, ErrNotFound.
func (s *Service) Takedown(ctx context.Context, who consent.Principal, t id.Takedown) (*consent.Takedown, error) {
	e := entry(who, audit.TakedownList, audit.Allowed)
	e.Subject = string(t)
	if err := s.allow(ctx, who, consent.SeeTakedowns, e); err != nil {
		return nil, err
	}
	found, err := s.Catalogs.ForPractice(who.Practice).Takedown(ctx, t)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	e.Patient, e.Photo = found.Patient, found.Photo
	return found, s.log(ctx, who, e)
}

// ConfirmTakedown records that it came down, and on what evidence. A later
// confirmation adds to earlier ones and changes none. Practice, By, At and N of
// c are set here. Errors: ErrDenied, ErrNotFound, InvalidError.
func (s *Service) ConfirmTakedown(ctx context.Context, who consent.Principal, c consent.Confirmation) (*consent.Takedown, error) {
	e := entry(who, audit.TakedownConfirm, audit.Allowed)
	e.Subject = string(c.Takedown)
	if err := s.allow(ctx, who, consent.ConfirmTakedown, e); err != nil {
		return nil, err
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	t, err := catalog.Takedown(ctx, c.Takedown)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	e = TakedownEntry(t, e, audit.TakedownConfirm)
	now := s.now()
	c.Practice, c.By, c.At, c.TakenDownAt = who.Practice, who.Account, now, or(c.TakenDownAt, now)
	if d := c.Defects(t, now); d != nil {
		return nil, s.failed(ctx, who, e, &InvalidError{Code: "confirmation_incomplete", Defects: d})
	}
	t, err = catalog.ConfirmTakedown(ctx, &c, e)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	s.wakeTellers()
	return t, nil
}

// TakedownEntry is the audit entry of something that by's actor did to a takedown.
func TakedownEntry(t *consent.Takedown, by *audit.Entry, a audit.Action) *audit.Entry {
	return &audit.Entry{Actor: by.Actor, Role: by.Role, Source: by.Source, Action: a, Outcome: audit.Allowed, Reason: t.Why.Code,
		Patient: t.Patient, Photo: t.Photo, Rendition: t.Rendition, Purpose: string(consent.ForMarketing), Recipient: t.Recipient, Channel: t.Channel,
		Subject: string(t.ID), Records: []string{"entry/" + string(t.Release), "authorization/" + string(t.Authorization), t.Cause}}
}

// SweepTakedowns enters, for every authorization whose date has come, that it
// expired, which opens its takedowns; and escalates those that are overdue.
// Any replica may do it; each thing happens once.
func (s *Service) SweepTakedowns(ctx context.Context) error {
	return s.practices(ctx, s.sweepTakedowns)
}

func (s *Service) sweepTakedowns(ctx context.Context, p id.Practice) error {
	catalog := s.Catalogs.ForPractice(p)
	patients, errs := catalog.Authorized(ctx)
	for _, patient := range patients {
		record, err := catalog.Record(ctx, patient)
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		for _, a := range record.Lapsed(s.now()) {
			errs = errors.Join(errs, s.lapse(ctx, catalog, a))
		}
	}
	overdue, err := catalog.Overdue(ctx, s.now())
	errs = errors.Join(errs, err)
	for i := range overdue {
		errs = errors.Join(errs, s.escalate(ctx, catalog, &overdue[i]))
	}
	return errs
}

// lapse enters that an authorization expired on its date.
func (s *Service) lapse(ctx context.Context, catalog Catalog, a *consent.Authorization) error {
	ev := &consent.Event{ID: id.New[id.Event](), Practice: a.Practice, Patient: a.Patient, Kind: consent.Expired, Subject: string(a.ID),
		ReceivedAt: a.ExpiresAt.UTC().Truncate(time.Millisecond), EnteredAt: s.now()}
	e := &audit.Entry{Action: audit.ConsentRevoke, Outcome: audit.Allowed, Reason: string(consent.Expired), Patient: a.Patient,
		Subject: string(a.ID), Records: []string{"event/" + string(ev.ID)}}
	err := catalog.AddEvent(ctx, ev, e)
	s.wakeTellers()
	if errors.Is(err, ErrConflict) { // another replica, or a person, was first
		return nil
	}
	return err
}

func (s *Service) escalate(ctx context.Context, catalog Catalog, t *consent.Takedown) error {
	switch err := catalog.EscalateTakedown(ctx, t.ID, TakedownEntry(t, &audit.Entry{}, audit.TakedownOverdue)); {
	case errors.Is(err, ErrGone):
		return nil
	case err != nil:
		return err
	}
	s.wakeTellers()
	s.Logger.Error("ALERT: a takedown is overdue", "takedown", t.ID, "photo", t.Photo, "due", t.DueAt)
	return nil
}
