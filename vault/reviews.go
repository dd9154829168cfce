package vault

import (
	"context"
	"slices"
	"strings"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// Review is what the privacy officer owes a look: an emergency, or releases
// that, as is known now, were not allowed when they were made.
type Review struct {
	Patient  id.Patient
	Event    consent.Event      // of kind Emergency or Questioned
	Releases []consent.Released // of Questioned: which
}

// Reviews lists what nobody has reviewed. Errors: ErrDenied.
func (s *Service) Reviews(ctx context.Context, who consent.Principal) ([]Review, error) {
	e := entry(who, audit.ReviewList, audit.Allowed)
	if err := s.allow(ctx, who, consent.ReviewEmergency, e); err != nil {
		return nil, err
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	patients, err := catalog.PatientIDs(ctx)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	out := []Review{}
	for _, p := range patients {
		list, err := owed(ctx, catalog, p)
		if err != nil {
			return nil, s.failed(ctx, who, e, err)
		}
		out = append(out, list...)
	}
	slices.SortStableFunc(out, func(a, b Review) int { return a.Event.EnteredAt.Compare(b.Event.EnteredAt) })
	return out, s.log(ctx, who, e)
}

func owed(ctx context.Context, catalog Catalog, p id.Patient) ([]Review, error) {
	r, err := catalog.Record(ctx, p)
	if err != nil {
		return nil, err
	}
	var (
		out  []Review
		made []consent.Released
	)
	for _, ev := range r.Owed() {
		one := Review{Patient: p, Event: ev}
		if ev.Kind == consent.Questioned {
			if made == nil {
				if made, err = released(ctx, catalog, p); err != nil {
					return nil, err
				}
			}
			one.Releases = questioned(r, made, ev.Subject)
		}
		out = append(out, one)
	}
	return out, nil
}

// questioned returns the releases for marketing that the cause speaks against.
func questioned(r *consent.Record, made []consent.Released, cause string) []consent.Released {
	return slices.DeleteFunc(slices.Clone(made), func(rel consent.Released) bool {
		return rel.Purpose != consent.ForMarketing || !slices.ContainsFunc(r.Flaws(&rel), func(a consent.Against) bool {
			return strings.HasSuffix(a.Cause, "/"+cause)
		})
	})
}

// released reads what was released of a patient from the audit log.
func released(ctx context.Context, catalog Catalog, p id.Patient) ([]consent.Released, error) {
	var all consent.Ledger
	err := catalog.PatientAudit(ctx, p, func(r audit.Record) error {
		e, err := audit.Decode(r.Encoded)
		if err == nil {
			all.Add(e)
		}
		return err
	})
	return all.Released(), err
}
