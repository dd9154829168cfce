package vault

import (
	"context"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// open decides whether who may do act on a patient's record, or on one photo of
// it, which is nil otherwise. A refusal is written to the log. Errors:
// ErrDenied, ErrNotFound.
func (s *Service) open(ctx context.Context, who consent.Principal, act consent.Act, p id.Patient, photo *Photo, e *audit.Entry) error {
	if err := s.allow(ctx, who, act, e); err != nil {
		return err
	}
	if who.Role != consent.Provider {
		return nil // no relation is asked for: spare the reading
	}
	record, err := s.Catalogs.ForPractice(who.Practice).Record(ctx, p)
	if err != nil {
		return s.failed(ctx, who, e, err)
	}
	var subject *consent.Photo
	if photo != nil {
		one := photo.Subject()
		subject = &one
	}
	d := consent.DecideAccess(s.now(), who, act, record, subject)
	if !d.Allowed {
		return s.deny(ctx, who, e, d.Refusals...)
	}
	e.Records = d.Basis
	return nil
}

// own keeps the photos that a provider sees; all for everybody else.
func (s *Service) own(ctx context.Context, who consent.Principal, act consent.Act, p id.Patient, list []*Photo, e *audit.Entry) ([]*Photo, error) {
	if who.Role != consent.Provider {
		return list, nil
	}
	record, err := s.Catalogs.ForPractice(who.Practice).Record(ctx, p)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	now, out := s.now(), []*Photo{}
	var last consent.Decision
	if last = consent.DecideAccess(now, who, act, record, nil); last.Allowed {
		return list, nil
	}
	for _, photo := range list {
		subject := photo.Subject()
		if d := consent.DecideAccess(now, who, act, record, &subject); d.Allowed {
			out = append(out, photo)
		}
	}
	if len(out) == 0 {
		return nil, s.deny(ctx, who, e, last.Refusals...)
	}
	return out, nil
}
