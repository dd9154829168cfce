package catalog

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"photovault/vault"
	"photovault/vault/canon"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/seal"
)

// place is where a row belongs. What was sealed for one place cannot be
// opened at another.
type place struct {
	table    string
	practice id.Practice
	id       string
	version  int64
}

func (p place) context() []byte {
	return canon.Encode("photovault/row/v1", string(p.practice), p.table, p.id, strconv.FormatInt(p.version, 10))
}

// sealRow returns the sealed column: the catalog key's version (uint16,
// big-endian) and the JSON of v in a container bound to its place.
func sealRow[T any](k *practiceKeys, p place, v *T) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("catalog: encode %s row: %w", p.table, err)
	}
	defer clear(plain)
	return k.seal(p, plain)
}

// openRow opens a sealed column. same must compare every clear column with
// the sealed copy: whoever can write to the database can write those.
func openRow[T any](k *practiceKeys, p place, sealed []byte, same func(*T) bool) (*T, error) {
	plain, err := k.open(p, sealed)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	v := new(T)
	if err := json.Unmarshal(plain, v); err != nil || !same(v) {
		return nil, errRow(p.table)
	}
	return v, nil
}

func (k *practiceKeys) seal(p place, plain []byte) ([]byte, error) {
	version := k.use[keys.Catalog]
	out, err := seal.Seal(binary.BigEndian.AppendUint16(nil, uint16(version)), k.all[keys.Catalog][version].Bytes(), p.context(), plain)
	if err != nil {
		return nil, fmt.Errorf("catalog: seal %s row: %w", p.table, err)
	}
	return out, nil
}

func (k *practiceKeys) open(p place, sealed []byte) ([]byte, error) {
	if len(sealed) < 2 || k.practice != p.practice {
		return nil, errRow(p.table)
	}
	key := k.all[keys.Catalog][int64(binary.BigEndian.Uint16(sealed))]
	if key == nil {
		return nil, errRow(p.table)
	}
	plain, err := seal.Open(nil, key.Bytes(), p.context(), sealed[2:])
	if err != nil {
		return nil, errRow(p.table)
	}
	return plain, nil
}

// errRow names the table and nothing else: which row it is says the audit
// entry of the attempt.
func errRow(table string) error {
	return fmt.Errorf("catalog: %s row: %w", table, vault.ErrBroken)
}

// Our own mistakes, which no client causes.
var (
	errForeign = errors.New("catalog: the row belongs to another practice or its parts do not fit together")
	errNoEntry = errors.New("catalog: a change without an audit entry")
)

// count turns "no row changed" into an error.
func count(n int64, err error, none error) error {
	if err == nil && n == 0 {
		return none
	}
	return err
}

func ms(t time.Time) int64     { return t.UnixMilli() }
func fromMS(n int64) time.Time { return time.UnixMilli(n).UTC() }

// maybeMS is 0 for a time that is not known.
func maybeMS(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return ms(t)
}
