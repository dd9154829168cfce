package catalog

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/canon"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
)

// practicePurposes are the keys that every practice has in the catalog.
var practicePurposes = []keys.Purpose{keys.Catalog, keys.Index, keys.Audit, keys.Checkpoint, keys.UploadSigning}

// settles is how old a new catalog key is before rows are sealed under it: by
// then every process has read it (refreshKeys).
const settles = 10 * time.Second

// practiceKeys are one practice's keys in memory. It is not changed once it
// is made: what a rotation adds comes with a new one that shares the keys,
// which live until Close.
type practiceKeys struct {
	practice id.Practice
	all      map[keys.Purpose]map[int64]*secret.Key // by version
	use      map[keys.Purpose]int64                 // the version in use
}

// keyRow is a row of practice_key.
type keyRow struct {
	purpose keys.Purpose
	version int64
	wrapped []byte
	created time.Time
}

// newPracticeKeys chooses the versions to use: the newest, of catalog keys the
// newest that has settled.
func newPracticeKeys(p id.Practice, rows []keyRow, all map[keys.Purpose]map[int64]*secret.Key, now time.Time) *practiceKeys {
	k := &practiceKeys{practice: p, all: all, use: map[keys.Purpose]int64{}}
	for _, r := range rows {
		if r.purpose == keys.Catalog && r.version > 1 && now.Sub(r.created) < settles {
			continue
		}
		k.use[r.purpose] = max(k.use[r.purpose], r.version)
	}
	return k
}

// get returns the key in use, or nil.
func (k *practiceKeys) get(p keys.Purpose) *secret.Key { return k.all[p][k.use[p]] }

func (k *practiceKeys) complete() bool {
	for _, p := range practicePurposes {
		if k.get(p) == nil {
			return false
		}
	}
	return true
}

func destroyKeys(all map[keys.Purpose]map[int64]*secret.Key) {
	for _, versions := range all {
		for _, key := range versions {
			key.Destroy()
		}
	}
}

// recordIndex is the blind index of a record number under the key in use.
func (k *practiceKeys) recordIndex(number string) []byte {
	return recordIndex(k.get(keys.Index).Bytes(), k.practice, number)
}

// recordIndex is the blind index of a record number: equal numbers of one
// practice have equal indexes, and nobody without the key can try numbers.
func recordIndex(key []byte, p id.Practice, number string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(canon.Encode("photovault/index/record-number/v1", string(p), strings.ToUpper(strings.TrimSpace(number))))
	return h.Sum(nil)
}

func practiceKeyContext(p id.Practice, purpose keys.Purpose, version int64) keys.Context {
	return keys.Context{Purpose: purpose, Practice: p, Subject: strconv.FormatInt(version, 10)}
}

const insertPracticeKey = `INSERT INTO practice_key (practice, purpose, version, wrapped, created_at)
	VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`

// CreatePractice makes a practice's keys and writes them, wrapped, together
// with the log's first entry. ConflictError practice_exists.
func (d *DB) CreatePractice(ctx context.Context, p id.Practice, e *audit.Entry) error {
	if e == nil {
		return errNoEntry
	}
	if !id.Valid(string(p)) {
		return errForeign
	}
	now := d.now()
	all := map[keys.Purpose]map[int64]*secret.Key{}
	defer destroyKeys(all) // the first use unwraps what was written
	var rows []keyRow
	for _, purpose := range practicePurposes {
		key, w, err := d.keys.NewDataKey(ctx, practiceKeyContext(p, purpose, 1))
		if err != nil {
			return keyError(err)
		}
		all[purpose] = map[int64]*secret.Key{1: key}
		rows = append(rows, keyRow{purpose, 1, w, now})
	}
	k := newPracticeKeys(p, rows, all, now)
	return d.write(ctx, func(tx querier) error {
		for _, r := range rows {
			n, err := tx.exec(ctx, insertPracticeKey, p, r.purpose, r.version, r.wrapped, ms(r.created))
			exists := &vault.ConflictError{Code: "practice_exists", Sentence: "This practice exists already."}
			if err := count(n, err, exists); err != nil {
				return err
			}
		}
		return d.audit(ctx, tx, k, e)
	})
}

// PracticeKey lends the practice's key of the purpose that is in use, until
// Close. ErrNotFound: no such practice.
func (d *DB) PracticeKey(ctx context.Context, p id.Practice, purpose keys.Purpose) (*secret.Key, error) {
	k, err := d.practiceKeys(ctx, p)
	if err != nil {
		return nil, err
	}
	if key := k.get(purpose); key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("catalog: practice has no key of this purpose: %w", vault.ErrNotFound)
}

// PracticeKeys lends every version of the practice's keys of the purpose,
// oldest first, until Close. ErrNotFound: no such practice.
func (d *DB) PracticeKeys(ctx context.Context, p id.Practice, purpose keys.Purpose) ([]*secret.Key, error) {
	k, err := d.practiceKeys(ctx, p)
	if err != nil {
		return nil, err
	}
	var out []*secret.Key
	for _, version := range slices.Sorted(maps.Keys(k.all[purpose])) {
		out = append(out, k.all[purpose][version])
	}
	return out, nil
}

// practiceKeys returns the keys of a practice, unwrapping them on first use.
func (d *DB) practiceKeys(ctx context.Context, p id.Practice) (*practiceKeys, error) {
	if k, err := d.inRing(p); k != nil || err != nil {
		return k, err
	}
	if err := d.loading.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer d.loading.Release(1)
	if k, err := d.inRing(p); k != nil || err != nil { // another was first
		return k, err
	}
	return d.unwrapPractice(ctx, p)
}

// inRing returns the keys of a practice that are in memory, or nil.
func (d *DB) inRing(p id.Practice) (*practiceKeys, error) {
	d.ringMu.Lock()
	defer d.ringMu.Unlock()
	if d.ring == nil {
		return nil, fmt.Errorf("%w: catalog: closed", vault.ErrUnavailable)
	}
	return d.ring[p], nil
}

// RefreshKeys reads again which keys the practices in memory have, so that
// this process follows a rotation made by another.
func (d *DB) RefreshKeys(ctx context.Context) error {
	if err := d.loading.Acquire(ctx, 1); err != nil {
		return err
	}
	defer d.loading.Release(1)
	d.ringMu.Lock()
	practices := slices.Collect(maps.Keys(d.ring))
	d.ringMu.Unlock()
	for _, p := range practices {
		if _, err := d.unwrapPractice(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// unwrapPractice reads a practice's keys into the ring, unwrapping those that
// are not in it yet. It is called by whoever has acquired loading; ringMu is
// not held meanwhile: a database that stands still stops nobody whose keys are
// in memory.
func (d *DB) unwrapPractice(ctx context.Context, p id.Practice) (_ *practiceKeys, err error) {
	known, err := d.inRing(p)
	if err != nil {
		return nil, err
	}
	rows, err := d.keyRows(ctx, d.read(), p)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, vault.ErrNotFound
	}
	all, fresh := map[keys.Purpose]map[int64]*secret.Key{}, map[keys.Purpose]map[int64]*secret.Key{}
	defer func() {
		if err != nil {
			destroyKeys(fresh)
		}
	}()
	if known != nil {
		for purpose, versions := range known.all {
			all[purpose] = maps.Clone(versions) // also of rows that are gone: what is sealed under them still opens
		}
	}
	for _, r := range rows {
		if r.version < 1 || r.version > math.MaxUint16 {
			return nil, errRow("practice_key")
		}
		if all[r.purpose][r.version] != nil {
			continue
		}
		key, err := d.keys.UnwrapDataKey(ctx, practiceKeyContext(p, r.purpose, r.version), r.wrapped)
		if err != nil {
			return nil, keyError(err)
		}
		for _, m := range []map[keys.Purpose]map[int64]*secret.Key{all, fresh} {
			if m[r.purpose] == nil {
				m[r.purpose] = map[int64]*secret.Key{}
			}
			m[r.purpose][r.version] = key
		}
	}
	k := newPracticeKeys(p, rows, all, d.now())
	if !k.complete() {
		return nil, errRow("practice_key")
	}
	d.ringMu.Lock()
	defer d.ringMu.Unlock()
	if d.ring == nil { // closed meanwhile, and what was in it is destroyed
		return nil, fmt.Errorf("%w: catalog: closed", vault.ErrUnavailable)
	}
	d.ring[p] = k
	return k, nil
}

func (d *DB) keyRows(ctx context.Context, q querier, p id.Practice) (rows []keyRow, err error) {
	err = q.each(ctx, `SELECT purpose, version, wrapped, created_at FROM practice_key WHERE practice = $1 ORDER BY purpose, version`, []any{p},
		func(scan scanner) error {
			var (
				r       keyRow
				created int64
			)
			err := scan(&r.purpose, &r.version, &r.wrapped, &created)
			r.created = fromMS(created)
			rows = append(rows, r)
			return err
		})
	return rows, err
}

// keyError translates the key service's errors.
func keyError(err error) error {
	switch {
	case errors.Is(err, keys.ErrUnavailable):
		return fmt.Errorf("%w: catalog: %w", vault.ErrUnavailable, err)
	case errors.Is(err, keys.ErrRefused):
		return fmt.Errorf("%w: catalog: %w", vault.ErrBroken, err)
	}
	return fmt.Errorf("catalog: %w", err)
}

// keysOfRow returns the keys of the practice that a row found by a secret
// claims to be of. That there is no such practice was not known to whoever
// wrote the row through us.
func (d *DB) keysOfRow(ctx context.Context, p id.Practice, table string) (*practiceKeys, error) {
	k, err := d.practiceKeys(ctx, p)
	if errors.Is(err, vault.ErrNotFound) {
		return nil, errRow(table)
	}
	return k, err
}
