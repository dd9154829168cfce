package catalog

import (
	"context"
	"errors"
	"time"

	"photovault/vault"
	"photovault/vault/id"
)

// An object is pending until its owner commits it, then live, then dead until
// it is gone from the store. Each move is a compare-and-set, so that the
// sweeper and a commit cannot both have it. One that dies while it is pending
// may still be on its way into the store, by a process that ends before it
// learns of it: it is doomed, removed like a dead one and yet not forgotten, and
// dead when it is old.
const (
	pending = "pending"
	live    = "live"
	doomed  = "doomed"
	dead    = "dead"
)

// dies is the state after the end of an object's owner.
const dies = `CASE WHEN state IN ('` + pending + `', '` + doomed + `') THEN '` + doomed + `' ELSE '` + dead + `' END`

func (c *practice) PlanObjects(ctx context.Context, objects ...vault.Object) error {
	return c.d.write(ctx, func(tx querier) error {
		for _, o := range objects {
			if _, err := tx.exec(ctx, `INSERT INTO object (practice, id, area, owner, size, state, changed_at, authorization_id)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, c.p, o.ID, o.Area, o.Owner, o.Size, pending, c.d.nextOrd(), o.Authorization); err != nil {
				return err
			}
		}
		return nil
	})
}

// commitObject moves one object from pending to live. ErrGone.
func (c *practice) commitObject(ctx context.Context, tx querier, o id.Object, owner string, size int64) error {
	return c.commitCopyObject(ctx, tx, o, owner, "", size)
}

// commitCopyObject does so for one that was planned under an authorization.
func (c *practice) commitCopyObject(ctx context.Context, tx querier, o id.Object, owner string, a id.Authorization, size int64) error {
	n, err := tx.exec(ctx, `UPDATE object SET state = $1, changed_at = $2
		WHERE practice = $3 AND id = $4 AND owner = $5 AND size = $6 AND state = $7 AND authorization_id = $8`,
		live, c.d.nextOrd(), c.p, o, owner, size, pending, a)
	return count(n, err, vault.ErrGone)
}

// killObjects lets all objects of an owner die.
func (c *practice) killObjects(ctx context.Context, tx querier, owner string) error {
	_, err := tx.exec(ctx, `UPDATE object SET state = `+dies+`, changed_at = $1 WHERE practice = $2 AND owner = $3 AND state <> $4`,
		c.d.nextOrd(), c.p, owner, dead)
	return err
}

// killCopies lets those die that were made, or are being made, of a photo
// under an authorization.
func (c *practice) killCopies(ctx context.Context, tx querier, p id.Photo, a id.Authorization) error {
	_, err := tx.exec(ctx, `UPDATE object SET state = $1, changed_at = $2 WHERE practice = $3 AND owner = $4 AND authorization_id = $5 AND state <> $1`,
		dead, c.d.nextOrd(), c.p, p, a)
	return err
}

// killObject lets one object die.
func (c *practice) killObject(ctx context.Context, tx querier, o id.Object) error {
	_, err := tx.exec(ctx, `UPDATE object SET state = $1, changed_at = $2 WHERE practice = $3 AND id = $4`, dead, c.d.nextOrd(), c.p, o)
	return err
}

// killPending lets those die that an owner planned and did not commit.
func (c *practice) killPending(ctx context.Context, tx querier, owner string) error {
	_, err := tx.exec(ctx, `UPDATE object SET state = $1, changed_at = $2 WHERE practice = $3 AND owner = $4 AND state = $5`,
		doomed, c.d.nextOrd(), c.p, owner, pending)
	return err
}

const deadColumns = `SELECT practice, id, area, owner, size FROM object `

func (q querier) dead(ctx context.Context, where string, args ...any) ([]vault.DeadObject, error) {
	var list []vault.DeadObject
	err := q.each(ctx, deadColumns+where, args, func(scan scanner) error {
		var o vault.DeadObject
		err := scan(&o.Practice, &o.ID, &o.Area, &o.Owner, &o.Size)
		list = append(list, o)
		return err
	})
	return list, err
}

func (c *practice) DeadObjects(ctx context.Context, owner string) ([]vault.DeadObject, error) {
	return c.d.read().dead(ctx, `WHERE practice = $1 AND owner = $2 AND state IN ($3, $4) ORDER BY id`, c.p, owner, dead, doomed)
}

func (c *practice) AbandonObject(ctx context.Context, o id.Object) (abandoned bool, err error) {
	err = c.d.write(ctx, func(tx querier) error {
		if _, err := tx.exec(ctx, `UPDATE object SET state = $1, changed_at = $2 WHERE practice = $3 AND id = $4 AND state IN ($5, $6)`,
			dead, c.d.nextOrd(), c.p, o, pending, doomed); err != nil {
			return err
		}
		var state string
		err := tx.one(ctx, `SELECT state FROM object WHERE practice = $1 AND id = $2`, []any{c.p, o},
			func(scan scanner) error { return scan(&state) })
		abandoned = errors.Is(err, vault.ErrNotFound) || err == nil && state == dead
		if errors.Is(err, vault.ErrNotFound) {
			return nil
		}
		return err
	})
	return abandoned && err == nil, err
}

func (c *practice) ForgetObject(ctx context.Context, o id.Object) error {
	return c.d.write(ctx, func(tx querier) error {
		_, err := tx.exec(ctx, `DELETE FROM object WHERE practice = $1 AND id = $2 AND state = $3`, c.p, o, dead)
		return err
	})
}

// TakeDead puts those it returns to the end of the queue: objects that cannot
// be removed do not stand in the way of others. It also forgets finished
// uploads that have expired by now; until then they tell a client that its
// last byte arrived.
func (d *DB) TakeDead(ctx context.Context, t time.Time, limit int) ([]vault.DeadObject, error) {
	var list []vault.DeadObject
	err := d.write(ctx, func(tx querier) error {
		if _, err := tx.exec(ctx, `UPDATE object SET state = $1, changed_at = $2 WHERE state IN ($3, $4) AND changed_at < $5`,
			dead, d.nextOrd(), pending, doomed, t.UnixNano()); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM upload WHERE expires_at < $1 AND received = length AND NOT EXISTS
			(SELECT 1 FROM job WHERE job.practice = upload.practice AND job.photo = upload.photo) AND NOT EXISTS
			(SELECT 1 FROM segment WHERE segment.practice = upload.practice AND segment.upload = upload.id)`, ms(d.now())); err != nil {
			return err
		}
		var err error
		if list, err = tx.dead(ctx, `WHERE state = $1 ORDER BY changed_at LIMIT $2`+d.dialect.claim, dead, limit); err != nil {
			return err
		}
		for _, o := range list {
			if _, err := tx.exec(ctx, `UPDATE object SET changed_at = $1 WHERE practice = $2 AND id = $3 AND state = $4`,
				d.nextOrd(), o.Practice, o.ID, dead); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}
