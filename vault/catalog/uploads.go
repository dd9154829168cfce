package catalog

import (
	"context"
	"errors"
	"time"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// uploadRow is an upload's row as read. What moves with each segment stands in
// clear columns only: what the bytes are, the sealed envelope itself proves.
type uploadRow struct {
	practice                  id.Practice
	id                        id.Upload
	photo                     id.Photo
	owner                     id.Account
	length, received, expires int64
	sealed                    []byte
}

const uploadColumns = `SELECT practice, id, photo, owner, length, received, expires_at, sealed FROM upload `

func (r *uploadRow) scan(scan scanner) error {
	return scan(&r.practice, &r.id, &r.photo, &r.owner, &r.length, &r.received, &r.expires, &r.sealed)
}

func (r *uploadRow) open(k *practiceKeys) (*vault.Upload, error) {
	u, err := openRow(k, place{"upload", r.practice, string(r.id), 1}, r.sealed, func(v *vault.Upload) bool {
		return v.Practice == r.practice && v.ID == r.id && v.Photo == r.photo && v.Owner == r.owner && v.Length == r.length &&
			0 <= r.received && r.received <= r.length
	})
	if err != nil {
		return nil, err
	}
	u.Offset, u.ExpiresAt = r.received, fromMS(r.expires)
	return u, nil
}

// uploadRow reads one upload; where is what follows practice = $1.
func (c *practice) uploadRow(ctx context.Context, q querier, where string, args ...any) (*uploadRow, error) {
	var r uploadRow
	err := q.one(ctx, uploadColumns+`WHERE practice = $1 AND `+where, append([]any{c.p}, args...), r.scan)
	return &r, err
}

func (c *practice) AddUpload(ctx context.Context, u *vault.Upload, e *audit.Entry) error {
	if u.Practice != c.p || u.Offset != 0 || u.Length <= 0 {
		return errForeign
	}
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		photo, err := c.lockPhoto(ctx, tx, k, u.Photo)
		if err != nil {
			return err
		}
		switch photo.State {
		case vault.Declared:
		case vault.Receiving:
			old, err := c.uploadRow(ctx, tx, `photo = $2`, u.Photo)
			if err == nil {
				err = c.endUpload(ctx, tx, old.id, string(old.id))
			}
			if err != nil && !errors.Is(err, vault.ErrNotFound) {
				return err
			}
		case vault.Removed:
			return vault.ErrNotFound
		default:
			return &vault.ConflictError{Code: "already_received", Sentence: "The photo has arrived already."}
		}
		sealed, err := sealRow(k, place{"upload", c.p, string(u.ID), 1}, u)
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `INSERT INTO upload (practice, id, photo, owner, length, received, expires_at, sealed)
			VALUES ($1, $2, $3, $4, $5, 0, $6, $7)`, c.p, u.ID, u.Photo, u.Owner, u.Length, ms(u.ExpiresAt), sealed); err != nil {
			return err
		}
		photo.State = vault.Receiving
		return c.putPhoto(ctx, tx, k, photo)
	})
}

func (c *practice) Upload(ctx context.Context, u id.Upload) (*vault.Upload, []vault.Segment, error) {
	return c.upload(ctx, `id = $2`, u)
}

func (c *practice) UploadOf(ctx context.Context, p id.Photo) (*vault.Upload, []vault.Segment, error) {
	return c.upload(ctx, `photo = $2`, p)
}

func (c *practice) upload(ctx context.Context, where string, arg any) (up *vault.Upload, segments []vault.Segment, err error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, nil, err
	}
	err = c.d.snapshot(ctx, func(q querier) error {
		row, err := c.uploadRow(ctx, q, where, arg)
		if err != nil {
			return err
		}
		if up, err = row.open(k); err != nil {
			return err
		}
		end := int64(0)
		err = q.each(ctx, `SELECT start_at, size, object FROM segment WHERE practice = $1 AND upload = $2 ORDER BY start_at`, []any{c.p, row.id},
			func(scan scanner) error {
				var s vault.Segment
				if err := scan(&s.Start, &s.Size, &s.Object); err != nil {
					return err
				}
				if s.Start != end {
					return errRow("segment")
				}
				end += s.Size
				segments = append(segments, s)
				return nil
			})
		// A finished upload has given its segments up.
		if err == nil && end != up.Offset && !(end == 0 && up.Offset == up.Length) {
			return errRow("segment")
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return up, segments, nil
}

func (c *practice) AddSegment(ctx context.Context, u *vault.Upload, s vault.Segment, expires time.Time, e *audit.Entry) error {
	k, err := c.keys(ctx)
	if err != nil {
		return err
	}
	return c.d.write(ctx, func(tx querier) error {
		row, err := c.uploadRow(ctx, tx, `id = $2`+c.d.dialect.lock, u.ID)
		if errors.Is(err, vault.ErrNotFound) {
			return vault.ErrGone
		}
		if err != nil {
			return err
		}
		if _, err := row.open(k); err != nil {
			return err
		}
		switch {
		case row.received != s.Start:
			return vault.ErrOffset
		case s.Size <= 0 || s.Size > row.length-row.received:
			return vault.ErrTooLarge
		}
		if err := c.commitObject(ctx, tx, s.Object, string(u.ID), s.Size); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `INSERT INTO segment (practice, upload, start_at, size, object) VALUES ($1, $2, $3, $4, $5)`,
			c.p, row.id, s.Start, s.Size, s.Object); err != nil {
			return err
		}
		n, err := tx.exec(ctx, `UPDATE upload SET received = $1, expires_at = $2 WHERE practice = $3 AND id = $4 AND received = $5`,
			s.Start+s.Size, ms(expires), c.p, row.id, s.Start)
		if err := count(n, err, vault.ErrOffset); err != nil || s.Start+s.Size < row.length {
			return err
		}
		return c.receive(ctx, tx, k, row.photo, e)
	})
}

// receive makes a photo whose upload is complete a job.
func (c *practice) receive(ctx context.Context, tx querier, k *practiceKeys, p id.Photo, e *audit.Entry) error {
	if e == nil {
		return errNoEntry
	}
	photo, err := c.lockPhoto(ctx, tx, k, p)
	if err != nil {
		return err
	}
	if photo.State != vault.Receiving {
		return vault.ErrGone
	}
	photo.State = vault.Received
	if err := c.putPhoto(ctx, tx, k, photo); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `INSERT INTO job (practice, photo, not_before, attempts, lease_until) VALUES ($1, $2, $3, 0, 0)`,
		c.p, p, ms(c.d.now())); err != nil {
		return err
	}
	return c.d.audit(ctx, tx, k, e)
}

func (c *practice) EndUpload(ctx context.Context, u id.Upload, e *audit.Entry) error {
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		row, err := c.uploadRow(ctx, tx, `id = $2`+c.d.dialect.lock, u)
		switch {
		case err != nil:
			return err
		case row.received == row.length:
			return vault.ErrNotFound
		}
		if err := c.endUpload(ctx, tx, row.id, string(row.id)); err != nil {
			return err
		}
		photo, err := c.lockPhoto(ctx, tx, k, row.photo)
		if err != nil {
			return err
		}
		if photo.State != vault.Receiving {
			return nil
		}
		photo.State = vault.Declared
		return c.putPhoto(ctx, tx, k, photo)
	})
}

// endUpload removes an upload; its objects die as the heir's.
func (c *practice) endUpload(ctx context.Context, tx querier, u id.Upload, heir string) error {
	if err := c.dropSegments(ctx, tx, u, heir); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `DELETE FROM upload WHERE practice = $1 AND id = $2`, c.p, u)
	return err
}

func (c *practice) dropSegments(ctx context.Context, tx querier, u id.Upload, heir string) error {
	if _, err := tx.exec(ctx, `DELETE FROM segment WHERE practice = $1 AND upload = $2`, c.p, u); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `UPDATE object SET state = $1, changed_at = $2, owner = $3 WHERE practice = $4 AND owner = $5`,
		dead, c.d.nextOrd(), heir, c.p, string(u))
	return err
}

// Expired leaves out complete uploads: what is received does not expire.
func (d *DB) Expired(ctx context.Context, now time.Time, limit int) ([]*vault.Upload, error) {
	var rows []uploadRow
	err := d.read().each(ctx, uploadColumns+`WHERE expires_at < $1 AND received < length ORDER BY expires_at LIMIT $2`, []any{ms(now), limit},
		func(scan scanner) error {
			var r uploadRow
			err := r.scan(scan)
			rows = append(rows, r)
			return err
		})
	if err != nil {
		return nil, err
	}
	var list []*vault.Upload
	for _, r := range rows {
		k, err := d.keysOfRow(ctx, r.practice, "upload")
		if err != nil {
			return nil, err
		}
		u, err := r.open(k)
		if err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, nil
}
