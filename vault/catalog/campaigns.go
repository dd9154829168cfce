package catalog

import (
	"context"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func campaignPlace(p id.Practice, c id.Campaign, version int64) place {
	return place{"campaign", p, string(c), version}
}

func openCampaign(k *practiceKeys, c id.Campaign, version int64, sealed []byte) (*consent.Campaign, error) {
	return openRow(k, campaignPlace(k.practice, c, version), sealed, func(v *consent.Campaign) bool {
		return v.Practice == k.practice && v.ID == c && v.Version == version
	})
}

func scanCampaign(k *practiceKeys, scan scanner) (*consent.Campaign, error) {
	var (
		campaign id.Campaign
		version  int64
		sealed   []byte
	)
	if err := scan(&campaign, &version, &sealed); err != nil {
		return nil, err
	}
	return openCampaign(k, campaign, version, sealed)
}

func (c *practice) AddCampaign(ctx context.Context, ca *consent.Campaign, e *audit.Entry) error {
	if ca.Practice != c.p || ca.Version != 1 {
		return errForeign
	}
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		sealed, err := sealRow(k, campaignPlace(c.p, ca.ID, ca.Version), ca)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO campaign (practice, id, version, sealed) VALUES ($1, $2, $3, $4)`, c.p, ca.ID, ca.Version, sealed)
		return err
	})
}

// CloseCampaign writes the next version. Closing twice is no error.
func (c *practice) CloseCampaign(ctx context.Context, campaign id.Campaign, e *audit.Entry) (*consent.Campaign, error) {
	var ca *consent.Campaign
	err := c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) (err error) {
		if ca, err = c.campaign(ctx, tx, k, campaign, c.d.dialect.lock); err != nil || !ca.ClosedAt.IsZero() {
			return err
		}
		before := ca.Version
		ca.ClosedAt, ca.Version = c.d.now(), before+1
		sealed, err := sealRow(k, campaignPlace(c.p, campaign, ca.Version), ca)
		if err != nil {
			return err
		}
		n, err := tx.exec(ctx, `UPDATE campaign SET version = $1, sealed = $2 WHERE practice = $3 AND id = $4 AND version = $5`,
			ca.Version, sealed, c.p, campaign, before)
		return count(n, err, errRow("campaign"))
	})
	if err != nil {
		return nil, err
	}
	c.d.seen.note(c.d.now(), saw("campaign", c.p, ca.ID, ca.Version))
	return ca, nil
}

func (c *practice) campaign(ctx context.Context, q querier, k *practiceKeys, campaign id.Campaign, lock string) (ca *consent.Campaign, err error) {
	err = q.one(ctx, `SELECT id, version, sealed FROM campaign WHERE practice = $1 AND id = $2`+lock, []any{c.p, campaign}, func(scan scanner) (err error) {
		ca, err = scanCampaign(k, scan)
		return err
	})
	return ca, err
}

func (c *practice) Campaign(ctx context.Context, campaign id.Campaign) (*consent.Campaign, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	return watched(c.d, func() (*consent.Campaign, []sighting, error) {
		ca, err := c.campaign(ctx, c.d.read(), k, campaign, "")
		if err != nil {
			return nil, nil, err
		}
		return ca, []sighting{saw("campaign", c.p, ca.ID, ca.Version)}, nil
	})
}

func (c *practice) Campaigns(ctx context.Context) ([]consent.Campaign, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	return watched(c.d, func() (list []consent.Campaign, seen []sighting, err error) {
		err = c.d.read().each(ctx, `SELECT id, version, sealed FROM campaign WHERE practice = $1 ORDER BY id`, []any{c.p}, func(scan scanner) error {
			ca, err := scanCampaign(k, scan)
			if err != nil {
				return err
			}
			list, seen = append(list, *ca), append(seen, saw("campaign", c.p, ca.ID, ca.Version))
			return nil
		})
		return list, seen, err
	})
}

func releaseCampaign(k *practiceKeys, rows map[string][]releaseRow, rel *vault.Release) ([]sighting, error) {
	if rel.Token.Campaign == "" {
		return nil, nil
	}
	if len(rows["campaign"]) != 1 {
		return nil, errRow("campaign") // a campaign is closed, never removed
	}
	r := rows["campaign"][0]
	ca, err := openCampaign(k, rel.Token.Campaign, r.n, r.sealed)
	if err != nil {
		return nil, err
	}
	rel.Campaign = ca
	return []sighting{saw("campaign", k.practice, ca.ID, ca.Version)}, nil
}
