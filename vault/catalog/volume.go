package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func volumePlace(v *consent.Volume) place {
	return place{"volume", v.Practice, string(v.Account), v.Version}
}

func openVolume(k *practiceKeys, a id.Account, version int64, sealed []byte) (*consent.Volume, error) {
	return openRow(k, place{"volume", k.practice, string(a), version}, sealed, func(v *consent.Volume) bool {
		return v.Practice == k.practice && v.Account == a && v.Version == version
	})
}

// countPhoto counts the token's photo for its account, under the lock of the
// account's volume, so that all replicas count as one. The entry e names the
// volume's version: one that is put back, or taken away, contradicts the log.
// What it saw is noted once the transaction is committed.
func (c *practice) countPhoto(ctx context.Context, tx querier, k *practiceKeys, t *consent.Token, a consent.Allowance, e *audit.Entry) (consent.Tally, []sighting, error) {
	none := consent.Tally{}
	v, err := c.lockVolume(ctx, tx, k, t)
	if err != nil {
		return none, nil, err
	}
	t.CountedAt = time.Time{}
	again, err := c.countedToday(ctx, tx, k, t)
	if again || err != nil {
		return none, nil, err
	}
	before := v.Version
	tally := v.Count(t.IssuedAt, a)
	if tally.Counted {
		t.CountedAt = t.IssuedAt
	}
	if !tally.Changed() {
		return tally, nil, nil
	}
	if err := c.putVolume(ctx, tx, k, v, before); err != nil {
		return none, nil, err
	}
	e.Records = append(e.Records, v.Basis())
	if err := c.alert(ctx, tx, k, v, tally.Warnings, e); err != nil {
		return none, nil, err
	}
	now := saw("volume", c.p, v.Account, v.Version)
	now.until = t.IssuedAt.Add(consent.VolumeDay)
	return tally, []sighting{now}, nil
}

// alert writes down, and tells, each warning.
func (c *practice) alert(ctx context.Context, tx querier, k *practiceKeys, v *consent.Volume, warnings []consent.Warning, e *audit.Entry) error {
	for _, w := range warnings {
		entry := &audit.Entry{Actor: e.Actor, Role: e.Role, Source: e.Source, Action: audit.VolumeAlert, Outcome: audit.Allowed,
			Reason: w.Code, Subject: string(v.Account), Count: w.Photos, Records: []string{v.Basis()}}
		n := vault.Notice{Kind: vault.VolumeUnusual, Account: v.Account, Reason: w.Code}
		if err := c.notify(ctx, tx, k, n, entry, vault.ForAlerts); err != nil {
			return err
		}
		if err := c.d.audit(ctx, tx, k, entry); err != nil {
			return err
		}
	}
	return nil
}

// lockVolume reads the volume of the token's account, which the transaction may
// change; an empty one where nothing was counted yet. A row that was taken away
// would begin anew: tokens that were counted, and memory, tell.
func (c *practice) lockVolume(ctx context.Context, tx querier, k *practiceKeys, t *consent.Token) (*consent.Volume, error) {
	v, err := c.readVolume(ctx, tx, k, t.Account)
	if errors.Is(err, vault.ErrNotFound) {
		known := c.d.seen.older([]sighting{saw("volume", c.p, t.Account, 0)})
		err := tx.each(ctx, `SELECT id FROM token WHERE practice = $1 AND account = $2 AND counted_at > $3 LIMIT 1`,
			[]any{c.p, t.Account, ms(t.IssuedAt.Add(-consent.VolumeDay))}, func(scanner) error { known = true; return nil })
		if !known || err != nil {
			return &consent.Volume{Practice: c.p, Account: t.Account}, err
		}
		// Another transaction may have written it since; then it is there by now.
		v, err = c.readVolume(ctx, tx, k, t.Account)
		if errors.Is(err, vault.ErrNotFound) {
			return nil, errRow("volume")
		}
		if err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	// Under the lock nothing newer can have been seen.
	if c.d.seen.older([]sighting{saw("volume", c.p, t.Account, v.Version)}) {
		return nil, errRow("volume")
	}
	return v, nil
}

func (c *practice) readVolume(ctx context.Context, tx querier, k *practiceKeys, a id.Account) (v *consent.Volume, err error) {
	err = tx.one(ctx, `SELECT version, sealed FROM volume WHERE practice = $1 AND account = $2`+c.d.dialect.lock, []any{c.p, a},
		func(scan scanner) (err error) {
			var (
				version int64
				sealed  []byte
			)
			if err := scan(&version, &sealed); err != nil {
				return err
			}
			v, err = openVolume(k, a, version, sealed)
			return err
		})
	return v, err
}

// countedToday reports whether the photo was counted for the account within a
// day. The row that says so is opened: a clear time alone could be put there.
func (c *practice) countedToday(ctx context.Context, tx querier, k *practiceKeys, t *consent.Token) (found bool, err error) {
	err = tx.each(ctx, `SELECT id, hash, patient, expires_at, campaign, authorization_id, counted_at, sealed FROM token
		WHERE practice = $1 AND account = $2 AND photo = $3 AND counted_at > $4 LIMIT 1`,
		[]any{c.p, t.Account, t.Photo, ms(t.IssuedAt.Add(-consent.VolumeDay))}, func(scan scanner) error {
			r := tokenRow{account: t.Account, photo: t.Photo}
			if err := scan(&r.id, &r.hash, &r.patient, &r.expires, &r.campaign, &r.authorization, &r.counted, &r.sealed); err != nil {
				return err
			}
			found = true
			_, err := r.open(k)
			return err
		})
	return found, err
}

// putVolume writes the row. Where it is the account's first, another
// transaction may be writing that, too: then this one is done again.
func (c *practice) putVolume(ctx context.Context, tx querier, k *practiceKeys, v *consent.Volume, before int64) error {
	sealed, err := sealRow(k, volumePlace(v), v)
	if err != nil {
		return err
	}
	if before == 0 {
		n, err := tx.exec(ctx, `INSERT INTO volume (practice, account, version, sealed) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			c.p, v.Account, v.Version, sealed)
		return count(n, err, fmt.Errorf("%w: %w", vault.ErrUnavailable, errConflict))
	}
	n, err := tx.exec(ctx, `UPDATE volume SET version = $1, sealed = $2 WHERE practice = $3 AND account = $4 AND version = $5`,
		v.Version, sealed, c.p, v.Account, before)
	return count(n, err, errRow("volume"))
}
