package vault

import (
	"context"
	"slices"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// TokenRequest asks for a retrieval token.
type TokenRequest struct {
	Photo     id.Photo
	Rendition string // default "web"
	Purpose   consent.Purpose
	Recipient string        // marketing: who receives it, as named in the authorization
	Channel   string        // marketing: where it will appear
	Form      consent.Form  // default InHeader
	Uses      int           // default 1; InPath: always 1
	Life      time.Duration // default by form; at most consent.MaxLife
}

// IssueToken decides on the request and returns a token to fetch the rendition
// with. The token promises nothing: each use is decided again.
// Errors: ErrDenied with every refusal, ErrInvalid, ErrNotFound.
func (s *Service) IssueToken(ctx context.Context, who consent.Principal, r TokenRequest) (*consent.Token, consent.Bearer, error) {
	r.Rendition, r.Form, r.Uses = or(r.Rendition, "web"), or(r.Form, consent.InHeader), or(r.Uses, 1)
	e := entry(who, audit.TokenIssue, audit.Allowed)
	e.Photo, e.Rendition, e.Purpose, e.Recipient, e.Channel = r.Photo, r.Rendition, string(r.Purpose), r.Recipient, r.Channel
	if err := r.check(); err != nil {
		e.Recipient, e.Channel, e.Purpose, e.Rendition = "", "", "", "" // not vetted: may be anything
		return nil, "", s.failed(ctx, who, e, err)
	}
	act := consent.ReleaseClinical
	if r.Purpose == consent.ForMarketing {
		act = consent.ReleaseMarketing
	}
	if err := s.allow(ctx, who, act, e); err != nil {
		return nil, "", err
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	photo, err := s.photo(ctx, who, r.Photo)
	if err != nil {
		return nil, "", s.failed(ctx, who, e, err)
	}
	e.Patient = photo.Patient
	record, err := catalog.Record(ctx, photo.Patient)
	if err != nil {
		return nil, "", s.failed(ctx, who, e, err)
	}
	now := s.now()
	d := consent.DecideRelease(consent.Question{Now: now, Who: who, Purpose: r.Purpose, Patient: photo.Patient, Photo: photo.ID,
		Ready: photo.State == Ready, Rendition: r.Rendition, Recipient: r.Recipient, Channel: r.Channel, Record: record})
	if !d.Allowed {
		return nil, "", s.deny(ctx, who, e, d.Refusals...)
	}
	b := consent.NewBearer(consent.TokenPrefix)
	t := &consent.Token{ID: id.New[id.Token](), Hash: b.Hash(), Practice: who.Practice, Account: who.Account,
		Patient: photo.Patient, Photo: photo.ID, Rendition: r.Rendition, Purpose: r.Purpose, Recipient: r.Recipient,
		Channel: r.Channel, Form: r.Form, Uses: r.Uses, IssuedAt: now, ExpiresAt: now.Add(r.Life)}
	e.Subject, e.Records = string(t.ID), d.Basis
	if err := catalog.AddToken(ctx, t, e); err != nil {
		return nil, "", s.failed(ctx, who, e, err)
	}
	return t, b, nil
}

// check vets the request and fills in the lifetime.
func (r *TokenRequest) check() error {
	switch {
	case !slices.Contains(RenditionNames, r.Rendition):
		return invalid("rendition", "Choose original, web or thumb.")
	case r.Purpose != consent.ForCare && r.Purpose != consent.ForMarketing:
		return invalid("purpose", "Say what the photo is for: clinical or marketing.")
	case r.Purpose == consent.ForCare && (r.Recipient != "" || r.Channel != ""):
		return invalid("recipient", "Recipient and channel belong to marketing; care stays inside the practice.")
	case r.Purpose == consent.ForMarketing && (r.Recipient == "" || len(r.Recipient) > consent.MaxName):
		return invalid("recipient", "Name who will receive the photo, as the authorization names them.")
	case r.Purpose == consent.ForMarketing && !slices.Contains(consent.Channels, r.Channel):
		return invalid("channel", "Choose where it will appear: website, social, print or in-office.")
	case r.Form != consent.InPath && r.Form != consent.InHeader:
		return invalid("form", "Choose path (for <img>) or header.")
	case r.Uses < 1 || r.Uses > consent.MaxUses || r.Form == consent.InPath && r.Uses != 1:
		return invalid("uses", "A token in a path is used once, one in a header at most 20 times.")
	case r.Life < 0 || r.Life > consent.MaxLife:
		return invalid("ttl_seconds", "A token lives at most one hour.")
	case r.Life == 0 && r.Form == consent.InPath:
		r.Life = consent.PathLife
	case r.Life == 0:
		r.Life = consent.HeaderLife
	}
	return nil
}
