package catalog

import (
	"context"
	"errors"
	"slices"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func noticePlace(p id.Practice, n id.Notice) place { return place{"outbox", p, string(n), 1} }

func openNotice(k *practiceKeys, n id.Notice, audience vault.Audience, sealed []byte) (*vault.Notice, error) {
	return openRow(k, noticePlace(k.practice, n), sealed, func(v *vault.Notice) bool {
		return v.Practice == k.practice && v.ID == n && v.For == audience
	})
}

// notify writes a message for each audience that is to be told; in the
// transaction of what it tells of, whose entry e names them: one that is taken
// out of the outbox before it was sent contradicts the log.
func (c *practice) notify(ctx context.Context, tx querier, k *practiceKeys, n vault.Notice, e *audit.Entry, audiences ...vault.Audience) error {
	for _, to := range audiences {
		if !slices.Contains(c.d.options.Notify, to) {
			continue
		}
		n.ID, n.Practice, n.For, n.At = id.New[id.Notice](), c.p, to, c.d.now()
		if to == vault.ForMarketing {
			n.Patient, n.Account = "", "" // marketing has no need to know (164.502(b))
		}
		sealed, err := sealRow(k, noticePlace(c.p, n.ID), &n)
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `INSERT INTO outbox (practice, id, audience, not_before, attempts, lease_until, sealed) VALUES ($1, $2, $3, $4, 0, 0, $5)`,
			c.p, n.ID, to, ms(n.At), sealed); err != nil {
			return err
		}
		e.Records = append(e.Records, n.Basis())
	}
	return nil
}

// ofTakedown is what is told of one.
func ofTakedown(kind vault.NoticeKind, t *consent.Takedown) vault.Notice {
	return vault.Notice{Kind: kind, Reason: t.Why.Code, Takedown: t.ID, Patient: t.Patient, Photo: t.Photo, Rendition: t.Rendition, Recipient: t.Recipient,
		Channel: t.Channel, Campaign: t.Campaign, DueAt: t.DueAt}
}

// ClaimNotice leases the next due message. One that does not open is left
// leased, so that it holds up no other; fsck finds it.
func (d *DB) ClaimNotice(ctx context.Context, to vault.Audience, now time.Time, lease time.Duration) (*vault.Outgoing, error) {
	var sealed []byte
	due := func(q querier, suffix string) (*vault.Outgoing, error) {
		var o vault.Outgoing
		err := q.one(ctx, `SELECT practice, id, attempts, sealed FROM outbox WHERE audience = $1 AND not_before <= $2 AND lease_until <= $2
			ORDER BY not_before LIMIT 1`+suffix, []any{to, ms(now)}, func(scan scanner) error { return scan(&o.Practice, &o.ID, &o.Attempts, &sealed) })
		if errors.Is(err, vault.ErrNotFound) {
			return nil, nil
		}
		return &o, err
	}
	if o, err := due(d.read(), ""); o == nil || err != nil {
		return nil, err
	}
	var o *vault.Outgoing
	err := d.write(ctx, func(tx querier) (err error) {
		if o, err = due(tx, d.dialect.claim); o == nil || err != nil {
			return err
		}
		o.Attempts++
		o.Lease = fromMS(ms(now.Add(lease)))
		_, err = tx.exec(ctx, `UPDATE outbox SET attempts = $1, lease_until = $2 WHERE practice = $3 AND id = $4`, o.Attempts, ms(o.Lease), o.Practice, o.ID)
		return err
	})
	if o == nil || err != nil {
		return nil, err
	}
	k, err := d.keysOfRow(ctx, o.Practice, "outbox")
	if err != nil {
		return nil, err
	}
	n, err := openNotice(k, o.ID, to, sealed)
	if err != nil {
		return nil, err
	}
	o.Notice = *n
	return o, nil
}

func (c *practice) RetryNotice(ctx context.Context, o *vault.Outgoing, t time.Time) error {
	if o.Practice != c.p {
		return errForeign
	}
	return c.d.write(ctx, func(tx querier) error {
		n, err := tx.exec(ctx, `UPDATE outbox SET not_before = $1, lease_until = 0 WHERE practice = $2 AND id = $3 AND attempts = $4 AND lease_until = $5`,
			ms(t), c.p, o.ID, o.Attempts, ms(o.Lease))
		return count(n, err, vault.ErrGone)
	})
}

func (c *practice) EndNotice(ctx context.Context, o *vault.Outgoing, e *audit.Entry) error {
	if o.Practice != c.p {
		return errForeign
	}
	return c.change(ctx, e, func(tx querier, _ *practiceKeys, _ *audit.Entry) error {
		n, err := tx.exec(ctx, `DELETE FROM outbox WHERE practice = $1 AND id = $2 AND attempts = $3 AND lease_until = $4`, c.p, o.ID, o.Attempts, ms(o.Lease))
		return count(n, err, vault.ErrGone)
	})
}
