package catalog

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// takedownRow is a takedown's row as read.
type takedownRow struct {
	id      id.Takedown
	patient id.Patient
	release id.Entry
	state   consent.TakedownState
	due     int64
	version int64
	sealed  []byte
}

const takedownColumns = `SELECT id, patient, release_id, state, due_at, version, sealed FROM takedown `

func (r *takedownRow) scan(scan scanner) error {
	return scan(&r.id, &r.patient, &r.release, &r.state, &r.due, &r.version, &r.sealed)
}

func takedownPlace(p id.Practice, t id.Takedown, version int64) place {
	return place{"takedown", p, string(t), version}
}

func (r *takedownRow) open(k *practiceKeys) (*consent.Takedown, error) {
	return openRow(k, takedownPlace(k.practice, r.id, r.version), r.sealed, func(v *consent.Takedown) bool {
		return v.Practice == k.practice && v.ID == r.id && v.Patient == r.patient && v.Release == r.release && v.State == r.state &&
			ms(v.DueAt) == r.due && v.Version == r.version
	})
}

func openConfirmation(k *practiceKeys, t id.Takedown, n int64, sealed []byte) (*consent.Confirmation, error) {
	return openRow(k, confirmationPlace(k.practice, t, n), sealed, func(v *consent.Confirmation) bool {
		return v.Practice == k.practice && v.Takedown == t && int64(v.N) == n
	})
}

func confirmationPlace(p id.Practice, t id.Takedown, n int64) place {
	return place{"takedown_confirmation", p, string(t) + "/" + strconv.FormatInt(n, 10), 1}
}

// addTakedown opens one.
func (c *practice) addTakedown(ctx context.Context, tx querier, k *practiceKeys, t *consent.Takedown) error {
	sealed, err := sealRow(k, takedownPlace(c.p, t.ID, t.Version), t)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO takedown (practice, id, patient, release_id, state, due_at, version, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.p, t.ID, t.Patient, t.Release, t.State, ms(t.DueAt), t.Version, sealed)
	return err
}

// putTakedown writes a changed one as its next version.
func (c *practice) putTakedown(ctx context.Context, tx querier, k *practiceKeys, t *consent.Takedown) error {
	before := t.Version
	t.Version++
	sealed, err := sealRow(k, takedownPlace(c.p, t.ID, t.Version), t)
	if err != nil {
		return err
	}
	n, err := tx.exec(ctx, `UPDATE takedown SET state = $1, version = $2, sealed = $3 WHERE practice = $4 AND id = $5 AND version = $6`,
		t.State, t.Version, sealed, c.p, t.ID, before)
	return count(n, err, errRow("takedown"))
}

func (c *practice) lockTakedown(ctx context.Context, tx querier, k *practiceKeys, takedown id.Takedown) (t *consent.Takedown, err error) {
	err = tx.one(ctx, takedownColumns+`WHERE practice = $1 AND id = $2`+c.d.dialect.lock, []any{c.p, takedown}, func(scan scanner) error {
		var r takedownRow
		if err := r.scan(scan); err != nil {
			return err
		}
		t, err = r.open(k)
		return err
	})
	if err == nil && c.d.seen.older([]sighting{saw("takedown", c.p, takedown, t.Version)}) {
		return nil, errRow("takedown")
	}
	return t, err
}

// takedowns reads them with their confirmations, in one statement. only is
// what follows "practice = $1" to choose them.
func (c *practice) takedowns(ctx context.Context, only, ofConfirmations string, args ...any) ([]consent.Takedown, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	query := `SELECT 'takedown', id, patient, release_id, state, due_at, version, sealed FROM takedown WHERE practice = $1` + only +
		` UNION ALL SELECT 'confirmation', takedown, '', '', '', n, 0, sealed FROM takedown_confirmation WHERE practice = $1` + ofConfirmations
	return watched(c.d, func() ([]consent.Takedown, []sighting, error) {
		out, seen := []consent.Takedown{}, []sighting{}
		confirmed := map[id.Takedown][]consent.Confirmation{}
		err := c.d.read().each(ctx, query, append([]any{c.p}, args...), func(scan scanner) error {
			var (
				table string
				r     takedownRow
			)
			if err := scan(&table, &r.id, &r.patient, &r.release, &r.state, &r.due, &r.version, &r.sealed); err != nil {
				return err
			}
			if table != "takedown" {
				one, err := openConfirmation(k, r.id, r.due, r.sealed)
				if err == nil {
					confirmed[r.id] = append(confirmed[r.id], *one)
				}
				return err
			}
			t, err := r.open(k)
			if err == nil {
				out, seen = append(out, *t), append(seen, saw("takedown", c.p, t.ID, t.Version))
			}
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		for i := range out {
			t := &out[i]
			t.Confirmations = confirmed[t.ID]
			slices.SortFunc(t.Confirmations, func(a, b consent.Confirmation) int { return cmp.Compare(a.N, b.N) })
			if len(t.Confirmations) != t.Confirmed || t.Confirmed > 0 && t.Confirmations[t.Confirmed-1].N != t.Confirmed {
				return nil, nil, errRow("takedown_confirmation")
			}
			delete(confirmed, t.ID)
		}
		if len(confirmed) > 0 {
			return nil, nil, errRow("takedown_confirmation") // of none
		}
		return out, seen, nil
	})
}

func (c *practice) Takedowns(ctx context.Context) ([]consent.Takedown, error) {
	return c.takedowns(ctx, "", "")
}

func (c *practice) Takedown(ctx context.Context, t id.Takedown) (*consent.Takedown, error) {
	list, err := c.takedowns(ctx, ` AND id = $2`, ` AND takedown = $2`, t)
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, vault.ErrNotFound
	}
	return &list[0], nil
}

func (c *practice) Overdue(ctx context.Context, now time.Time) ([]consent.Takedown, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	var list []consent.Takedown
	err = c.d.read().each(ctx, takedownColumns+`WHERE practice = $1 AND state = $2 AND due_at <= $3 ORDER BY due_at`,
		[]any{c.p, consent.TakedownOpen, ms(now)}, func(scan scanner) error {
			var r takedownRow
			if err := r.scan(scan); err != nil {
				return err
			}
			t, err := r.open(k)
			if err == nil {
				list = append(list, *t)
			}
			return err
		})
	return list, err
}

func (c *practice) EscalateTakedown(ctx context.Context, takedown id.Takedown, e *audit.Entry) error {
	var t *consent.Takedown
	err := c.change(ctx, e, func(tx querier, k *practiceKeys, e *audit.Entry) (err error) {
		if t, err = c.lockTakedown(ctx, tx, k, takedown); err != nil {
			return err
		}
		if t.State != consent.TakedownOpen {
			return vault.ErrGone
		}
		t.State, t.EscalatedAt = consent.TakedownOverdue, c.d.now()
		if err := c.putTakedown(ctx, tx, k, t); err != nil {
			return err
		}
		return c.notify(ctx, tx, k, ofTakedown(vault.TakedownOverdue, t), e, vault.ForMarketing, vault.ForAlerts)
	})
	if err == nil {
		c.d.seen.note(c.d.now(), saw("takedown", c.p, takedown, t.Version))
	}
	return err
}

func (c *practice) ConfirmTakedown(ctx context.Context, co *consent.Confirmation, e *audit.Entry) (*consent.Takedown, error) {
	if co.Practice != c.p {
		return nil, errForeign
	}
	err := c.change(ctx, e, func(tx querier, k *practiceKeys, e *audit.Entry) error {
		t, err := c.lockTakedown(ctx, tx, k, co.Takedown)
		if err != nil {
			return err
		}
		t.Confirmed++
		t.State, co.N = consent.TakedownConfirmed, t.Confirmed
		sealed, err := sealRow(k, confirmationPlace(c.p, t.ID, int64(co.N)), co)
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `INSERT INTO takedown_confirmation (practice, takedown, n, sealed) VALUES ($1, $2, $3, $4)`,
			c.p, t.ID, co.N, sealed); err != nil {
			return err
		}
		if err := c.putTakedown(ctx, tx, k, t); err != nil {
			return err
		}
		return c.notify(ctx, tx, k, ofTakedown(vault.TakedownConfirmed, t), e, vault.ForMarketing)
	})
	if err != nil {
		return nil, err
	}
	return c.Takedown(ctx, co.Takedown)
}
