package catalog

import (
	"cmp"
	"context"
	"errors"
	"slices"
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
	partial                   int64
	sealed                    []byte
}

const uploadColumns = `SELECT practice, id, photo, owner, length, received, expires_at, partial, sealed FROM upload `

func (r *uploadRow) scan(scan scanner) error {
	return scan(&r.practice, &r.id, &r.photo, &r.owner, &r.length, &r.received, &r.expires, &r.partial, &r.sealed)
}

func (r *uploadRow) open(k *practiceKeys) (*vault.Upload, error) {
	u, err := openRow(k, place{"upload", r.practice, string(r.id), 1}, r.sealed, func(v *vault.Upload) bool {
		return v.Practice == r.practice && v.ID == r.id && v.Photo == r.photo && v.Owner == r.owner && v.Length == r.length &&
			v.Partial == (r.partial != 0) && 0 <= r.received && r.received <= r.length
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
		case vault.Declared, vault.Receiving, vault.Rejected:
		case vault.Removed:
			return vault.ErrNotFound
		default:
			return errReceived
		}
		if err := c.endOlder(ctx, tx, u); err != nil {
			return err
		}
		if err := c.insertUpload(ctx, tx, k, u, 0); err != nil {
			return err
		}
		if photo.State == vault.Receiving {
			return nil
		}
		photo.RejectedCode = ""
		photo.State = vault.Receiving
		return c.putPhoto(ctx, tx, k, photo)
	})
}

var errReceived = &vault.ConflictError{Code: "already_received", Sentence: "The photo has arrived already."}

// endOlder makes room for an upload.
func (c *practice) endOlder(ctx context.Context, tx querier, u *vault.Upload) error {
	old, err := c.uploadsOf(ctx, tx, u.Photo)
	if err != nil {
		return err
	}
	parts := 0
	for _, r := range old {
		if r.partial != 0 {
			parts++
		}
	}
	for _, r := range old { // the oldest first
		if u.Partial && r.partial != 0 {
			if parts < vault.MaxParts {
				continue
			}
			parts--
		}
		if err := c.endUpload(ctx, tx, r.id, string(r.id)); err != nil {
			return err
		}
	}
	return nil
}

// uploadsOf returns every upload of a photo, in the order in which they would expire.
func (c *practice) uploadsOf(ctx context.Context, tx querier, p id.Photo) (list []uploadRow, err error) {
	err = tx.each(ctx, uploadColumns+`WHERE practice = $1 AND photo = $2 ORDER BY expires_at, id`+c.d.dialect.lock, []any{c.p, p},
		func(scan scanner) error {
			var r uploadRow
			err := r.scan(scan)
			list = append(list, r)
			return err
		})
	return list, err
}

func (c *practice) insertUpload(ctx context.Context, tx querier, k *practiceKeys, u *vault.Upload, received int64) error {
	sealed, err := sealRow(k, place{"upload", c.p, string(u.ID), 1}, u)
	if err != nil {
		return err
	}
	partial := 0
	if u.Partial {
		partial = 1
	}
	_, err = tx.exec(ctx, `INSERT INTO upload (practice, id, photo, owner, length, received, expires_at, partial, sealed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, c.p, u.ID, u.Photo, u.Owner, u.Length, received, ms(u.ExpiresAt), partial, sealed)
	return err
}

func (c *practice) Upload(ctx context.Context, u id.Upload) (*vault.Upload, []vault.Segment, error) {
	return c.upload(ctx, `id = $2`, u)
}

func (c *practice) UploadOf(ctx context.Context, p id.Photo) (*vault.Upload, []vault.Segment, error) {
	return c.upload(ctx, `photo = $2 AND partial = 0`, p)
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
		if segments, err = c.segments(ctx, q, k, row.id); err != nil {
			return err
		}
		// A finished upload has given its segments up.
		if end := extent(segments); end != up.Offset && !(end == 0 && up.Offset == up.Length) {
			return errRow("segment")
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return up, segments, nil
}

func (c *practice) AddSegments(ctx context.Context, u *vault.Upload, segments []vault.Segment, expires time.Time, e *audit.Entry) error {
	k, err := c.keys(ctx)
	if err != nil {
		return err
	}
	if len(segments) == 0 {
		return vault.ErrTooLarge
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
		end := row.received
		for _, s := range segments {
			switch {
			case end != s.Start:
				return vault.ErrOffset
			case s.Size <= 0 || s.Size > row.length-end:
				return vault.ErrTooLarge
			}
			if err := c.commitObject(ctx, tx, s.Object, string(u.ID), s.Size); errors.Is(err, vault.ErrGone) {
				return vault.ErrSwept // the upload itself is there
			} else if err != nil {
				return err
			}
			if err := c.insertSegment(ctx, tx, k, row.id, s); err != nil {
				return err
			}
			end += s.Size
		}
		n, err := tx.exec(ctx, `UPDATE upload SET received = $1, expires_at = $2 WHERE practice = $3 AND id = $4 AND received = $5`,
			end, ms(expires), c.p, row.id, row.received)
		if err := count(n, err, vault.ErrOffset); err != nil || end < row.length || row.partial != 0 {
			return err
		}
		if e == nil {
			return errNoEntry
		}
		if err := c.receive(ctx, tx, k, row.photo, row.owner); err != nil {
			return err
		}
		return c.d.audit(ctx, tx, k, e)
	})
}

// receive makes a photo whose upload is complete a job. Its sender was known
// when the request began, which may be long ago: an account that has ended since
// adds no photo. ErrNotFound.
func (c *practice) receive(ctx context.Context, tx querier, k *practiceKeys, p id.Photo, owner id.Account) error {
	photo, err := c.lockPhoto(ctx, tx, k, p)
	if err != nil {
		return err
	}
	var account *vault.Account
	err = tx.one(ctx, `SELECT id, version, sealed FROM account WHERE practice = $1 AND id = $2`+c.d.dialect.fence, []any{c.p, owner},
		func(scan scanner) (err error) { account, err = scanAccount(k, scan); return err })
	if err != nil {
		return err
	}
	if !account.Active() {
		return vault.ErrNotFound
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
	return nil
}

func (c *practice) EndUpload(ctx context.Context, u id.Upload, e *audit.Entry) error {
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		row, err := c.uploadRow(ctx, tx, `id = $2`, u)
		if err != nil {
			return err
		}
		// The photo first: everything that locks both takes them in this
		// order, but for a segment, which is tried again.
		photo, err := c.lockPhoto(ctx, tx, k, row.photo)
		if err != nil {
			return err
		}
		all, err := c.uploadsOf(ctx, tx, row.photo)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(r uploadRow) bool { return r.id == u })
		if i < 0 {
			return vault.ErrNotFound
		}
		if all[i].received == all[i].length {
			// Received, or taken in by a final upload; a part that still has
			// its segments waits for one.
			if all[i].partial == 0 {
				return vault.ErrNotFound
			}
			if segments, err := c.segments(ctx, tx, k, u); err != nil || len(segments) == 0 {
				return cmp.Or(err, vault.ErrNotFound)
			}
		}
		if err := c.endUpload(ctx, tx, u, string(u)); err != nil || photo.State != vault.Receiving || len(all) > 1 {
			return err
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
	_, err := tx.exec(ctx, `UPDATE object SET state = `+dies+`, changed_at = $1, owner = $2 WHERE practice = $3 AND owner = $4`,
		c.d.nextOrd(), heir, c.p, string(u))
	return err
}

// Expired leaves out complete uploads: what is received does not expire, but
// for the parts of one that was never put together. Where this process's clock
// is not the database's it tells none: ErrUnavailable.
func (d *DB) Expired(ctx context.Context, now time.Time, limit int) ([]*vault.Upload, error) {
	if err := d.steady(ctx); err != nil {
		return nil, err
	}
	var rows []uploadRow
	err := d.read().each(ctx, uploadColumns+`WHERE expires_at < $1 AND (received < length OR partial = 1 AND
		(SELECT MIN(start_at) FROM segment WHERE segment.practice = upload.practice AND segment.upload = upload.id) = 0) ORDER BY expires_at LIMIT $2`, []any{ms(now), limit},
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
