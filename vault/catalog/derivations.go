package catalog

import (
	"context"
	"errors"
	"slices"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/seal"
)

// errMoved rolls back what was fenced on an epoch that is another by now.
var errMoved = errors.New("catalog: the record moved")

func (c *practice) CommitDerive(ctx context.Context, p id.Patient, epoch int64, e *audit.Entry) (bool, error) {
	if c.d.seen.older([]sighting{saw("subject", c.p, p, epoch)}) {
		return false, nil
	}
	err := c.change(ctx, e, func(tx querier, _ *practiceKeys, _ *audit.Entry) error {
		err := tx.one(ctx, `SELECT epoch FROM subject WHERE practice = $1 AND id = $2 AND epoch = $3`+c.d.dialect.fence,
			[]any{c.p, p, epoch}, func(scanner) error { return nil })
		if errors.Is(err, vault.ErrNotFound) {
			return errMoved
		}
		return err
	})
	if errors.Is(err, errMoved) {
		return false, nil
	}
	return err == nil, err
}

func (c *practice) PhotoKey(ctx context.Context, p id.Photo, a id.Authorization) (*vault.PhotoKey, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	key, _, err := c.photoKey(ctx, c.d.read(), k, p, a)
	return key, err
}

func (c *practice) AddRendition(ctx context.Context, p id.Photo, r vault.Rendition, e *audit.Entry) error {
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		if r.With.ID != "" { // the record before the photo, as where it is deleted
			record, err := c.lockRecord(ctx, tx, k, r.With.Patient)
			if err != nil {
				return err
			}
			if hasEvent(record, consent.Deleted, string(r.With.ID)) {
				return vault.ErrGone
			}
		}
		photo, err := c.lockPhoto(ctx, tx, k, p)
		if errors.Is(err, vault.ErrNotFound) || err == nil && photo.State != vault.Ready {
			return vault.ErrGone
		}
		if err != nil {
			return err
		}
		if err := c.commitObject(ctx, tx, r.Object, string(p), seal.SealedSize(r.Size)); err != nil {
			return err
		}
		i := slices.IndexFunc(photo.Renditions, func(old vault.Rendition) bool { return old.Name == r.Name })
		if i < 0 {
			photo.Renditions = append(photo.Renditions, r)
			return c.putPhoto(ctx, tx, k, photo)
		}
		old := photo.Renditions[i].Object
		if err := c.killObject(ctx, tx, old); err != nil {
			return err
		}
		// What marketing copied from it is not the photo's rendition any more.
		if err := c.endCopiesOf(ctx, tx, k, p, old); err != nil {
			return err
		}
		photo.Renditions[i] = r
		return c.putPhoto(ctx, tx, k, photo)
	})
}

// endComparisons removes what shows a photo beside another of the patient, and
// marketing's copies of it.
func (c *practice) endComparisons(ctx context.Context, tx querier, k *practiceKeys, patient id.Patient, gone id.Photo) error {
	list, err := c.photosOf(ctx, tx, k, patient)
	if err != nil {
		return err
	}
	for _, p := range list {
		shows := func(r vault.Rendition) bool { return r.With.ID == gone }
		if p.ID == gone || p.State != vault.Ready || !slices.ContainsFunc(p.Renditions, shows) {
			continue
		}
		if p, err = c.lockPhoto(ctx, tx, k, p.ID); err != nil {
			return err
		}
		if !slices.ContainsFunc(p.Renditions, shows) {
			continue
		}
		for _, r := range p.Renditions {
			if !shows(r) {
				continue
			}
			if err := c.killObject(ctx, tx, r.Object); err != nil {
				return err
			}
			if err := c.endCopiesOf(ctx, tx, k, p.ID, r.Object); err != nil {
				return err
			}
		}
		p.Renditions = slices.DeleteFunc(p.Renditions, shows)
		if err := c.putPhoto(ctx, tx, k, p); err != nil {
			return err
		}
	}
	return nil
}
