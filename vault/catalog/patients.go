package catalog

import (
	"bytes"
	"context"
	"errors"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// AddPatient adds the patient and the head of a record, which is empty or
// begins with who treats the patient.
func (c *practice) AddPatient(ctx context.Context, p *vault.Patient, first *consent.Event, e *audit.Entry) error {
	if p.Practice != c.p || first != nil && (first.Kind != consent.Assigned || first.Patient != p.ID) {
		return errForeign
	}
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		k, err := c.indexed(ctx, tx, k)
		if err != nil {
			return err
		}
		sealed, err := sealRow(k, place{"patient", c.p, string(p.ID), 1}, p)
		if err != nil {
			return err
		}
		n, err := tx.exec(ctx, `INSERT INTO patient (practice, id, record_index, sealed) VALUES ($1, $2, $3, $4)
			ON CONFLICT (practice, record_index) DO NOTHING`, c.p, p.ID, k.recordIndex(p.RecordNumber), sealed)
		taken := &vault.ConflictError{Code: "record_number_taken", Sentence: "Another patient has this record number."}
		if err := count(n, err, taken); err != nil {
			return err
		}
		record := &consent.Record{Practice: c.p, Patient: p.ID}
		head := headOf(record)
		if sealed, err = sealRow(k, head.place(), head); err != nil {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO subject (practice, id, epoch, sealed) VALUES ($1, $2, $3, $4)`, c.p, p.ID, head.Epoch, sealed)
		if err != nil || first == nil {
			return err
		}
		_, err = c.appendTo(ctx, tx, k, record, &permission{Kind: kindEvent, Event: first})
		return err
	})
}

func (c *practice) Patient(ctx context.Context, p id.Patient) (*vault.Patient, error) {
	return c.patient(ctx, `SELECT id, record_index, sealed FROM patient WHERE practice = $1 AND id = $2`, func(*practiceKeys) any { return p })
}

func (c *practice) PatientByRecordNumber(ctx context.Context, number string) (*vault.Patient, error) {
	return c.patient(ctx, `SELECT id, record_index, sealed FROM patient WHERE practice = $1 AND record_index = $2`,
		func(k *practiceKeys) any { return k.recordIndex(number) })
}

func (c *practice) patient(ctx context.Context, query string, arg func(*practiceKeys) any) (*vault.Patient, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	found, err := c.patientUnder(ctx, k, query, arg)
	if !errors.Is(err, vault.ErrNotFound) && !errors.Is(err, vault.ErrBroken) {
		return found, err
	}
	// Another process may have rotated the index key.
	newest, keyErr := c.newestIndex(ctx, c.d.read(), k)
	if keyErr != nil {
		return nil, keyErr
	}
	if newest == k {
		return nil, err
	}
	return c.patientUnder(ctx, newest, query, arg)
}

func (c *practice) patientUnder(ctx context.Context, k *practiceKeys, query string, arg func(*practiceKeys) any) (*vault.Patient, error) {
	var found *vault.Patient
	err := c.d.read().one(ctx, query, []any{c.p, arg(k)}, func(scan scanner) error {
		var (
			patient       id.Patient
			index, sealed []byte
		)
		if err := scan(&patient, &index, &sealed); err != nil {
			return err
		}
		var err error
		found, err = openRow(k, place{"patient", c.p, string(patient), 1}, sealed, func(v *vault.Patient) bool {
			return v.Practice == c.p && v.ID == patient && bytes.Equal(k.recordIndex(v.RecordNumber), index)
		})
		return err
	})
	return found, err
}
