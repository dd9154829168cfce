package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/keys"
)

// wrappedKey is a wrapped key as it stands in some row, and how the row takes another.
type wrappedKey struct {
	at  string // "table/key": its place in the order of Rewrap
	key keys.Wrapped
	put func(ctx context.Context, tx querier, wrapped []byte) (int64, error)
}

// A rewrapPage returns up to limit wrapped keys of one table after a row.
type rewrapPage func(c *practice, ctx context.Context, k *practiceKeys, after string, limit int) ([]wrappedKey, error)

// rewrapTables in the order in which Rewrap goes through them.
var rewrapTables = []struct {
	name string
	page rewrapPage
}{
	{"practice_key", (*practice).wrappedPracticeKeys},
	{"photo_key", (*practice).wrappedPhotoKeys},
	{"upload_key", (*practice).wrappedUploadKeys},
}

// Rewrap looks at up to limit wrapped keys after the place `after`, in the
// order of their tables, and moves those under an older version of the
// key-encryption key than the newest to that. With check it only counts.
// Every batch is whole or not there; done again it finds nothing to do.
func (c *practice) Rewrap(ctx context.Context, after string, limit int, check bool, e *audit.Entry) (*vault.Rewrapped, error) {
	if e == nil {
		return nil, errNoEntry
	}
	limit = min(limit, keys.MaxRewrap)
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	versions, err := c.d.keys.Versions(ctx)
	if err != nil {
		return nil, keyError(err)
	}
	list, next, err := c.wrappedKeys(ctx, k, after, limit)
	if err != nil {
		return nil, err
	}
	out := &vault.Rewrapped{Next: next, Looked: len(list), Version: versions.Newest, Refused: []string{}}
	old := list[:0:0]
	for _, w := range list {
		version, err := c.d.keys.Version(w.key.Key)
		switch {
		case err != nil:
			out.Refused = append(out.Refused, w.at)
		case version < versions.Newest:
			old = append(old, w)
		}
	}
	if len(old) == 0 {
		return out, nil
	}
	items := make([]keys.Wrapped, len(old))
	for i, w := range old {
		items[i] = w.key
	}
	fresh, err := c.d.keys.Rewrap(ctx, items)
	if err != nil {
		return nil, keyError(err)
	}
	var kept []int
	for i, f := range fresh {
		if f.Err != nil {
			out.Refused = append(out.Refused, old[i].at)
			continue
		}
		kept = append(kept, i)
	}
	if check {
		out.Older = len(kept)
		return out, nil
	}
	if len(kept) == 0 {
		return out, nil
	}
	entry := *e
	err = c.change(ctx, &entry, func(tx querier, _ *practiceKeys, e *audit.Entry) error {
		out.Moved = 0
		for _, i := range kept {
			n, err := old[i].put(ctx, tx, fresh[i].Key)
			if err != nil {
				return err
			}
			out.Moved += int(n) // 0: the row changed or went meanwhile
		}
		e.Count = out.Moved
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// wrappedKeys returns up to limit keys after a place, and the place to go on
// from; "" when there is nothing more.
func (c *practice) wrappedKeys(ctx context.Context, k *practiceKeys, after string, limit int) (list []wrappedKey, next string, err error) {
	from, row, _ := strings.Cut(after, "/")
	started := after == ""
	for _, table := range rewrapTables {
		if !started {
			if table.name != from {
				continue
			}
			started = true
		} else {
			row = ""
		}
		page, err := table.page(c, ctx, k, row, limit-len(list))
		if err != nil {
			return nil, "", err
		}
		if list = append(list, page...); len(list) == limit {
			return list, list[limit-1].at, nil
		}
	}
	if !started {
		return nil, "", &vault.InvalidError{Code: "cursor_invalid",
			Defects: []consent.Defect{{Field: "after", Sentence: "Give next of the last batch, or nothing to begin."}}}
	}
	return list, "", nil
}

func (c *practice) wrappedPracticeKeys(ctx context.Context, _ *practiceKeys, after string, limit int) ([]wrappedKey, error) {
	rows, err := c.d.keyRows(ctx, c.d.read(), c.p)
	if err != nil {
		return nil, err
	}
	var list []wrappedKey
	for _, r := range rows { // ordered by purpose and version; a handful
		at := fmt.Sprintf("%s:%05d", r.purpose, r.version)
		if at <= after || len(list) == limit {
			continue
		}
		list = append(list, wrappedKey{"practice_key/" + at, keys.Wrapped{Context: practiceKeyContext(c.p, r.purpose, r.version), Key: r.wrapped},
			func(ctx context.Context, tx querier, wrapped []byte) (int64, error) {
				return tx.exec(ctx, `UPDATE practice_key SET wrapped = $1 WHERE practice = $2 AND purpose = $3 AND version = $4 AND wrapped = $5`,
					wrapped, c.p, r.purpose, r.version, r.wrapped)
			}})
	}
	return list, nil
}

func (c *practice) wrappedPhotoKeys(ctx context.Context, k *practiceKeys, after string, limit int) ([]wrappedKey, error) {
	photo, authorization, _ := strings.Cut(after, ":")
	var list []wrappedKey
	err := c.d.read().each(ctx, keyColumns+`
		WHERE practice = $1 AND (photo, authorization_id) > ($2, $3) ORDER BY photo, authorization_id LIMIT $4`,
		[]any{c.p, photo, authorization, limit}, func(scan scanner) error {
			var row photoKeyRow
			if err := row.scan(scan); err != nil {
				return err
			}
			key, err := row.open(k)
			if err != nil {
				return err
			}
			list = append(list, wrappedKey{"photo_key/" + string(row.photo) + ":" + string(row.authorization),
				keys.Wrapped{Context: vault.PhotoKeyContext(c.p, row.photo, row.authorization), Key: key.Wrapped},
				func(ctx context.Context, tx querier, wrapped []byte) (int64, error) {
					key.Wrapped = wrapped
					return c.replacePhotoKey(ctx, tx, k, key, row.sealed)
				}})
			return nil
		})
	return list, err
}

func (c *practice) wrappedUploadKeys(ctx context.Context, k *practiceKeys, after string, limit int) ([]wrappedKey, error) {
	rows, err := c.uploadKeys(ctx, c.d.read(), k, "")
	if err != nil {
		return nil, err
	}
	var list []wrappedKey
	for _, row := range rows { // ordered by id; some pairs a month
		if string(row.ID) <= after || len(list) == limit {
			continue
		}
		list = append(list, wrappedKey{"upload_key/" + string(row.ID), keys.Wrapped{Context: vault.UploadKeyContext(c.p, row.ID), Key: row.Wrapped},
			func(ctx context.Context, tx querier, wrapped []byte) (int64, error) {
				next := *row
				next.Wrapped, next.Version = wrapped, row.Version+1
				sealed, err := sealRow(k, next.place(), &next)
				if err != nil {
					return 0, err
				}
				return tx.exec(ctx, `UPDATE upload_key SET version = $1, sealed = $2 WHERE practice = $3 AND id = $4 AND version = $5`,
					next.Version, sealed, c.p, row.ID, row.Version)
			}})
	}
	return list, nil
}

// RewrapFile moves the key of the database's file, where the engine has one,
// to the newest version of the key-encryption key; it reports whether that
// was needed.
func (d *DB) RewrapFile(ctx context.Context) (bool, error) {
	if d.path == "" {
		return false, nil
	}
	if err := d.loading.Acquire(ctx, 1); err != nil { // one at a time
		return false, err
	}
	defer d.loading.Release(1)
	raw, err := os.ReadFile(d.path + ".keys")
	if err != nil {
		return false, fmt.Errorf("%w: catalog: key file: %w", vault.ErrUnavailable, err)
	}
	var f keyFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return false, fmt.Errorf("%w: catalog: the key file is damaged", vault.ErrBroken)
	}
	versions, err := d.keys.Versions(ctx)
	if err != nil {
		return false, keyError(err)
	}
	var items []keys.Wrapped
	older := false
	for i, wrapped := range f.Wrapped {
		version, err := d.keys.Version(wrapped)
		if err != nil {
			return false, keyError(err)
		}
		older = older || version < versions.Newest
		items = append(items, keys.Wrapped{Context: fileKeyContext(d.options.Practice, i), Key: wrapped})
	}
	if !older {
		return false, nil
	}
	fresh, err := d.keys.Rewrap(ctx, items)
	if err != nil {
		return false, keyError(err)
	}
	for i := range fresh {
		if fresh[i].Err != nil {
			return false, keyError(fresh[i].Err)
		}
		f.Wrapped[i] = fresh[i].Key
	}
	raw, err = json.Marshal(f)
	if err == nil {
		err = writeDurably(d.path+".keys", raw)
	}
	if err != nil {
		return false, errors.Join(vault.ErrUnavailable, fmt.Errorf("catalog: key file: %w", err))
	}
	return true, nil
}
