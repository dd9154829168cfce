package catalog

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/canon"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
)

// practicePurposes are the keys that every practice has in the catalog.
var practicePurposes = []keys.Purpose{keys.Catalog, keys.Index, keys.Audit, keys.Checkpoint, keys.UploadSigning}

// practiceKeys are one practice's keys in memory, from their first use until
// Close. Rows name the version of the catalog key they are sealed under; of
// the other purposes the newest version counts.
type practiceKeys struct {
	practice id.Practice
	catalog  map[uint16]*secret.Key
	newest   uint16
	other    map[keys.Purpose]*secret.Key
	versions map[keys.Purpose]int64
}

func newPracticeKeys(p id.Practice) *practiceKeys {
	return &practiceKeys{practice: p, catalog: map[uint16]*secret.Key{}, other: map[keys.Purpose]*secret.Key{}, versions: map[keys.Purpose]int64{}}
}

// add takes ownership of the key.
func (k *practiceKeys) add(purpose keys.Purpose, version int64, key *secret.Key) {
	if purpose == keys.Catalog {
		k.catalog[uint16(version)] = key
		k.newest = max(k.newest, uint16(version))
		return
	}
	if version < k.versions[purpose] {
		key.Destroy()
		return
	}
	k.other[purpose].Destroy()
	k.other[purpose], k.versions[purpose] = key, version
}

func (k *practiceKeys) complete() bool {
	for _, p := range practicePurposes {
		if k.get(p) == nil {
			return false
		}
	}
	return true
}

func (k *practiceKeys) get(p keys.Purpose) *secret.Key {
	if p == keys.Catalog {
		return k.catalog[k.newest]
	}
	return k.other[p]
}

func (k *practiceKeys) destroy() {
	for _, key := range k.catalog {
		key.Destroy()
	}
	for _, key := range k.other {
		key.Destroy()
	}
}

// recordIndex is the blind index of a record number: equal numbers of one
// practice have equal indexes, and nobody without the key can try numbers.
func (k *practiceKeys) recordIndex(number string) []byte {
	h := hmac.New(sha256.New, k.other[keys.Index].Bytes())
	h.Write(canon.Encode("photovault/index/record-number/v1", string(k.practice), strings.ToUpper(strings.TrimSpace(number))))
	return h.Sum(nil)
}

func practiceKeyContext(p id.Practice, purpose keys.Purpose, version int64) keys.Context {
	return keys.Context{Purpose: purpose, Practice: p, Subject: strconv.FormatInt(version, 10)}
}

// CreatePractice makes a practice's keys and writes them, wrapped, together
// with the log's first entry. ConflictError practice_exists.
func (d *DB) CreatePractice(ctx context.Context, p id.Practice, e *audit.Entry) error {
	if e == nil {
		return errNoEntry
	}
	if !id.Valid(string(p)) {
		return errForeign
	}
	k, wrapped := newPracticeKeys(p), map[keys.Purpose][]byte{}
	defer k.destroy() // the first use unwraps what was written
	for _, purpose := range practicePurposes {
		key, w, err := d.keys.NewDataKey(ctx, practiceKeyContext(p, purpose, 1))
		if err != nil {
			return keyError(err)
		}
		k.add(purpose, 1, key)
		wrapped[purpose] = w
	}
	return d.write(ctx, func(tx querier) error {
		for _, purpose := range practicePurposes {
			n, err := tx.exec(ctx, `INSERT INTO practice_key (practice, purpose, version, wrapped, created_at)
				VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, p, purpose, 1, wrapped[purpose], ms(d.now()))
			exists := &vault.ConflictError{Code: "practice_exists", Sentence: "This practice exists already."}
			if err := count(n, err, exists); err != nil {
				return err
			}
		}
		return d.audit(ctx, tx, k, e)
	})
}

// PracticeKey lends a practice's newest key of the purpose until Close.
// ErrNotFound: no such practice.
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

// practiceKeys returns the keys of a practice, unwrapping them on first use.
func (d *DB) practiceKeys(ctx context.Context, p id.Practice) (*practiceKeys, error) {
	d.ringMu.Lock()
	defer d.ringMu.Unlock()
	if k := d.ring[p]; k != nil {
		return k, nil
	}
	if d.ring == nil {
		return nil, fmt.Errorf("%w: catalog: closed", vault.ErrUnavailable)
	}
	k, err := d.unwrapPractice(ctx, p)
	if err != nil {
		return nil, err
	}
	d.ring[p] = k
	return k, nil
}

func (d *DB) unwrapPractice(ctx context.Context, p id.Practice) (_ *practiceKeys, err error) {
	type row struct {
		purpose keys.Purpose
		version int64
		wrapped []byte
	}
	var rows []row
	err = d.read().each(ctx, `SELECT purpose, version, wrapped FROM practice_key WHERE practice = $1`, []any{p}, func(scan scanner) error {
		var r row
		err := scan(&r.purpose, &r.version, &r.wrapped)
		rows = append(rows, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, vault.ErrNotFound
	}
	k := newPracticeKeys(p)
	defer func() {
		if err != nil {
			k.destroy()
		}
	}()
	for _, r := range rows {
		if r.version < 1 || r.version > math.MaxUint16 {
			return nil, errRow("practice_key")
		}
		key, err := d.keys.UnwrapDataKey(ctx, practiceKeyContext(p, r.purpose, r.version), r.wrapped)
		if err != nil {
			return nil, keyError(err)
		}
		k.add(r.purpose, r.version, key)
	}
	if !k.complete() {
		return nil, errRow("practice_key")
	}
	return k, nil
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
