package vault

import (
	"context"
	"slices"
	"strings"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// AddCampaign records a campaign. ID, Practice, Version, CreatedAt and
// CreatedBy of c are set here. Errors: ErrDenied, InvalidError campaign_incomplete.
func (s *Service) AddCampaign(ctx context.Context, who consent.Principal, c consent.Campaign) (*consent.Campaign, error) {
	e := entry(who, audit.CampaignCreate, audit.Allowed)
	if err := s.allow(ctx, who, consent.RunCampaigns, e); err != nil {
		return nil, err
	}
	c.ID, c.Practice, c.Version, c.CreatedAt, c.CreatedBy = id.New[id.Campaign](), who.Practice, 1, s.now(), who.Account
	if d := c.Defects(); d != nil {
		return nil, s.failed(ctx, who, e, &InvalidError{Code: "campaign_incomplete", Defects: d})
	}
	e.Subject = string(c.ID)
	if err := s.Catalogs.ForPractice(who.Practice).AddCampaign(ctx, &c, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	return &c, nil
}

// CloseCampaign ends a campaign: no release for it begins from here on.
// Closing twice is no error. Errors: ErrDenied, ErrNotFound.
func (s *Service) CloseCampaign(ctx context.Context, who consent.Principal, c id.Campaign) (*consent.Campaign, error) {
	e := entry(who, audit.CampaignClose, audit.Allowed)
	e.Subject = string(c)
	if err := s.allow(ctx, who, consent.RunCampaigns, e); err != nil {
		return nil, err
	}
	closed, err := s.Catalogs.ForPractice(who.Practice).CloseCampaign(ctx, c, e)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	s.streams.recheck()
	return closed, nil
}

// Campaigns lists the practice's campaigns, newest first. Errors: ErrDenied.
func (s *Service) Campaigns(ctx context.Context, who consent.Principal) ([]consent.Campaign, error) {
	e := entry(who, audit.CampaignList, audit.Allowed)
	if err := s.allow(ctx, who, consent.SeeCampaigns, e); err != nil {
		return nil, err
	}
	list, err := s.Catalogs.ForPractice(who.Practice).Campaigns(ctx)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	slices.SortFunc(list, func(a, b consent.Campaign) int {
		if d := b.CreatedAt.Compare(a.CreatedAt); d != 0 {
			return d
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return list, s.log(ctx, who, e)
}

// campaign reads the campaign that a request names, nil for none or one that
// is not there: the decision refuses both alike.
func campaign(ctx context.Context, catalog Catalog, c id.Campaign) (*consent.Campaign, error) {
	if c == "" {
		return nil, nil
	}
	found, err := catalog.Campaign(ctx, c)
	if err != nil && Code(err) == "not_found" {
		return nil, nil
	}
	return found, err
}
