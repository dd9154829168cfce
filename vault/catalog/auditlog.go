package catalog

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"slices"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/keys"
)

// auditPage is how many entries are read at once: no reader is held while a
// caller looks at them.
const auditPage = 500

// change runs fn and writes the audit entry in one transaction. fn may add to
// the entry what it finds out.
func (c *practice) change(ctx context.Context, e *audit.Entry, fn func(tx querier, k *practiceKeys, e *audit.Entry) error) error {
	if e == nil {
		return errNoEntry
	}
	k, err := c.keys(ctx)
	if err != nil {
		return err
	}
	return c.d.write(ctx, func(tx querier) error {
		entry := *e // anew for each attempt
		entry.Records = slices.Clip(entry.Records)
		if err := fn(tx, k, &entry); err != nil {
			return err
		}
		return c.d.audit(ctx, tx, k, &entry)
	})
}

// auditRow is an entry ready to be written.
type auditRow struct {
	id      id.Entry
	ord     int64
	patient id.Patient
	sealed  []byte
	mac     []byte
}

func (d *DB) auditRow(k *practiceKeys, e *audit.Entry) (*auditRow, error) {
	if err := e.Check(); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	entry := *e
	entry.ID, entry.Practice, entry.At = id.New[id.Entry](), k.practice, d.now()
	encoded := entry.Encode()
	sealed, err := k.seal(auditPlace(k.practice, entry.ID), encoded)
	if err != nil {
		return nil, err
	}
	return &auditRow{entry.ID, d.nextOrd(), entry.Patient, sealed, audit.MAC(k.get(keys.Audit).Bytes(), encoded)}, nil
}

func auditPlace(p id.Practice, e id.Entry) place {
	return place{"audit_entry", p, string(e), 1}
}

// nextOrd orders entries by when they were written: nanoseconds, and one more
// than the one before where the clock stands still or goes back.
func (d *DB) nextOrd() int64 {
	now := d.options.Now().UnixNano()
	for {
		last := d.ord.Load()
		next := max(now, last+1)
		if d.ord.CompareAndSwap(last, next) {
			return next
		}
	}
}

func (d *DB) audit(ctx context.Context, tx querier, k *practiceKeys, e *audit.Entry) error {
	r, err := d.auditRow(k, e)
	if err != nil {
		return err
	}
	if ord := d.dialect.ord; ord != "" {
		_, err = tx.exec(ctx, `INSERT INTO audit_entry (practice, id, ord, patient, sealed, mac) VALUES ($1, $2, `+ord+`, $3, $4, $5)`,
			k.practice, r.id, r.patient, r.sealed, r.mac)
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO audit_entry (practice, id, ord, patient, sealed, mac) VALUES ($1, $2, $3, $4, $5, $6)`,
		k.practice, r.id, r.ord, r.patient, r.sealed, r.mac)
	return err
}

func (c *practice) WriteAudit(ctx context.Context, e *audit.Entry) error {
	return c.change(ctx, e, func(querier, *practiceKeys, *audit.Entry) error { return nil })
}

// storedEntry is a row of the log as read.
type storedEntry struct {
	id      id.Entry
	ord     int64
	patient id.Patient
	sealed  []byte
	mac     []byte
	seq     int64 // 0: none yet
	head    []byte
}

const entryColumns = `SELECT id, ord, patient, sealed, mac, COALESCE(seq, 0), head FROM audit_entry `

func (q querier) entries(ctx context.Context, where string, args ...any) ([]storedEntry, error) {
	var out []storedEntry
	err := q.each(ctx, entryColumns+where, args, func(scan scanner) error {
		var s storedEntry
		err := scan(&s.id, &s.ord, &s.patient, &s.sealed, &s.mac, &s.seq, &s.head)
		out = append(out, s)
		return err
	})
	return out, err
}

// open returns the record. Trouble with one row is both: broken, and a log
// that was tampered with.
func (s *storedEntry) open(k *practiceKeys) (audit.Record, error) {
	r := audit.Record{Seq: s.seq, MAC: s.mac}
	encoded, err := k.open(auditPlace(k.practice, s.id), s.sealed)
	if err == nil {
		var e *audit.Entry
		if e, err = audit.Decode(encoded); err == nil && (e.ID != s.id || e.Practice != k.practice || e.Patient != s.patient) {
			err = errRow("audit_entry")
		}
	}
	if err != nil || (s.seq != 0 && len(s.head) != len(r.Head)) {
		where := "an entry without a number"
		if s.seq != 0 {
			where = fmt.Sprintf("entry %d", s.seq)
		}
		return r, fmt.Errorf("catalog: %w: %w: %s was edited", vault.ErrBroken, audit.ErrTampered, where)
	}
	r.Encoded = encoded
	copy(r.Head[:], s.head)
	return r, nil
}

func (c *practice) AuditRecords(ctx context.Context, after int64, f func(audit.Record) error) error {
	k, err := c.keys(ctx)
	if err != nil {
		return err
	}
	for more := true; more; {
		var page, pending []storedEntry
		// The last page and the entries without a number come from one
		// snapshot: none is missed because it was given its number in between.
		err := c.d.snapshot(ctx, func(q querier) error {
			var err error
			page, err = q.entries(ctx, `WHERE practice = $1 AND seq > $2 ORDER BY seq LIMIT $3`, c.p, after, auditPage)
			if more = len(page) == auditPage; err != nil || more {
				return err
			}
			pending, err = q.entries(ctx, `WHERE practice = $1 AND seq IS NULL ORDER BY ord, id`, c.p)
			return err
		})
		if err != nil {
			return err
		}
		for _, s := range append(page, pending...) {
			r, err := s.open(k)
			if err != nil {
				return err
			}
			if err := f(r); err != nil {
				return err
			}
			after = max(after, s.seq)
		}
	}
	return nil
}

func (c *practice) PatientAudit(ctx context.Context, p id.Patient, f func(audit.Record) error) error {
	k, err := c.keys(ctx)
	if err != nil {
		return err
	}
	return c.patientAudit(ctx, c.d.read, k, p, f)
}

// patientAudit reads by what q returns for each page.
func (c *practice) patientAudit(ctx context.Context, q func() querier, k *practiceKeys, p id.Patient, f func(audit.Record) error) error {
	var last storedEntry
	for {
		page, err := q().entries(ctx, `WHERE practice = $1 AND patient = $2 AND (ord, id) > ($3, $4) ORDER BY ord, id LIMIT $5`,
			c.p, p, last.ord, last.id, auditPage)
		if err != nil {
			return err
		}
		for _, s := range page {
			r, err := s.open(k)
			if err != nil {
				return err
			}
			if err := f(r); err != nil {
				return err
			}
		}
		if len(page) < auditPage {
			return nil
		}
		last = page[len(page)-1]
	}
}

// tail returns the number and head of the last chained entry.
func (c *practice) tail(ctx context.Context, q querier) (size int64, head audit.Head, err error) {
	var raw []byte
	err = q.one(ctx, `SELECT seq, head FROM audit_entry WHERE practice = $1 AND seq > 0 ORDER BY seq DESC LIMIT 1`, []any{c.p},
		func(scan scanner) error { return scan(&size, &raw) })
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return 0, head, nil
	case err == nil && copy(head[:], raw) != len(head):
		err = errRow("audit_entry")
	}
	return size, head, err
}

func (c *practice) Integrate(ctx context.Context, limit int) (int, audit.Checkpoint, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return 0, audit.Checkpoint{}, err
	}
	const pending = `WHERE practice = $1 AND seq IS NULL ORDER BY ord, id LIMIT $2`
	// Most of the time there is nothing to do; the write lock is not taken to
	// find that out.
	waiting, err := c.d.read().entries(ctx, pending, c.p, 1)
	if err != nil {
		return 0, audit.Checkpoint{}, err
	}
	var size int64
	var head audit.Head
	if len(waiting) == 0 || limit <= 0 {
		size, head, err = c.tail(ctx, c.d.read())
		return 0, c.checkpoint(size, head), err
	}
	n := 0
	var bad error // the last entry that was left aside
	var full bool // there may be more behind
	err = c.d.write(ctx, func(tx querier) error {
		n = 0
		if elect := c.d.dialect.elect; elect != "" { // one replica numbers at a time
			if err := tx.each(ctx, elect, []any{"photovault/audit/" + string(c.p)}, func(scanner) error { return nil }); err != nil {
				return err
			}
		}
		if size, head, err = c.tail(ctx, tx); err != nil {
			return err
		}
		if c.d.seen.older([]sighting{saw("audit_entry", c.p, "", size)}) {
			return fmt.Errorf("catalog: %w: %w: the log is shorter than it was", vault.ErrBroken, audit.ErrTampered)
		}
		entries, err := tx.entries(ctx, pending, c.p, limit)
		if err != nil {
			return err
		}
		bad, full = nil, len(entries) == limit
		for _, s := range entries {
			// One that was edited or put there is left aside, where everybody
			// who verifies finds it: it must not keep others from their number.
			r, err := s.open(k)
			if err == nil && !hmac.Equal(r.MAC, audit.MAC(k.get(keys.Audit).Bytes(), r.Encoded)) {
				err = fmt.Errorf("catalog: %w: %w: an entry without a number was edited", vault.ErrBroken, audit.ErrTampered)
			}
			if err != nil {
				bad = err
				continue
			}
			size++
			head = head.Next(size, r.Encoded)
			changed, err := tx.exec(ctx, `UPDATE audit_entry SET seq = $1, head = $2 WHERE practice = $3 AND id = $4 AND seq IS NULL`,
				size, head[:], c.p, s.id)
			if err := count(changed, err, errRow("audit_entry")); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, audit.Checkpoint{}, err
	}
	c.d.seen.note(c.d.now(), saw("audit_entry", c.p, "", size))
	if bad != nil && (n > 0 || !full) {
		bad = fmt.Errorf("%w: %w", audit.ErrAside, bad)
	}
	return n, c.checkpoint(size, head), bad
}

func (c *practice) checkpoint(size int64, head audit.Head) audit.Checkpoint {
	return audit.Checkpoint{Practice: c.p, Size: size, Head: head, At: c.d.now()}
}
