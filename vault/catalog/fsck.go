package catalog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"photovault/vault"
	"photovault/vault/id"
)

// inspected is how fsck walks one sealed table: by its primary key, below the
// practice. Each row's columns are key (text or bytes), then the rest.
type inspected struct {
	table string
	keys  []string // of the primary key, without practice
	kinds string   // one letter for each: t text, n number, b bytes
	rest  string   // other clear columns that are read
	// open reads the rest and the sealed column and returns the row's place
	// and value; its error is errRow where the row is not what it claims.
	open func(k *practiceKeys, key []any, scan func(rest ...any) error) (placeID string, value any, err error)
}

func text(v any) string  { return *v.(*string) }
func number(v any) int64 { return *v.(*int64) }
func raw(v any) []byte   { return *v.(*[]byte) }

// errColumns: a column holds another type than it ever does.
var errColumns = errors.New("catalog: a column of another type")

// inspectPage is how many rows are read at once.
const inspectPage = 500

func (c *practice) InspectRows(ctx context.Context, f func(vault.CheckedRow) error) error {
	k, err := c.keys(ctx)
	if err != nil {
		return err
	}
	for _, t := range sealedTables {
		switch err := c.inspect(ctx, k, t, f); {
		case errors.Is(err, errColumns):
			if err := f(vault.CheckedRow{Table: t.table, Err: errRow(t.table)}); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
	return nil
}

func (c *practice) inspect(ctx context.Context, k *practiceKeys, t inspected, f func(vault.CheckedRow) error) error {
	columns := strings.Join(t.keys, ", ")
	if t.rest != "" {
		columns += ", " + t.rest
	}
	head := `SELECT ` + columns + `, sealed FROM ` + t.table + ` WHERE practice = $1`
	order := ` ORDER BY ` + strings.Join(t.keys, ", ") + ` LIMIT `
	after := []string{}
	for i := range t.keys {
		after = append(after, fmt.Sprintf("$%d", i+2))
	}
	var last []any
	for {
		query, args := head, []any{c.p}
		if last != nil {
			query += ` AND (` + strings.Join(t.keys, ", ") + `) > (` + strings.Join(after, ", ") + `)`
			for i, kind := range t.kinds {
				switch kind {
				case 't':
					args = append(args, text(last[i]))
				case 'n':
					args = append(args, number(last[i]))
				default:
					args = append(args, raw(last[i]))
				}
			}
		}
		args = append(args, inspectPage)
		query += order + fmt.Sprintf("$%d", len(args))
		var page []vault.CheckedRow
		err := c.d.read().each(ctx, query, args, func(scan scanner) error {
			key := make([]any, len(t.keys))
			for i, kind := range t.kinds {
				switch kind {
				case 't':
					key[i] = new(string)
				case 'n':
					key[i] = new(int64)
				default:
					key[i] = new([]byte)
				}
			}
			var scanned error
			where, value, err := t.open(k, key, func(rest ...any) error {
				scanned = scan(append(append([]any{}, key...), rest...)...)
				return scanned
			})
			if scanned != nil {
				return errColumns // the key is not known: the walk cannot go on behind it
			}
			last = key
			if where == "" {
				where = keyText(key, t.kinds)
			}
			row := vault.CheckedRow{Table: t.table, ID: where, Err: err}
			if err == nil {
				row.Value = value
			}
			page = append(page, row)
			return nil
		})
		if err != nil {
			return err
		}
		for _, row := range page {
			if err := f(row); err != nil {
				return err
			}
		}
		if len(page) < inspectPage {
			return nil
		}
	}
}

// keyText shows a key; what is a hash of a secret only in part.
func keyText(key []any, kinds string) string {
	var parts []string
	for i, kind := range kinds {
		switch kind {
		case 't':
			parts = append(parts, text(key[i]))
		case 'n':
			parts = append(parts, fmt.Sprint(number(key[i])))
		default:
			b := raw(key[i])
			parts = append(parts, hex.EncodeToString(b[:min(4, len(b))])+"…")
		}
	}
	return strings.Join(parts, "/")
}

func (c *practice) InspectObjects(ctx context.Context, f func(vault.StoredObject) error) error {
	for after := id.Object(""); ; {
		var page []vault.StoredObject
		err := c.d.read().each(ctx, `SELECT id, area, owner, size, state, authorization_id FROM object WHERE practice = $1 AND id > $2 ORDER BY id LIMIT $3`,
			[]any{c.p, after, inspectPage}, func(scan scanner) error {
				var o vault.StoredObject
				err := scan(&o.ID, &o.Area, &o.Owner, &o.Size, &o.State, &o.Authorization)
				page = append(page, o)
				return err
			})
		if err != nil {
			return err
		}
		for _, o := range page {
			if err := f(o); err != nil {
				return err
			}
		}
		if len(page) < inspectPage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

func (c *practice) PatientIDs(ctx context.Context) (list []id.Patient, err error) {
	err = c.d.read().each(ctx, `SELECT id FROM subject WHERE practice = $1 ORDER BY id`, []any{c.p}, func(scan scanner) error {
		var p id.Patient
		err := scan(&p)
		list = append(list, p)
		return err
	})
	return list, err
}
