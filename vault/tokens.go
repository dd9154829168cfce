package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	Campaign  id.Campaign   // marketing: what it is for
	Form      consent.Form  // default InHeader
	Uses      int           // default 1; InPath: always 1
	Life      time.Duration // default by form; uses and life: at most the role's consent.Terms
}

// IssueToken decides on the request and returns a token to fetch the rendition
// with. The token promises nothing: each use is decided again.
// Errors: ErrDenied with every refusal, ErrInvalid, ErrNotFound, VolumeError.
func (s *Service) IssueToken(ctx context.Context, who consent.Principal, r TokenRequest) (*consent.Token, consent.Bearer, error) {
	r.Rendition, r.Form, r.Uses = or(r.Rendition, "web"), or(r.Form, consent.InHeader), or(r.Uses, 1)
	e := entry(who, audit.TokenIssue, audit.Allowed)
	e.Photo, e.Rendition, e.Purpose, e.Recipient, e.Channel = r.Photo, r.Rendition, string(r.Purpose), r.Recipient, r.Channel
	if err := r.check(); err != nil {
		e.Recipient, e.Channel, e.Purpose, e.Rendition = "", "", "", "" // not vetted: may be anything
		return nil, "", s.failed(ctx, who, e, err)
	}
	act := consent.ReleaseClinical
	switch r.Purpose {
	case consent.ForMarketing:
		act = consent.ReleaseMarketing
	case consent.ForTeaching:
		act = consent.ReleaseTeaching
	}
	if err := s.allow(ctx, who, act, e); err != nil {
		return nil, "", err
	}
	if err := r.checkTerms(who.Role); err != nil {
		return nil, "", s.failed(ctx, who, e, err)
	}
	q, photo, err := s.question(ctx, who, &r)
	if err != nil {
		return nil, "", s.failed(ctx, who, e, err)
	}
	e.Patient = q.Photo.Patient
	d := consent.DecideRelease(*q)
	if !d.Allowed {
		e.Records = []string{q.Record.Basis()} // what it was decided on
		return nil, "", s.deny(ctx, who, e, d.Refusals...)
	}
	b := consent.NewBearer(consent.TokenPrefix)
	t := &consent.Token{ID: id.New[id.Token](), Hash: b.Hash(), Practice: who.Practice, Account: who.Account,
		Patient: q.Photo.Patient, Photo: q.Photo.ID, Rendition: r.Rendition, Purpose: r.Purpose, Recipient: r.Recipient,
		Channel: r.Channel, Campaign: r.Campaign, Authorization: d.Authorization, Form: r.Form, Uses: r.Uses, IssuedAt: q.Now, ExpiresAt: q.Now.Add(r.Life)}
	e.Subject, e.Records = string(t.ID), d.Basis
	late := *e // what fails after the token was made has an entry of its own
	warnings, err := s.Catalogs.ForPractice(who.Practice).AddToken(ctx, t, consent.Allowance{Cap: s.Caps[who.Role],
		Urgent: who.Role == consent.Provider && r.Purpose == consent.ForCare && q.Record.InEmergency(who.Account, q.Now)}, e)
	s.warnOf(who, warnings)
	if errors.Is(err, ErrVolume) {
		return nil, "", err // the refusal was written where it was decided
	}
	if err != nil {
		return nil, "", s.failed(ctx, who, e, err)
	}
	// The photo was counted before anything was opened for it; without its copy
	// the token is given to nobody.
	if d.Authorization != "" {
		if err := s.ensureCopy(ctx, who, photo, r.Rendition, d.Authorization); err != nil {
			return nil, "", s.failed(ctx, who, &late, err)
		}
	}
	return t, b, nil
}

// warnOf raises the alert of an account that asks for many photos; the
// transaction that found it has logged it and written the message.
func (s *Service) warnOf(who consent.Principal, warnings []consent.Warning) {
	for _, w := range warnings {
		s.Logger.Error("ALERT: an account asks for unusually many photos", "account", who.Account, "role", who.Role, "code", w.Code, "photos", w.Photos)
	}
	if len(warnings) > 0 {
		s.wakeTellers()
	}
}

// question gathers what a request is decided on.
func (s *Service) question(ctx context.Context, who consent.Principal, r *TokenRequest) (*consent.Question, *Photo, error) {
	catalog := s.Catalogs.ForPractice(who.Practice)
	photo, err := s.photo(ctx, who, r.Photo)
	if err != nil {
		return nil, nil, err
	}
	record, err := catalog.Record(ctx, photo.Patient)
	if err != nil {
		return nil, nil, err
	}
	ca, err := campaign(ctx, catalog, r.Campaign)
	if err != nil {
		return nil, nil, err
	}
	return &consent.Question{Now: s.now(), Who: who, Purpose: r.Purpose, Photo: photo.Subject(), Rendition: r.Rendition,
		Recipient: r.Recipient, Channel: r.Channel, Campaign: ca, Record: record, Policies: s.Policies}, photo, nil
}

// Explanation is a decision that released nothing.
type Explanation struct {
	Photo    id.Photo
	Decision consent.Decision
}

// Explain decides as IssueToken would, releases nothing and says why.
// Privacy officers ask for the account as, or, without one, for a role that has
// the purpose; everybody else asks for themselves.
// Errors: ErrDenied, ErrInvalid, ErrNotFound.
func (s *Service) Explain(ctx context.Context, who consent.Principal, as id.Account, r TokenRequest) (*Explanation, error) {
	r.Rendition, r.Form, r.Uses = or(r.Rendition, "web"), consent.InHeader, 1
	e := entry(who, audit.DecisionExplain, audit.Allowed)
	e.Photo, e.Subject = r.Photo, string(as)
	if err := s.allow(ctx, who, consent.ExplainDecision, e); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	e.Purpose, e.Rendition = string(r.Purpose), r.Rendition
	asking := who
	if who.Role == consent.Privacy && as == "" { // what the records allow, whoever asks
		asking = consent.Principal{Practice: who.Practice, Role: consent.EMR}
		switch r.Purpose {
		case consent.ForMarketing:
			asking.Role = consent.Marketing
		case consent.ForTeaching:
			asking.Role = consent.Provider
		}
	}
	if as != "" && as != who.Account {
		if who.Role != consent.Privacy {
			return nil, s.deny(ctx, who, e, consent.Refusal{Code: "role_not_allowed", Paragraph: "164.312(a)(1)",
				Sentence: "You can ask for yourself; the privacy officer can ask for others."})
		}
		list, err := s.Catalogs.ForPractice(who.Practice).ListAccounts(ctx)
		if err != nil {
			return nil, s.failed(ctx, who, e, err)
		}
		i := slices.IndexFunc(list, func(a *Account) bool { return a.ID == as && a.Active() })
		if i < 0 {
			return nil, s.failed(ctx, who, e, invalid("account", "There is no such account, or it has been revoked."))
		}
		asking = consent.Principal{Practice: who.Practice, Account: as, Role: list[i].Role}
	}
	q, _, err := s.question(ctx, asking, &r)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	d := consent.DecideRelease(*q)
	e.Patient, e.Records = q.Photo.Patient, d.Basis
	if !d.Allowed {
		e.Reason = d.Refusals[0].Code // what was asked about; the asking itself was allowed
		e.Records = []string{q.Record.Basis()}
		d.Basis = e.Records
	}
	if who.Role == consent.Marketing { // which has no need to know the patient
		d.Basis = slices.DeleteFunc(slices.Clone(d.Basis), func(b string) bool { return strings.HasPrefix(b, "record/") })
	}
	return &Explanation{Photo: r.Photo, Decision: d}, s.log(ctx, who, e)
}

// check vets the request and fills in the lifetime.
func (r *TokenRequest) check() error {
	switch {
	case !slices.Contains(RenditionNames, r.Rendition) && !slices.Contains(DerivedNames, r.Rendition):
		return invalid("rendition", "Choose one of "+strings.Join(slices.Concat(RenditionNames, DerivedNames), ", ")+".")
	case !slices.Contains(consent.Purposes, r.Purpose):
		return invalid("purpose", "Say what the photo is for: clinical, teaching or marketing.")
	case r.Purpose != consent.ForMarketing && (r.Recipient != "" || r.Channel != "" || r.Campaign != ""):
		return invalid("recipient", "Recipient, channel and campaign belong to marketing; care and teaching stay inside the practice.")
	case r.Purpose == consent.ForMarketing && (r.Recipient == "" || len(r.Recipient) > consent.MaxName):
		return invalid("recipient", "Name who will receive the photo, as the authorization names them.")
	case r.Purpose == consent.ForMarketing && !slices.Contains(consent.Channels, r.Channel):
		return invalid("channel", "Choose where it will appear: website, social, print or in-office.")
	case r.Form != consent.InPath && r.Form != consent.InHeader:
		return invalid("form", "Choose path (for <img>) or header.")
	case r.Uses < 1 || r.Uses > consent.MaxUses:
		return invalid("uses", "A token is used at most 20 times.")
	case r.Life < 0 || r.Life > consent.MaxLife:
		return invalid("ttl_seconds", "A token lives at most one hour.")
	case r.Life == 0 && r.Form == consent.InPath:
		r.Life = consent.PathLife
	case r.Life == 0:
		r.Life = consent.HeaderLife
	}
	return nil
}

// checkTerms vets what the role may ask a token for.
func (r *TokenRequest) checkTerms(role consent.Role) error {
	switch t := role.Terms(r.Form); {
	case t.Uses == 0:
		return invalid("form", "Your role is given no tokens of this form.")
	case r.Uses > t.Uses:
		return invalid("uses", fmt.Sprintf("In this form, your role's tokens are used at most %s.", times(t.Uses)))
	case r.Life > t.Life:
		return invalid("ttl_seconds", fmt.Sprintf("In this form, your role's tokens live at most %d seconds.", int(t.Life.Seconds())))
	}
	return nil
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
