package catalog

import (
	"context"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func photoPlace(p id.Practice, photo id.Photo, version int64) place {
	return place{"photo", p, string(photo), version}
}

// photoRow is a photo's row as read.
type photoRow struct {
	id      id.Photo
	patient id.Patient
	device  id.Device
	capture id.Capture
	state   vault.PhotoState
	version int64
	sealed  []byte
}

const photoColumns = `SELECT id, patient, device, capture, state, version, sealed FROM photo `

func (r *photoRow) scan(scan scanner) error {
	return scan(&r.id, &r.patient, &r.device, &r.capture, &r.state, &r.version, &r.sealed)
}

func (r *photoRow) open(k *practiceKeys) (*vault.Photo, error) {
	return openRow(k, photoPlace(k.practice, r.id, r.version), r.sealed, func(v *vault.Photo) bool {
		return v.Practice == k.practice && v.ID == r.id && v.Patient == r.patient && v.Device == r.device &&
			v.Capture == r.capture && v.State == r.state && v.Version == r.version
	})
}

// photo reads one photo; where is what follows practice = $1.
func (c *practice) photo(ctx context.Context, q querier, k *practiceKeys, where string, args ...any) (*vault.Photo, error) {
	var found *vault.Photo
	err := q.one(ctx, photoColumns+`WHERE practice = $1 AND `+where, append([]any{c.p}, args...), func(scan scanner) (err error) {
		var r photoRow
		if err := r.scan(scan); err != nil {
			return err
		}
		found, err = r.open(k)
		return err
	})
	return found, err
}

// lockPhoto reads a photo that the transaction will change.
func (c *practice) lockPhoto(ctx context.Context, tx querier, k *practiceKeys, p id.Photo) (*vault.Photo, error) {
	return c.photo(ctx, tx, k, `id = $2`+c.d.dialect.lock, p)
}

// putPhoto writes a changed photo as its next version.
func (c *practice) putPhoto(ctx context.Context, tx querier, k *practiceKeys, p *vault.Photo) error {
	before := p.Version
	p.Version++
	sealed, err := sealRow(k, photoPlace(c.p, p.ID, p.Version), p)
	if err != nil {
		return err
	}
	n, err := tx.exec(ctx, `UPDATE photo SET state = $1, version = $2, sealed = $3 WHERE practice = $4 AND id = $5 AND version = $6`,
		p.State, p.Version, sealed, c.p, p.ID, before)
	return count(n, err, errRow("photo"))
}

func (c *practice) Photo(ctx context.Context, p id.Photo) (*vault.Photo, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	return c.photo(ctx, c.d.read(), k, `id = $2`, p)
}

func (c *practice) PhotosOf(ctx context.Context, p id.Patient) ([]*vault.Photo, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	return c.photosOf(ctx, c.d.read(), k, p)
}

func (c *practice) photosOf(ctx context.Context, q querier, k *practiceKeys, p id.Patient) ([]*vault.Photo, error) {
	var list []*vault.Photo
	err := q.each(ctx, photoColumns+`WHERE practice = $1 AND patient = $2 ORDER BY id`, []any{c.p, p}, func(scan scanner) error {
		var r photoRow
		if err := r.scan(scan); err != nil {
			return err
		}
		photo, err := r.open(k)
		list = append(list, photo)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (c *practice) DeclarePhoto(ctx context.Context, p *vault.Photo, g *vault.Grant, e *audit.Entry) (*vault.Photo, error) {
	if p.Practice != c.p || g.Practice != c.p || g.Photo != p.ID || p.State != vault.Declared {
		return nil, errForeign
	}
	var out *vault.Photo
	err := c.change(ctx, e, func(tx querier, k *practiceKeys, e *audit.Entry) (err error) {
		declared, grant := *p, *g
		if err := tx.one(ctx, `SELECT id FROM subject WHERE practice = $1 AND id = $2`, []any{c.p, p.Patient}, func(scanner) error { return nil }); err != nil {
			return err
		}
		if declared.SetBy, err = c.setMaker(ctx, tx, k, &declared); err != nil {
			return err
		}
		sealed, err := sealRow(k, photoPlace(c.p, p.ID, p.Version), &declared)
		if err != nil {
			return err
		}
		n, err := tx.exec(ctx, `INSERT INTO photo (practice, id, patient, device, capture, state, version, sealed)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (practice, device, capture) DO NOTHING`,
			c.p, p.ID, p.Patient, p.Device, p.Capture, p.State, p.Version, sealed)
		if err != nil {
			return err
		}
		out = &declared
		if n == 0 {
			if out, err = c.photo(ctx, tx, k, `device = $2 AND capture = $3`, p.Device, p.Capture); err != nil {
				return err
			}
			switch {
			case out.Patient != p.Patient || out.DeclaredBy != p.DeclaredBy:
				return &vault.ConflictError{Code: "capture_differs", Sentence: "This capture was declared for another patient, or by another account."}
			case out.State == vault.Removed:
				return &vault.ConflictError{Code: "capture_deleted", Sentence: "The photo of this capture was deleted; take a new one."}
			case out.Kind != p.Kind || out.View != p.View || out.BodySite != p.BodySite || out.Set != p.Set || out.Treatment != p.Treatment:
				return &vault.ConflictError{Code: "capture_differs", Sentence: "This capture was declared with another kind, view, body site, set or treatment."}
			}
			grant.Photo = out.ID
			if e.Photo == p.ID {
				e.Photo = out.ID
			}
		}
		return c.addGrant(ctx, tx, k, &grant)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// setMaker returns who declared the first photo of the photo's set: its own
// declarer where there is none yet. A set belongs to one patient.
func (c *practice) setMaker(ctx context.Context, tx querier, k *practiceKeys, p *vault.Photo) (id.Account, error) {
	if p.Set == "" {
		return "", nil
	}
	maker := p.DeclaredBy
	err := tx.each(ctx, photoColumns+`WHERE practice = $1 AND patient = $2 ORDER BY id`, []any{c.p, p.Patient}, func(scan scanner) error {
		var r photoRow
		if err := r.scan(scan); err != nil {
			return err
		}
		other, err := r.open(k)
		if err == nil && other.Set == p.Set {
			maker = other.SetBy
		}
		return err
	})
	return maker, err
}

// DeletePhoto also ends an upload or ingest of the photo.
func (c *practice) DeletePhoto(ctx context.Context, photo id.Photo, ev *consent.Event, e *audit.Entry) (*vault.Photo, error) {
	var (
		out *vault.Photo
		now []sighting
	)
	err := c.change(ctx, e, func(tx querier, k *practiceKeys, e *audit.Entry) (err error) {
		// The record first: everything that locks both takes them in this order.
		r, err := c.lockRecord(ctx, tx, k, ev.Patient)
		if err != nil {
			return err
		}
		if out, err = c.lockPhoto(ctx, tx, k, photo); err != nil || out.State == vault.Removed {
			return err
		}
		if ev.Kind != consent.Deleted || ev.Subject != string(photo) || ev.Patient != out.Patient {
			return errForeign
		}
		// The event may be there although the photo is not marked: then an old
		// row of the photo was put back, and marking it again is the cure.
		if !hasEvent(r, consent.Deleted, string(photo)) {
			p := &permission{Kind: kindEvent, Event: ev}
			if now, err = c.appendTo(ctx, tx, k, r, p); err != nil {
				return err
			}
			more, err := c.aftermath(ctx, tx, k, r, p, e)
			if err != nil {
				return err
			}
			now = append(now, more...)
		}
		if err := c.endComparisons(ctx, tx, k, ev.Patient, photo); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM photo_key WHERE practice = $1 AND photo = $2`, c.p, photo); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM job WHERE practice = $1 AND photo = $2`, c.p, photo); err != nil {
			return err
		}
		uploads, err := c.uploadsOf(ctx, tx, photo)
		if err != nil {
			return err
		}
		for _, up := range uploads {
			// Their segments become the photo's, so that whoever removes the
			// photo's objects finds them too.
			if err := c.endUpload(ctx, tx, up.id, string(photo)); err != nil {
				return err
			}
		}
		if err := c.killObjects(ctx, tx, string(photo)); err != nil {
			return err
		}
		out.State, out.DeletedAt = vault.Removed, ev.EnteredAt
		return c.putPhoto(ctx, tx, k, out)
	})
	if err != nil {
		return nil, err
	}
	c.d.seen.note(c.d.now(), now...)
	return out, nil
}
