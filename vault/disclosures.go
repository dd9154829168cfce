package vault

import (
	"context"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// Accounting is every disclosure of one patient's photos outside the practice,
// oldest first (164.528).
type Accounting struct {
	Patient     id.Patient
	Since       time.Time
	Until       time.Time // when it was made
	Disclosures []consent.Disclosure
	Campaigns   map[id.Campaign]consent.Campaign // of the disclosures: the purpose is theirs
}

// Disclosures accounts for six years, or since an instant within them. It is
// read from the audit log: an intent without an outcome counts.
// Errors: ErrDenied, ErrNotFound.
func (s *Service) Disclosures(ctx context.Context, who consent.Principal, p id.Patient, since time.Time) (*Accounting, error) {
	e := entry(who, audit.DisclosuresRead, audit.Allowed)
	e.Patient = p
	if err := s.allow(ctx, who, consent.ReadDisclosures, e); err != nil {
		return nil, err
	}
	out, err := s.account(ctx, s.Catalogs.ForPractice(who.Practice), p, since)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	return out, s.log(ctx, who, e)
}

func (s *Service) account(ctx context.Context, catalog Catalog, p id.Patient, since time.Time) (*Accounting, error) {
	now := s.now()
	out := &Accounting{Patient: p, Since: since, Until: now, Disclosures: []consent.Disclosure{}, Campaigns: map[id.Campaign]consent.Campaign{}}
	if first := consent.AccountSince(now); since.Before(first) {
		out.Since = first
	}
	record, err := catalog.Record(ctx, p)
	if err != nil {
		return nil, err
	}
	made, err := released(ctx, catalog, p)
	if err != nil {
		return nil, err
	}
	campaigns, err := catalog.Campaigns(ctx)
	if err != nil {
		return nil, err
	}
	for _, rel := range made {
		if d, outside := record.Disclose(rel); outside && !rel.At.Before(out.Since) {
			out.Disclosures = append(out.Disclosures, d)
			for _, c := range campaigns {
				if c.ID == d.Campaign {
					out.Campaigns[c.ID] = c
				}
			}
		}
	}
	return out, nil
}
