package vault

import (
	"context"
	"errors"
	"slices"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// RecordClinical records a signed clinical consent. ID, Practice, RecordedAt
// and RecordedBy of c are set here. Errors: ErrDenied, ErrInvalid, ErrNotFound.
func (s *Service) RecordClinical(ctx context.Context, who consent.Principal, c consent.Clinical) (*consent.Clinical, error) {
	e := entry(who, audit.ConsentRecord, audit.Allowed)
	e.Patient = c.Patient
	if err := s.open(ctx, who, consent.RecordConsent, c.Patient, nil, e); err != nil {
		return nil, err
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	err := signedOn(ctx, catalog, c.Patient, c.DocumentID, &c.Document)
	if err == nil {
		err = onClinicalTemplate(ctx, catalog, &c)
	}
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	now := s.now()
	c.ID, c.Practice, c.RecordedAt, c.RecordedBy = id.New[id.Consent](), who.Practice, now, who.Account
	if d := c.Defects(now); d != nil {
		return nil, s.failed(ctx, who, e, &InvalidError{Code: "consent_incomplete", Defects: d})
	}
	e.Subject = string(c.ID)
	if err := catalog.AddClinical(ctx, &c, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	s.wakeTellers()
	return &c, nil
}

// RecordAuthorization records a marketing authorization. What 164.508(c) asks
// for and is missing is named with its paragraph and nothing is recorded,
// unless it is meant as a draft; a draft allows nothing.
// Errors: ErrDenied, InvalidError authorization_incomplete, ErrNotFound.
func (s *Service) RecordAuthorization(ctx context.Context, who consent.Principal, a consent.Authorization, draft bool) (*consent.Authorization, error) {
	e := entry(who, audit.AuthorizeRecord, audit.Allowed)
	e.Patient = a.Patient
	if err := s.open(ctx, who, consent.RecordConsent, a.Patient, nil, e); err != nil {
		return nil, err
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	err := signedOn(ctx, catalog, a.Patient, a.DocumentID, &a.Document)
	if err == nil {
		err = onTemplate(ctx, catalog, &a)
	}
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	now := s.now()
	a.ID, a.Practice, a.RecordedAt, a.RecordedBy = id.New[id.Authorization](), who.Practice, now, who.Account
	if d := a.Defects(now); d != nil && !(draft && a.Storable(now)) {
		return nil, s.failed(ctx, who, e, &InvalidError{Code: "authorization_incomplete", Defects: d})
	}
	for _, p := range a.Scope.Photos {
		photo, err := catalog.Photo(ctx, p)
		if err == nil && photo.Patient != a.Patient || errors.Is(err, ErrNotFound) {
			err = invalid("scope.photos", "The authorization names a photo that is not this patient's.")
		}
		if err != nil {
			return nil, s.failed(ctx, who, e, err)
		}
	}
	if a.Supersedes != "" {
		r, err := catalog.Record(ctx, a.Patient)
		if err == nil && !slices.ContainsFunc(r.Authorizations, func(b consent.Authorization) bool { return b.ID == a.Supersedes }) {
			err = invalid("supersedes", "This patient has no such authorization.")
		}
		if err != nil {
			return nil, s.failed(ctx, who, e, err)
		}
	}
	e.Subject = string(a.ID)
	if err := catalog.AddAuthorization(ctx, &a, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	s.wakeTellers()
	return &a, nil
}

// Record returns a patient's consents, authorizations and events.
// Errors: ErrDenied, ErrNotFound.
func (s *Service) Record(ctx context.Context, who consent.Principal, p id.Patient) (*consent.Record, error) {
	e := entry(who, audit.ConsentList, audit.Allowed)
	e.Patient = p
	if err := s.open(ctx, who, consent.ListConsents, p, nil, e); err != nil {
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
