package vault

import (
	"context"
	"errors"
	"slices"
	"time"

	"photovault/consent"
	"photovault/imaging"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/secret"
)

// maxCopyAttempts bounds how often a copy is begun while others get ahead.
const maxCopyAttempts = 4

// ensureCopy sees to it that marketing's copy of a rendition is there, under a
// key of its own that ends with the authorization. Copies are made when a token
// is first issued for them: what nobody uses is not there a second time.
// Errors: derive's.
func (s *Service) ensureCopy(ctx context.Context, who consent.Principal, p *Photo, rendition string, a id.Authorization) error {
	there := func() (bool, error) {
		key, err := s.Catalogs.ForPractice(p.Practice).PhotoKey(ctx, p.ID, a)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		return key.copyOf(p.rendition(rendition)) != nil, err
	}
	if ok, err := there(); ok || err != nil {
		return err
	}
	select { // one at a time: who waited finds it made
	case s.copying <- struct{}{}:
		defer func() { <-s.copying }()
	case <-ctx.Done():
		return errors.Join(ErrUnavailable, ctx.Err())
	}
	d := derivation{photo: p.ID, rendition: rendition, purpose: consent.ForMarketing, authorization: a, sources: []source{{p.ID, rendition}}}
	for attempt := 1; ; attempt++ {
		if ok, err := there(); ok || err != nil {
			return err
		}
		_, err := s.derive(ctx, who, d, func(_ context.Context, sources [][]byte) (*imaging.Rendition, error) {
			r := p.rendition(rendition)
			return &imaging.Rendition{ContentType: r.ContentType, Width: r.Width, Height: r.Height, Data: sources[0]}, nil
		})
		if !errors.Is(err, ErrOvertaken) || attempt == maxCopyAttempts {
			return err
		}
		if p, err = s.photo(ctx, who, p.ID); err != nil { // another replica was first, or the rendition is another by now
			return err
		}
	}
}

// storeCopy seals what was made under the key of the authorization's copies,
// or under a new one where it is the first, and commits it.
func (s *Service) storeCopy(ctx context.Context, permit *consent.DerivePermit, d *derivation, p *Photo, made *imaging.Rendition) (*Rendition, error) {
	from := p.rendition(d.sources[0].rendition)
	wrapped, key, err := s.copyKey(ctx, p, d.authorization)
	if err != nil {
		return nil, err
	}
	defer key.Destroy()
	r, err := s.put(ctx, key, p, d.authorization, made)
	if err == nil {
		err = s.Catalogs.ForPractice(p.Practice).AddCopy(ctx, p.Patient, wrapped, Copy{*r, from.Object}, permit.Outcome(audit.Complete, ""))
	}
	if err != nil {
		return nil, s.unput(ctx, p.Practice, r, err)
	}
	return r, nil
}

func (s *Service) copyKey(ctx context.Context, p *Photo, a id.Authorization) (*PhotoKey, *secret.Key, error) {
	catalog, bound := s.Catalogs.ForPractice(p.Practice), PhotoKeyContext(p.Practice, p.ID, a)
	there, err := catalog.PhotoKey(ctx, p.ID, a)
	if err == nil {
		key, err := s.Keys.UnwrapDataKey(ctx, bound, there.Wrapped)
		return there, key, translate(err)
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, nil, err
	}
	record, err := catalog.Record(ctx, p.Patient)
	if err != nil {
		return nil, nil, err
	}
	fresh := &PhotoKey{Photo: p.ID, Authorization: a}
	if i := slices.IndexFunc(record.Authorizations, func(x consent.Authorization) bool { return x.ID == a }); i >= 0 {
		fresh.KeepUntil = record.Authorizations[i].ExpiresAt
	}
	key, wrapped, err := s.Keys.NewDataKey(ctx, bound)
	fresh.Wrapped = wrapped
	return fresh, key, translate(err)
}

// sweepCopies revokes marketing's copies under authorizations that ended by
// date: those that ended by an event went with it. With all, it looks at every
// patient who has any.
func (s *Service) sweepCopies(ctx context.Context, all bool) (ended int, err error) {
	by := s.now()
	if all {
		by = time.Time{}
	}
	err = s.practices(ctx, func(ctx context.Context, p id.Practice) error {
		catalog := s.Catalogs.ForPractice(p)
		patients, err := catalog.CopyHolders(ctx, by)
		for _, patient := range patients {
			e := &audit.Entry{Action: audit.CopiesEnd, Outcome: audit.Complete, Reason: "authorization_ended", Patient: patient, Purpose: string(consent.ForMarketing)}
			n, endErr := catalog.EndCopies(ctx, patient, e)
			ended += n
			err = errors.Join(err, endErr)
		}
		return err
	})
	return ended, err
}
