package catalog

import (
	"context"
	"slices"
	"time"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// storedUploadKey is an upload key's row: its end of sealing can come early.
type storedUploadKey struct {
	vault.UploadKey
	Version int64 `json:"version"`
}

func (k *storedUploadKey) place() place {
	return place{"upload_key", k.Practice, string(k.ID), k.Version}
}

func (c *practice) AddUploadKey(ctx context.Context, key *vault.UploadKey, e *audit.Entry) error {
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error { return c.addUploadKey(ctx, tx, k, key) })
}

func (c *practice) addUploadKey(ctx context.Context, tx querier, k *practiceKeys, key *vault.UploadKey) error {
	if key.Practice != c.p {
		return errForeign
	}
	if err := c.aboveFloor(ctx, tx, k, key.Wrapped); err != nil {
		return err
	}
	row := storedUploadKey{*key, 1}
	sealed, err := sealRow(k, row.place(), &row)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO upload_key (practice, id, seal_until, version, sealed) VALUES ($1, $2, $3, 1, $4)`,
		c.p, key.ID, ms(key.SealUntil), sealed)
	return err
}

func (c *practice) RotateUploadKeys(ctx context.Context, add []*vault.UploadKey, t time.Time, e *audit.Entry) error {
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		old, err := c.uploadKeys(ctx, tx, k, c.d.dialect.lock)
		if err != nil {
			return err
		}
		for _, row := range old {
			if !row.SealUntil.After(t) {
				continue
			}
			before := row.Version
			row.SealUntil, row.Version = t, before+1
			sealed, err := sealRow(k, row.place(), row)
			if err != nil {
				return err
			}
			n, err := tx.exec(ctx, `UPDATE upload_key SET seal_until = $1, version = $2, sealed = $3 WHERE practice = $4 AND id = $5 AND version = $6`,
				ms(t), row.Version, sealed, c.p, row.ID, before)
			if err := count(n, err, errRow("upload_key")); err != nil {
				return err
			}
		}
		for _, key := range add {
			if err := c.addUploadKey(ctx, tx, k, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// UploadKeys returns them oldest first.
func (c *practice) UploadKeys(ctx context.Context) ([]*vault.UploadKey, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.uploadKeys(ctx, c.d.read(), k, "")
	if err != nil {
		return nil, err
	}
	var list []*vault.UploadKey
	for _, r := range rows {
		list = append(list, &r.UploadKey)
	}
	slices.SortStableFunc(list, func(a, b *vault.UploadKey) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list, nil
}

func (c *practice) uploadKeys(ctx context.Context, q querier, k *practiceKeys, suffix string) ([]*storedUploadKey, error) {
	var list []*storedUploadKey
	err := q.each(ctx, `SELECT id, seal_until, version, sealed FROM upload_key WHERE practice = $1 ORDER BY id`+suffix, []any{c.p}, func(scan scanner) error {
		var (
			key            id.UploadKey
			until, version int64
			sealed         []byte
		)
		if err := scan(&key, &until, &version, &sealed); err != nil {
			return err
		}
		row, err := openRow(k, place{"upload_key", c.p, string(key), version}, sealed, func(v *storedUploadKey) bool {
			return v.Practice == c.p && v.ID == key && v.Version == version && ms(v.SealUntil) == until
		})
		list = append(list, row)
		return err
	})
	return list, err
}
