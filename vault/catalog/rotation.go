package catalog

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/keys"
)

// Practices lists the practices that the database holds.
func (d *DB) Practices(ctx context.Context) (list []id.Practice, err error) {
	err = d.read().each(ctx, `SELECT DISTINCT practice FROM practice_key ORDER BY practice`, nil, func(scan scanner) error {
		var p id.Practice
		err := scan(&p)
		list = append(list, p)
		return err
	})
	return list, err
}

// KeyVersions lists the practice's own keys.
func (c *practice) KeyVersions(ctx context.Context) ([]vault.KeyVersion, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.d.keyRows(ctx, c.d.read(), c.p)
	if err != nil {
		return nil, err
	}
	var list []vault.KeyVersion
	for _, r := range rows {
		list = append(list, vault.KeyVersion{Purpose: r.purpose, Version: r.version, CreatedAt: r.created, InUse: k.use[r.purpose] == r.version})
	}
	return list, nil
}

// RotateKey adds a version of one of the practice's keys. A catalog key is
// used once it has settled; a new index key at once, with every patient's
// index made anew in the same transaction; an evidence key at once.
func (c *practice) RotateKey(ctx context.Context, purpose keys.Purpose, e *audit.Entry) (int64, error) {
	switch purpose {
	case keys.Catalog, keys.Index, keys.Checkpoint:
	default:
		return 0, fmt.Errorf("catalog: rotate: a practice's %s key has no further version", purpose)
	}
	rows, err := c.d.keyRows(ctx, c.d.read(), c.p)
	if err != nil {
		return 0, err
	}
	r := keyRow{purpose: purpose, created: c.d.now()}
	for _, old := range rows {
		if old.purpose == purpose {
			r.version = max(r.version, old.version)
		}
	}
	r.version++
	key, wrapped, err := c.d.keys.NewDataKey(ctx, practiceKeyContext(c.p, purpose, r.version))
	if err != nil {
		return 0, keyError(err)
	}
	defer key.Destroy() // the next use unwraps what was written
	r.wrapped = wrapped
	err = c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		if err := c.lockKeys(ctx, tx, c.d.dialect.lock); err != nil {
			return err
		}
		if err := c.aboveFloor(ctx, tx, k, r.wrapped); err != nil {
			return err
		}
		n, err := tx.exec(ctx, insertPracticeKey, c.p, r.purpose, r.version, r.wrapped, ms(r.created))
		if err := count(n, err, &vault.ConflictError{Code: "key_rotating", Sentence: "Another rotation of this key has just been made."}); err != nil {
			return err
		}
		if purpose == keys.Index {
			return c.indexAnew(ctx, tx, k, key.Bytes())
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return r.version, c.d.RefreshKeys(ctx)
}

// lockKeys orders what changes the practice's keys, or relies on which there
// are, by its first key's row. Under READ COMMITTED what is read after it is
// what the other left.
func (c *practice) lockKeys(ctx context.Context, tx querier, how string) error {
	return tx.one(ctx, `SELECT version FROM practice_key WHERE practice = $1 AND purpose = $2 AND version = 1`+how,
		[]any{c.p, keys.Catalog}, func(scanner) error { return nil })
}

// indexAnew computes every patient's blind index under a new key.
func (c *practice) indexAnew(ctx context.Context, tx querier, k *practiceKeys, key []byte) error {
	const page = 500
	type row struct {
		patient id.Patient
		index   []byte
	}
	for after := id.Patient(""); ; {
		var rows []row
		err := tx.each(ctx, `SELECT id, record_index, sealed FROM patient WHERE practice = $1 AND id > $2 ORDER BY id LIMIT $3`,
			[]any{c.p, after, page}, func(scan scanner) error {
				var (
					r      row
					sealed []byte
				)
				if err := scan(&r.patient, &r.index, &sealed); err != nil {
					return err
				}
				p, err := openRow(k, place{"patient", c.p, string(r.patient), 1}, sealed, func(v *vault.Patient) bool {
					return v.Practice == c.p && v.ID == r.patient && bytes.Equal(k.recordIndex(v.RecordNumber), r.index)
				})
				if err != nil {
					return err
				}
				r.index = recordIndex(key, c.p, p.RecordNumber)
				rows = append(rows, r)
				return nil
			})
		if err != nil {
			return err
		}
		for _, r := range rows {
			n, err := tx.exec(ctx, `UPDATE patient SET record_index = $1 WHERE practice = $2 AND id = $3`, r.index, c.p, r.patient)
			if err := count(n, err, errRow("patient")); err != nil {
				return err
			}
		}
		if len(rows) < page {
			return nil
		}
		after = rows[len(rows)-1].patient
	}
}

// indexed returns the practice's keys with the index key in use, whoever made
// it. Called in the transaction that relies on it: a rotation waits for it.
func (c *practice) indexed(ctx context.Context, tx querier, k *practiceKeys) (*practiceKeys, error) {
	if err := c.lockKeys(ctx, tx, c.d.dialect.fence); err != nil {
		return nil, err
	}
	return c.newestIndex(ctx, tx, k)
}

// newestIndex returns the practice's keys with the newest index key.
func (c *practice) newestIndex(ctx context.Context, q querier, k *practiceKeys) (*practiceKeys, error) {
	var newest int64
	err := q.one(ctx, `SELECT version FROM practice_key WHERE practice = $1 AND purpose = $2 ORDER BY version DESC LIMIT 1`,
		[]any{c.p, keys.Index}, func(scan scanner) error { return scan(&newest) })
	if err != nil || newest == k.use[keys.Index] {
		return k, err
	}
	if err := c.d.RefreshKeys(ctx); err != nil {
		return nil, err
	}
	return c.keys(ctx)
}

// floor is the row of key_floor.
type floor struct {
	Practice id.Practice `json:"practice"`
	Below    uint32      `json:"below"`
	Version  int64       `json:"version"`
	At       time.Time   `json:"at"`
	DoneAt   time.Time   `json:"done_at,omitzero"`
}

func (f *floor) place() place { return place{"key_floor", f.Practice, fmt.Sprint(f.Below), f.Version} }

// RaiseKeyFloor records that versions of the key-encryption key below `below`
// will be erased. From its return on no key under one is written.
func (c *practice) RaiseKeyFloor(ctx context.Context, below uint32, e *audit.Entry) error {
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		if err := c.lockKeys(ctx, tx, c.d.dialect.lock); err != nil {
			return err
		}
		f := &floor{Practice: c.p, Below: below, Version: 1, At: c.d.now()}
		sealed, err := sealRow(k, f.place(), f)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO key_floor (practice, below, version, sealed) VALUES ($1, $2, 1, $3) ON CONFLICT DO NOTHING`,
			c.p, below, sealed)
		return err
	})
}

// KeysErased records that the erasure was done.
func (c *practice) KeysErased(ctx context.Context, below uint32, e *audit.Entry) error {
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		floors, err := c.keyFloors(ctx, tx, k)
		if err != nil {
			return err
		}
		for _, f := range floors {
			if f.Below != below {
				continue
			}
			if f.Version > 1 {
				return nil
			}
			f.Version, f.DoneAt = 2, c.d.now()
			sealed, err := sealRow(k, f.place(), f)
			if err != nil {
				return err
			}
			n, err := tx.exec(ctx, `UPDATE key_floor SET version = 2, sealed = $1 WHERE practice = $2 AND below = $3 AND version = 1`, sealed, c.p, below)
			return count(n, err, errRow("key_floor"))
		}
		return vault.ErrNotFound
	})
}

// KeyErasures lists them, oldest first.
func (c *practice) KeyErasures(ctx context.Context) ([]vault.KeyErasure, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	floors, err := c.keyFloors(ctx, c.d.read(), k)
	if err != nil {
		return nil, err
	}
	var list []vault.KeyErasure
	for _, f := range floors {
		list = append(list, vault.KeyErasure{Below: f.Below, BeganAt: f.At, DoneAt: f.DoneAt})
	}
	return list, nil
}

func (c *practice) keyFloors(ctx context.Context, q querier, k *practiceKeys) (list []*floor, err error) {
	err = q.each(ctx, `SELECT below, version, sealed FROM key_floor WHERE practice = $1 ORDER BY below`, []any{c.p}, func(scan scanner) error {
		var (
			f      = floor{Practice: c.p}
			sealed []byte
		)
		if err := scan(&f.Below, &f.Version, &sealed); err != nil {
			return err
		}
		row, err := openRow(k, f.place(), sealed, func(v *floor) bool {
			return v.Practice == c.p && v.Below == f.Below && v.Version == f.Version
		})
		list = append(list, row)
		return err
	})
	return list, err
}

// aboveFloor refuses to write a key that is wrapped under a version which is
// about to be erased; the caller makes another. It runs in the transaction
// that writes the key, and RaiseKeyFloor waits for that.
func (c *practice) aboveFloor(ctx context.Context, tx querier, k *practiceKeys, wrapped []byte) error {
	if err := c.lockKeys(ctx, tx, c.d.dialect.fence); err != nil {
		return err
	}
	floors, err := c.keyFloors(ctx, tx, k)
	if err != nil || len(floors) == 0 || floors[len(floors)-1].Below <= 1 {
		return err
	}
	version, err := c.d.keys.Version(wrapped)
	if err != nil {
		return keyError(err)
	}
	if version < floors[len(floors)-1].Below {
		return fmt.Errorf("%w: catalog: the key was wrapped under a version that is being erased", vault.ErrUnavailable)
	}
	return nil
}
