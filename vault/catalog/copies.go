package catalog

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/seal"
)

// photoKeyRow is a photo's wrapped key as read: its own, or that of marketing's
// copies under an authorization.
type photoKeyRow struct {
	photo         id.Photo
	authorization id.Authorization
	keepUntil     int64
	sealed        []byte
}

const keyColumns = `SELECT photo, authorization_id, keep_until, sealed FROM photo_key `

func (r *photoKeyRow) scan(scan scanner) error {
	return scan(&r.photo, &r.authorization, &r.keepUntil, &r.sealed)
}

func (r *photoKeyRow) open(k *practiceKeys) (*vault.PhotoKey, error) {
	return openRow(k, photoKeyPlace(k.practice, r.photo, r.authorization), r.sealed, func(v *vault.PhotoKey) bool {
		return v.Photo == r.photo && v.Authorization == r.authorization && maybeMS(v.KeepUntil) == r.keepUntil
	})
}

// name is how fsck calls the row.
func (r *photoKeyRow) name() string {
	if r.authorization == "" {
		return string(r.photo)
	}
	return string(r.photo) + "/" + string(r.authorization)
}

func photoKeyPlace(p id.Practice, photo id.Photo, a id.Authorization) place {
	return place{"photo_key", p, string(photo) + "/" + string(a), 1}
}

// photoKey also returns the row's sealed column, to be compared when it is replaced.
func (c *practice) photoKey(ctx context.Context, q querier, k *practiceKeys, p id.Photo, a id.Authorization) (key *vault.PhotoKey, sealed []byte, err error) {
	err = q.one(ctx, keyColumns+`WHERE practice = $1 AND photo = $2 AND authorization_id = $3`, []any{c.p, p, a}, func(scan scanner) (err error) {
		var r photoKeyRow
		if err := r.scan(scan); err != nil {
			return err
		}
		if r.photo != p || r.authorization != a {
			return errRow("photo_key")
		}
		key, err = r.open(k)
		sealed = r.sealed
		return err
	})
	return key, sealed, err
}

func (c *practice) addPhotoKey(ctx context.Context, tx querier, k *practiceKeys, key *vault.PhotoKey) error {
	if err := c.aboveFloor(ctx, tx, k, key.Wrapped); err != nil {
		return err
	}
	sealed, err := sealRow(k, photoKeyPlace(c.p, key.Photo, key.Authorization), key)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO photo_key (practice, photo, authorization_id, keep_until, sealed) VALUES ($1, $2, $3, $4, $5)`,
		c.p, key.Photo, key.Authorization, maybeMS(key.KeepUntil), sealed)
	return err
}

// replacePhotoKey writes a row anew if it still is what was read; it returns
// how many rows changed.
func (c *practice) replacePhotoKey(ctx context.Context, tx querier, k *practiceKeys, key *vault.PhotoKey, was []byte) (int64, error) {
	sealed, err := sealRow(k, photoKeyPlace(c.p, key.Photo, key.Authorization), key)
	if err != nil {
		return 0, err
	}
	return tx.exec(ctx, `UPDATE photo_key SET sealed = $1 WHERE practice = $2 AND photo = $3 AND authorization_id = $4 AND sealed = $5`,
		sealed, c.p, key.Photo, key.Authorization, was)
}

// AddCopy decides again, under the record's lock, whether the copy may exist: an
// authorization that ended since the copy was begun takes it along.
func (c *practice) AddCopy(ctx context.Context, p id.Patient, key *vault.PhotoKey, made vault.Copy, e *audit.Entry) error {
	if key.Authorization == "" {
		return errForeign
	}
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		r, err := c.lockRecord(ctx, tx, k, p)
		if err != nil {
			return err
		}
		photo, err := c.lockPhoto(ctx, tx, k, key.Photo)
		switch {
		case errors.Is(err, vault.ErrNotFound):
			return vault.ErrGone
		case err != nil:
			return err
		case photo.Patient != p, photo.State != vault.Ready, !r.KeepsCopies(key.Authorization, photo.ID, c.d.now()),
			!slices.ContainsFunc(photo.Renditions, func(r vault.Rendition) bool { return r.Name == made.Name && r.Object == made.Source }):
			return vault.ErrGone
		}
		if err := c.commitCopyObject(ctx, tx, made.Object, string(photo.ID), key.Authorization, seal.SealedSize(made.Size)); err != nil {
			return err
		}
		return c.putCopy(ctx, tx, k, key, made)
	})
}

// putCopy adds the copy to those that are there under the same key, or is the
// first and brings the key.
func (c *practice) putCopy(ctx context.Context, tx querier, k *practiceKeys, key *vault.PhotoKey, made vault.Copy) error {
	there, was, err := c.photoKey(ctx, tx, k, key.Photo, key.Authorization)
	if errors.Is(err, vault.ErrNotFound) {
		first := *key
		first.Copies = []vault.Copy{made}
		return c.addPhotoKey(ctx, tx, k, &first)
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(there.Wrapped, key.Wrapped) || slices.ContainsFunc(there.Copies, func(old vault.Copy) bool { return old.Name == made.Name }) {
		return vault.ErrGone // another was first, or the key was rewrapped meanwhile
	}
	there.Copies = append(there.Copies, made)
	n, err := c.replacePhotoKey(ctx, tx, k, there, was)
	return count(n, err, vault.ErrGone)
}

// endCopies removes the keys of all copies of the patient's photos that may not
// be kept on the record as it is now, and lets their objects die; the entry
// names them. The caller holds the record's lock. Which authorizations there
// are says the record's own rows, which the head commits to.
func (c *practice) endCopies(ctx context.Context, tx querier, r *consent.Record, e *audit.Entry) (ended int, err error) {
	var list []photoKeyRow
	err = tx.each(ctx, `SELECT k.photo, k.authorization_id FROM permission x JOIN photo_key k ON k.practice = x.practice AND k.authorization_id = x.id
		WHERE x.practice = $1 AND x.patient = $2 AND x.kind = $3`, []any{c.p, r.Patient, kindAuthorization}, func(scan scanner) error {
		var row photoKeyRow
		err := scan(&row.photo, &row.authorization)
		list = append(list, row)
		return err
	})
	if err != nil {
		return 0, err
	}
	now := c.d.now()
	for _, row := range list {
		if r.KeepsCopies(row.authorization, row.photo, now) {
			continue
		}
		if err := c.endCopy(ctx, tx, row.photo, row.authorization); err != nil {
			return 0, err
		}
		e.Records = append(e.Records, "ended-copies/"+row.name())
		ended++
	}
	return ended, nil
}

// endCopy revokes the copies of one photo under one authorization.
func (c *practice) endCopy(ctx context.Context, tx querier, p id.Photo, a id.Authorization) error {
	if _, err := tx.exec(ctx, `DELETE FROM photo_key WHERE practice = $1 AND photo = $2 AND authorization_id = $3`, c.p, p, a); err != nil {
		return err
	}
	return c.killCopies(ctx, tx, p, a)
}

// endCopiesOf ends the copies of a photo that were made from one object.
func (c *practice) endCopiesOf(ctx context.Context, tx querier, k *practiceKeys, p id.Photo, from id.Object) error {
	var list []*vault.PhotoKey
	err := tx.each(ctx, keyColumns+`WHERE practice = $1 AND photo = $2 AND authorization_id <> ''`, []any{c.p, p}, func(scan scanner) error {
		var r photoKeyRow
		if err := r.scan(scan); err != nil {
			return err
		}
		key, err := r.open(k)
		list = append(list, key)
		return err
	})
	if err != nil {
		return err
	}
	for _, key := range list {
		if slices.ContainsFunc(key.Copies, func(v vault.Copy) bool { return v.Source == from }) {
			if err := c.endCopy(ctx, tx, p, key.Authorization); err != nil {
				return err
			}
		}
	}
	return nil
}

// EndCopies writes no entry where nothing ended.
func (c *practice) EndCopies(ctx context.Context, p id.Patient, e *audit.Entry) (ended int, err error) {
	err = c.change(ctx, e, func(tx querier, k *practiceKeys, e *audit.Entry) error {
		r, err := c.lockRecord(ctx, tx, k, p)
		if err != nil {
			return err
		}
		if ended, err = c.endCopies(ctx, tx, r, e); err == nil && ended == 0 {
			return errNothing
		}
		return err
	})
	if errors.Is(err, errNothing) {
		return 0, nil
	}
	return ended, err
}

// errNothing rolls back a change that changed nothing.
var errNothing = errors.New("catalog: nothing to do")

// CopyHolders trusts the clear columns: it is where to look, and what is found
// there is decided on whole records.
func (c *practice) CopyHolders(ctx context.Context, by time.Time) (list []id.Patient, err error) {
	query, args := `SELECT DISTINCT x.patient FROM photo_key k JOIN permission x ON x.practice = k.practice AND x.id = k.authorization_id
		WHERE k.practice = $1 AND `, []any{c.p}
	if by.IsZero() {
		query += `k.authorization_id > ''`
	} else {
		query, args = query+`k.keep_until BETWEEN 1 AND $2`, append(args, ms(by))
	}
	err = c.d.read().each(ctx, query, args, func(scan scanner) error {
		var p id.Patient
		err := scan(&p)
		list = append(list, p)
		return err
	})
	return list, err
}
