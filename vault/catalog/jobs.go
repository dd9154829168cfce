package catalog

import (
	"context"
	"errors"
	"time"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/seal"
)

// ClaimJob counts the attempt that begins. A job whose lease ran out is due
// again: its holder's commit is then refused.
func (d *DB) ClaimJob(ctx context.Context, now time.Time, lease time.Duration) (*vault.Job, error) {
	// Nearly always there is none; a look costs no write lock.
	due := func(q querier, suffix string) (*vault.Job, error) {
		var j vault.Job
		err := q.one(ctx, `SELECT practice, photo, attempts FROM job WHERE not_before <= $1 AND lease_until <= $1
			ORDER BY not_before LIMIT 1`+suffix, []any{ms(now)},
			func(scan scanner) error { return scan(&j.Practice, &j.Photo, &j.Attempts) })
		if errors.Is(err, vault.ErrNotFound) {
			return nil, nil
		}
		return &j, err
	}
	if j, err := due(d.read(), ""); j == nil || err != nil {
		return nil, err
	}
	var j *vault.Job
	err := d.write(ctx, func(tx querier) (err error) {
		if j, err = due(tx, d.dialect.claim); j == nil || err != nil {
			return err
		}
		j.Attempts++
		j.Lease = fromMS(ms(now.Add(lease)))
		_, err = tx.exec(ctx, `UPDATE job SET attempts = $1, lease_until = $2 WHERE practice = $3 AND photo = $4`,
			j.Attempts, ms(j.Lease), j.Practice, j.Photo)
		return err
	})
	if err != nil {
		return nil, err
	}
	return j, nil
}

// endJob removes the job if its lease is still the caller's: nobody claimed
// it since, and it was not given back. ErrGone.
func (c *practice) endJob(ctx context.Context, tx querier, j *vault.Job) error {
	if j.Practice != c.p {
		return errForeign
	}
	n, err := tx.exec(ctx, `DELETE FROM job WHERE practice = $1 AND photo = $2 AND attempts = $3 AND lease_until = $4`,
		c.p, j.Photo, j.Attempts, ms(j.Lease))
	return count(n, err, vault.ErrGone)
}

func (c *practice) RetryJob(ctx context.Context, j *vault.Job, t time.Time) error {
	if j.Practice != c.p {
		return errForeign
	}
	return c.d.write(ctx, func(tx querier) error {
		n, err := tx.exec(ctx, `UPDATE job SET not_before = $1, lease_until = 0 WHERE practice = $2 AND photo = $3 AND attempts = $4 AND lease_until = $5`,
			ms(t), c.p, j.Photo, j.Attempts, ms(j.Lease))
		return count(n, err, vault.ErrGone)
	})
}

func (c *practice) ReturnJob(ctx context.Context, j *vault.Job) error {
	if j.Practice != c.p {
		return errForeign
	}
	return c.d.write(ctx, func(tx querier) error {
		n, err := tx.exec(ctx, `UPDATE job SET attempts = attempts - 1, lease_until = 0 WHERE practice = $1 AND photo = $2 AND attempts = $3 AND lease_until = $4`,
			c.p, j.Photo, j.Attempts, ms(j.Lease))
		return count(n, err, vault.ErrGone)
	})
}

func (c *practice) RenewJob(ctx context.Context, j *vault.Job, until time.Time) error {
	if j.Practice != c.p {
		return errForeign
	}
	until = fromMS(ms(until))
	err := c.d.write(ctx, func(tx querier) error {
		n, err := tx.exec(ctx, `UPDATE job SET lease_until = $1 WHERE practice = $2 AND photo = $3 AND attempts = $4 AND lease_until = $5`,
			ms(until), c.p, j.Photo, j.Attempts, ms(j.Lease))
		return count(n, err, vault.ErrGone)
	})
	if err == nil {
		j.Lease = until
	}
	return err
}

// errMarked: the job was marked before.
var errMarked = errors.New("catalog: marked already")

func (c *practice) MarkDamaged(ctx context.Context, j *vault.Job, e *audit.Entry) (first bool, err error) {
	if j.Practice != c.p {
		return false, errForeign
	}
	err = c.change(ctx, e, func(tx querier, _ *practiceKeys, _ *audit.Entry) error {
		var damaged int64
		err := tx.one(ctx, `SELECT damaged FROM job WHERE practice = $1 AND photo = $2 AND attempts = $3 AND lease_until = $4`+c.d.dialect.lock,
			[]any{c.p, j.Photo, j.Attempts, ms(j.Lease)}, func(scan scanner) error { return scan(&damaged) })
		switch {
		case errors.Is(err, vault.ErrNotFound):
			return vault.ErrGone
		case err != nil:
			return err
		case damaged != 0:
			return errMarked
		}
		_, err = tx.exec(ctx, `UPDATE job SET damaged = 1 WHERE practice = $1 AND photo = $2`, c.p, j.Photo)
		return err
	})
	if errors.Is(err, errMarked) {
		return false, nil
	}
	return err == nil, err
}

func (c *practice) Damaged(ctx context.Context) (list []id.Photo, err error) {
	err = c.d.read().each(ctx, `SELECT photo FROM job WHERE practice = $1 AND damaged = 1 ORDER BY photo`, []any{c.p}, func(scan scanner) error {
		var p id.Photo
		err := scan(&p)
		list = append(list, p)
		return err
	})
	return list, err
}

// finishJob ends a job and the segments it worked on, and returns its photo,
// which is still received.
func (c *practice) finishJob(ctx context.Context, tx querier, k *practiceKeys, j *vault.Job) (*vault.Photo, error) {
	photo, err := c.lockPhoto(ctx, tx, k, j.Photo)
	if errors.Is(err, vault.ErrNotFound) || err == nil && photo.State != vault.Received {
		return nil, vault.ErrGone
	}
	if err != nil {
		return nil, err
	}
	if err := c.endJob(ctx, tx, j); err != nil {
		return nil, err
	}
	switch up, err := c.uploadRow(ctx, tx, `photo = $2 AND partial = 0`, j.Photo); {
	case err == nil:
		return photo, c.dropSegments(ctx, tx, up.id, string(up.id))
	case errors.Is(err, vault.ErrNotFound):
		return photo, nil
	default:
		return nil, err
	}
}

// CommitPhoto takes from p what ingest made: renditions, receipt and time.
// The rest of the photo stays as it is stored.
func (c *practice) CommitPhoto(ctx context.Context, j *vault.Job, p *vault.Photo, key *vault.PhotoKey, e *audit.Entry) error {
	if p.Practice != c.p || p.ID != j.Photo || key.Photo != p.ID || len(p.Renditions) == 0 {
		return errForeign
	}
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		photo, err := c.finishJob(ctx, tx, k, j)
		if err != nil {
			return err
		}
		for _, r := range p.Renditions {
			if err := c.commitObject(ctx, tx, r.Object, string(p.ID), seal.SealedSize(r.Size)); err != nil {
				return err
			}
		}
		// What earlier attempts planned is nobody's now.
		if err := c.killPending(ctx, tx, string(p.ID)); err != nil {
			return err
		}
		if err := c.addPhotoKey(ctx, tx, k, key); err != nil {
			return err
		}
		photo.State, photo.ReadyAt, photo.Renditions, photo.Receipt = vault.Ready, p.ReadyAt, p.Renditions, p.Receipt
		if photo.ReadyAt.IsZero() {
			photo.ReadyAt = c.d.now()
		}
		return c.putPhoto(ctx, tx, k, photo)
	})
}

func (c *practice) RejectPhoto(ctx context.Context, j *vault.Job, code string, e *audit.Entry) error {
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		photo, err := c.finishJob(ctx, tx, k, j)
		if err != nil {
			return err
		}
		if err := c.killObjects(ctx, tx, string(j.Photo)); err != nil {
			return err
		}
		photo.State, photo.RejectedCode = vault.Rejected, code
		return c.putPhoto(ctx, tx, k, photo)
	})
}
