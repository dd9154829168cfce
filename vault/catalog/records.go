package catalog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// head is the sealed row of a patient that commits to the rows of the record.
type head struct {
	Practice id.Practice `json:"practice"`
	Patient  id.Patient  `json:"patient"`
	Epoch    int64       `json:"epoch"`
	Digest   []byte      `json:"digest"`
}

func headOf(r *consent.Record) *head {
	digest := r.Digest()
	return &head{r.Practice, r.Patient, r.Epoch, digest[:]}
}

// A head's version is its epoch.
func (h *head) place() place { return place{"subject", h.Practice, string(h.Patient), h.Epoch} }

func openHead(k *practiceKeys, patient string, epoch int64, sealed []byte) (*head, error) {
	return openRow(k, place{"subject", k.practice, patient, epoch}, sealed, func(v *head) bool {
		return v.Practice == k.practice && string(v.Patient) == patient && v.Epoch == epoch
	})
}

// permission is a row of a record: exactly one of the three, as Kind says.
type permission struct {
	Kind          string                 `json:"kind"`
	Clinical      *consent.Clinical      `json:"clinical,omitempty"`
	Authorization *consent.Authorization `json:"authorization,omitempty"`
	Event         *consent.Event         `json:"event,omitempty"`
}

// Kinds of permission.
const (
	kindClinical      = "clinical"
	kindAuthorization = "authorization"
	kindEvent         = "event"
)

func (p *permission) identity() (kind, rowID string, practice id.Practice, patient id.Patient) {
	switch {
	case p.Clinical != nil && p.Authorization == nil && p.Event == nil:
		return kindClinical, string(p.Clinical.ID), p.Clinical.Practice, p.Clinical.Patient
	case p.Authorization != nil && p.Clinical == nil && p.Event == nil:
		return kindAuthorization, string(p.Authorization.ID), p.Authorization.Practice, p.Authorization.Patient
	case p.Event != nil && p.Clinical == nil && p.Authorization == nil:
		return kindEvent, string(p.Event.ID), p.Event.Practice, p.Event.Patient
	}
	return "", "", "", ""
}

func (p *permission) addTo(r *consent.Record) {
	switch p.Kind {
	case kindClinical:
		r.Clinicals = append(r.Clinicals, *p.Clinical)
	case kindAuthorization:
		r.Authorizations = append(r.Authorizations, *p.Authorization)
	case kindEvent:
		r.Events = append(r.Events, *p.Event)
	}
}

// recordRow is a row of a record, or its head, as read.
type recordRow struct {
	kind    string // kindHead or a kind of permission
	id      string
	patient id.Patient
	epoch   int64 // of the head
	sealed  []byte
}

const kindHead = "subject"

func (row *recordRow) openPermission(k *practiceKeys) (*permission, error) {
	return openRow(k, place{"permission", k.practice, row.id, 1}, row.sealed, func(v *permission) bool {
		kind, rowID, practice, patient := v.identity()
		return kind == v.Kind && kind == row.kind && rowID == row.id && practice == k.practice && patient == row.patient
	})
}

// assemble opens the rows of one patient and checks that they are those, all
// of those and only those that the head commits to.
func assemble(k *practiceKeys, patient id.Patient, rows []recordRow) (*consent.Record, error) {
	r := &consent.Record{Practice: k.practice, Patient: patient}
	var h *head
	for _, row := range rows {
		if row.patient != patient {
			return nil, errRow("permission")
		}
		if row.kind != kindHead {
			p, err := row.openPermission(k)
			if err != nil {
				return nil, err
			}
			p.addTo(r)
			continue
		}
		var err error
		if h, err = openHead(k, row.id, row.epoch, row.sealed); err != nil {
			return nil, err
		}
	}
	if h == nil {
		return nil, vault.ErrNotFound
	}
	r.Epoch = h.Epoch
	if digest := r.Digest(); !bytes.Equal(digest[:], h.Digest) {
		return nil, errRow("subject")
	}
	slices.SortFunc(r.Clinicals, func(a, b consent.Clinical) int {
		return cmp.Or(a.RecordedAt.Compare(b.RecordedAt), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(r.Authorizations, func(a, b consent.Authorization) int {
		return cmp.Or(a.RecordedAt.Compare(b.RecordedAt), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(r.Events, func(a, b consent.Event) int {
		return cmp.Or(a.EnteredAt.Compare(b.EnteredAt), cmp.Compare(a.ID, b.ID))
	})
	return r, nil
}

const recordQuery = `SELECT 'subject', id, id, epoch, sealed FROM subject WHERE practice = $1 AND id = $2
	UNION ALL SELECT kind, id, patient, 0, sealed FROM permission WHERE practice = $1 AND patient = $2`

// record reads a record in one statement: head and rows are of one moment.
func (c *practice) record(ctx context.Context, q querier, k *practiceKeys, p id.Patient) (*consent.Record, []sighting, error) {
	var rows []recordRow
	err := q.each(ctx, recordQuery, []any{c.p, p}, func(scan scanner) error {
		var row recordRow
		err := scan(&row.kind, &row.id, &row.patient, &row.epoch, &row.sealed)
		rows = append(rows, row)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	r, err := assemble(k, p, rows)
	if err != nil {
		return nil, nil, err
	}
	return r, []sighting{saw("subject", c.p, p, r.Epoch)}, nil
}

func (c *practice) Record(ctx context.Context, p id.Patient) (*consent.Record, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	return watched(c.d, func() (*consent.Record, []sighting, error) { return c.record(ctx, c.d.read(), k, p) })
}

// amend reads a record and, if it is allowed, adds p to it, in one transaction.
func (c *practice) amend(ctx context.Context, patient id.Patient, e *audit.Entry, p *permission, allowed func(*consent.Record) error) error {
	var now []sighting
	err := c.change(ctx, e, func(tx querier, k *practiceKeys, e *audit.Entry) (err error) {
		r, err := c.lockRecord(ctx, tx, k, patient)
		if err != nil {
			return err
		}
		if err := allowed(r); err != nil {
			return err
		}
		if now, err = c.appendTo(ctx, tx, k, r, p); err != nil {
			return err
		}
		more, err := c.aftermath(ctx, tx, k, r, p, e)
		if err != nil {
			return err
		}
		now = append(now, more...)
		_, err = c.endCopies(ctx, tx, r, e)
		return err
	})
	if err == nil {
		c.d.seen.note(c.d.now(), now...)
	}
	return err
}

// lockRecord reads a record that the transaction will change.
func (c *practice) lockRecord(ctx context.Context, tx querier, k *practiceKeys, patient id.Patient) (*consent.Record, error) {
	if lock := c.d.dialect.lock; lock != "" {
		err := tx.one(ctx, `SELECT epoch FROM subject WHERE practice = $1 AND id = $2`+lock, []any{c.p, patient}, func(scanner) error { return nil })
		if err != nil {
			return nil, err
		}
	}
	r, read, err := c.record(ctx, tx, k, patient)
	if err != nil {
		return nil, err
	}
	// Under the lock nothing newer can have been seen.
	if c.d.seen.older(read) {
		return nil, errRow("subject")
	}
	return r, nil
}

// appendTo adds a row to the record that lockRecord read and moves the head.
// What it returns is noted once the transaction is committed.
func (c *practice) appendTo(ctx context.Context, tx querier, k *practiceKeys, r *consent.Record, p *permission) ([]sighting, error) {
	kind, rowID, practice, patient := p.identity()
	if kind != p.Kind || practice != r.Practice || patient != r.Patient {
		return nil, errForeign
	}
	sealed, err := sealRow(k, place{"permission", c.p, rowID, 1}, p)
	if err != nil {
		return nil, err
	}
	if _, err := tx.exec(ctx, `INSERT INTO permission (practice, id, patient, kind, sealed) VALUES ($1, $2, $3, $4, $5)`,
		c.p, rowID, patient, kind, sealed); err != nil {
		return nil, err
	}
	p.addTo(r)
	before := r.Epoch
	r.Epoch++
	h := headOf(r)
	if sealed, err = sealRow(k, h.place(), h); err != nil {
		return nil, err
	}
	n, err := tx.exec(ctx, `UPDATE subject SET epoch = $1, sealed = $2 WHERE practice = $3 AND id = $4 AND epoch = $5`,
		r.Epoch, sealed, c.p, patient, before)
	return []sighting{saw("subject", c.p, patient, r.Epoch)}, count(n, err, errRow("subject"))
}

func (c *practice) AddClinical(ctx context.Context, cl *consent.Clinical, e *audit.Entry) error {
	return c.amend(ctx, cl.Patient, e, &permission{Kind: kindClinical, Clinical: cl}, func(*consent.Record) error { return nil })
}

func (c *practice) AddAuthorization(ctx context.Context, a *consent.Authorization, e *audit.Entry) error {
	return c.amend(ctx, a.Patient, e, &permission{Kind: kindAuthorization, Authorization: a}, func(*consent.Record) error { return nil })
}

func (c *practice) AddEvent(ctx context.Context, ev *consent.Event, e *audit.Entry) error {
	return c.amend(ctx, ev.Patient, e, &permission{Kind: kindEvent, Event: ev}, func(r *consent.Record) error {
		if ev.Kind == consent.Deleted {
			return errors.New("catalog: a photo's end is recorded by DeletePhoto")
		}
		switch r.Accepts(ev) {
		case "":
			return nil
		case consent.EventTwice:
			code := "already_recorded"
			if ev.Kind == consent.Revoked || ev.Kind == consent.Expired {
				code = "already_revoked"
			}
			return &vault.ConflictError{Code: code, Sentence: "This has been recorded before."}
		case consent.EventSubjectUnknown:
			return vault.ErrNotFound
		case consent.EventTooEarly:
			return &vault.InvalidError{Code: "field_invalid", Defects: []consent.Defect{{Field: "received_at", Paragraph: "164.508(c)(4)",
				Sentence: "It cannot have been before the document was signed."}}}
		default:
			return &vault.InvalidError{Code: "event_incomplete", Defects: []consent.Defect{{Field: "event",
				Sentence: "Something that this event must say is missing, or is not what it can be."}}}
		}
	})
}

func hasEvent(r *consent.Record, kind consent.EventKind, subject string) bool {
	return slices.ContainsFunc(r.Events, func(e consent.Event) bool { return e.Kind == kind && e.Subject == subject })
}

func (c *practice) PatientOf(ctx context.Context, subject string) (id.Patient, error) {
	p, err := c.permission(ctx, subject)
	if err != nil {
		return "", err
	}
	if p.Kind == kindEvent {
		return "", vault.ErrNotFound
	}
	_, _, _, patient := p.identity()
	return patient, nil
}

func (c *practice) Event(ctx context.Context, ev id.Event) (id.Patient, *consent.Event, error) {
	p, err := c.permission(ctx, string(ev))
	if err != nil {
		return "", nil, err
	}
	if p.Event == nil {
		return "", nil, vault.ErrNotFound
	}
	return p.Event.Patient, p.Event, nil
}

// permission reads one row of a record by its id.
func (c *practice) permission(ctx context.Context, subject string) (*permission, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	var row recordRow
	err = c.d.read().one(ctx, `SELECT kind, id, patient, sealed FROM permission WHERE practice = $1 AND id = $2`, []any{c.p, subject},
		func(scan scanner) error { return scan(&row.kind, &row.id, &row.patient, &row.sealed) })
	if err != nil {
		return nil, err
	}
	return row.openPermission(k)
}

// Authorized trusts the clear columns: it is where to look, and what is found
// there is decided on whole records.
func (c *practice) Authorized(ctx context.Context) ([]id.Patient, error) {
	if _, err := c.keys(ctx); err != nil {
		return nil, err
	}
	var list []id.Patient
	err := c.d.read().each(ctx, `SELECT DISTINCT patient FROM permission WHERE practice = $1 AND kind = $2 ORDER BY patient`,
		[]any{c.p, kindAuthorization}, func(scan scanner) error {
			var p id.Patient
			err := scan(&p)
			list = append(list, p)
			return err
		})
	return list, err
}
