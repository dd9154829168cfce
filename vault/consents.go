package vault

import (
	"context"
	"errors"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// RecordClinical records a signed clinical consent. ID, Practice, RecordedAt
// and RecordedBy of c are set here. Errors: ErrDenied, ErrInvalid, ErrNotFound.
func (s *Service) RecordClinical(ctx context.Context, who consent.Principal, c consent.Clinical) (*consent.Clinical, error) {
	e := entry(who, audit.ConsentRecord, audit.Allowed)
	e.Patient = c.Patient
	if err := s.allow(ctx, who, consent.RecordConsent, e); err != nil {
		return nil, err
	}
	now := s.now()
	c.ID, c.Practice, c.RecordedAt, c.RecordedBy = id.New[id.Consent](), who.Practice, now, who.Account
	if d := c.Defects(now); d != nil {
		return nil, s.failed(ctx, who, e, &InvalidError{Code: "consent_incomplete", Defects: d})
	}
	e.Subject = string(c.ID)
	if err := s.Catalogs.ForPractice(who.Practice).AddClinical(ctx, &c, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	return &c, nil
}

// RecordAuthorization records a marketing authorization, complete or not at
// all: what 164.508(c) asks for and is missing is named with its paragraph.
// Errors: ErrDenied, InvalidError authorization_incomplete, ErrNotFound.
func (s *Service) RecordAuthorization(ctx context.Context, who consent.Principal, a consent.Authorization) (*consent.Authorization, error) {
	e := entry(who, audit.AuthorizeRecord, audit.Allowed)
	e.Patient = a.Patient
	if err := s.allow(ctx, who, consent.RecordConsent, e); err != nil {
		return nil, err
	}
	now := s.now()
	a.ID, a.Practice, a.RecordedAt, a.RecordedBy = id.New[id.Authorization](), who.Practice, now, who.Account
	if d := a.Defects(now); d != nil {
		return nil, s.failed(ctx, who, e, &InvalidError{Code: "authorization_incomplete", Defects: d})
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	for _, p := range a.Scope.Photos {
		photo, err := catalog.Photo(ctx, p)
		if err == nil && photo.Patient != a.Patient || errors.Is(err, ErrNotFound) {
			err = invalid("scope.photos", "The authorization names a photo that is not this patient's.")
		}
		if err != nil {
			return nil, s.failed(ctx, who, e, err)
		}
	}
	e.Subject = string(a.ID)
	if err := catalog.AddAuthorization(ctx, &a, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	return &a, nil
}

// Revoke ends a consent or authorization from this moment on: a release that
// begins after Revoke has returned finds it. received is when the practice was
// told, in writing (164.508(b)(5)); the zero time means now. With kind Expired it records
// that an authorization's expiry event has happened.
// Errors: ErrDenied, ErrInvalid, ErrNotFound, ConflictError already_revoked.
func (s *Service) Revoke(ctx context.Context, who consent.Principal, subject string, kind consent.EventKind, received time.Time) (*consent.Event, error) {
	e := entry(who, audit.ConsentRevoke, audit.Allowed)
	e.Subject, e.Reason = subject, string(kind)
	if err := s.allow(ctx, who, consent.RevokeConsent, e); err != nil {
		return nil, err
	}
	now := s.now()
	if received.IsZero() {
		received = now
	}
	if received.After(now) || kind != consent.Revoked && kind != consent.Expired {
		return nil, s.failed(ctx, who, e, invalid("received_at", "A revocation cannot be received in the future."))
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	patient, err := catalog.PatientOf(ctx, subject)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	e.Patient = patient
	ev := &consent.Event{ID: id.New[id.Event](), Practice: who.Practice, Patient: patient, Kind: kind, Subject: subject,
		ReceivedAt: received, EnteredAt: now, EnteredBy: who.Account}
	if err := catalog.AddEvent(ctx, ev, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	s.streams.recheck()
	return ev, nil
}

// Record returns a patient's consents, authorizations and events.
// Errors: ErrDenied, ErrNotFound.
func (s *Service) Record(ctx context.Context, who consent.Principal, p id.Patient) (*consent.Record, error) {
	e := entry(who, audit.ConsentList, audit.Allowed)
	e.Patient = p
	if err := s.allow(ctx, who, consent.ListConsents, e); err != nil {
		return nil, err
	}
	r, err := s.Catalogs.ForPractice(who.Practice).Record(ctx, p)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	return r, s.log(ctx, who, e)
}

// failed writes down an attempt that came to nothing, and returns err.
func (s *Service) failed(ctx context.Context, who consent.Principal, e *audit.Entry, err error) error {
	e.Outcome, e.Reason = audit.Failed, Code(err)
	return errors.Join(err, s.log(ctx, who, e))
}
