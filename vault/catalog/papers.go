package catalog

import (
	"context"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func openTemplate(k *practiceKeys, t id.Template, version int64, sealed []byte) (*consent.Template, error) {
	return openRow(k, place{"template", k.practice, string(t), version}, sealed, func(v *consent.Template) bool {
		return v.Practice == k.practice && v.ID == t && v.Version == version
	})
}

// AddTemplate writes a version that was not there: versions are only added.
func (c *practice) AddTemplate(ctx context.Context, t *consent.Template, next bool, e *audit.Entry) error {
	if t.Practice != c.p {
		return errForeign
	}
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		t.Version = 1
		err := tx.each(ctx, `SELECT version FROM template WHERE practice = $1 AND id = $2`, []any{c.p, t.ID}, func(scan scanner) error {
			var version int64
			err := scan(&version)
			t.Version = max(t.Version, version+1)
			return err
		})
		if err != nil {
			return err
		}
		if next != (t.Version > 1) {
			return vault.ErrNotFound
		}
		sealed, err := sealRow(k, place{"template", c.p, string(t.ID), t.Version}, t)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO template (practice, id, version, sealed) VALUES ($1, $2, $3, $4)`, c.p, t.ID, t.Version, sealed)
		return err
	})
}

func (c *practice) Templates(ctx context.Context) (list []consent.Template, err error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	err = c.d.read().each(ctx, `SELECT id, version, sealed FROM template WHERE practice = $1 ORDER BY id, version`, []any{c.p}, func(scan scanner) error {
		var (
			t       id.Template
			version int64
			sealed  []byte
		)
		if err := scan(&t, &version, &sealed); err != nil {
			return err
		}
		v, err := openTemplate(k, t, version, sealed)
		if err == nil {
			list = append(list, *v)
		}
		return err
	})
	return list, err
}

func openDocument(k *practiceKeys, d id.Document, patient id.Patient, sealed []byte) (*consent.Document, error) {
	return openRow(k, place{"document", k.practice, string(d), 1}, sealed, func(v *consent.Document) bool {
		return v.Practice == k.practice && v.ID == d && v.Patient == patient
	})
}

// AddDocument: the patient must be there. ErrNotFound.
func (c *practice) AddDocument(ctx context.Context, d *consent.Document, e *audit.Entry) error {
	if d.Practice != c.p {
		return errForeign
	}
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		err := tx.one(ctx, `SELECT epoch FROM subject WHERE practice = $1 AND id = $2`, []any{c.p, d.Patient}, func(scan scanner) error {
			var epoch int64
			return scan(&epoch)
		})
		if err != nil {
			return err
		}
		sealed, err := sealRow(k, place{"document", c.p, string(d.ID), 1}, d)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO document (practice, id, patient, sealed) VALUES ($1, $2, $3, $4)`, c.p, d.ID, d.Patient, sealed)
		return err
	})
}

func (c *practice) Document(ctx context.Context, d id.Document) (document *consent.Document, err error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	err = c.d.read().one(ctx, `SELECT patient, sealed FROM document WHERE practice = $1 AND id = $2`, []any{c.p, d}, func(scan scanner) error {
		var (
			patient id.Patient
			sealed  []byte
		)
		if err := scan(&patient, &sealed); err != nil {
			return err
		}
		document, err = openDocument(k, d, patient, sealed)
		return err
	})
	return document, err
}
