package catalog_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/vault"
	"photovault/vault/canon"
	"photovault/vault/keys"
	"photovault/vault/seal"
	"photovault/vault/vaulttest"
)

// A sealed column is the catalog key's version and a container whose context
// is practice, table, id and version of the row; nothing else opens it.
func TestSealedColumnFormat(t *testing.T) {
	s := newStore(t)
	db := s.open(t)
	f := vaulttest.Furnish(t, db, s.practice)
	key, err := db.PracticeKey(t.Context(), s.practice, keys.Catalog)
	must(t, err)
	sealed := []byte(column(t, s.raw(t), `SELECT sealed FROM photo WHERE id = ?`, f.Ready.ID)[0])
	if sealed[0] != 0 || sealed[1] != 1 {
		t.Errorf("key version % x", sealed[:2])
	}
	fields := []string{string(s.practice), "photo", string(f.Ready.ID), "4"}
	open := func(fields ...string) ([]byte, error) {
		return seal.Open(nil, key.Bytes(), canon.Encode("photovault/row/v1", fields...), sealed[2:])
	}
	plain, err := open(fields...)
	must(t, err)
	var got vault.Photo
	must(t, json.Unmarshal(plain, &got))
	if d := cmp.Diff(f.Ready, &got); d != "" {
		t.Error(d)
	}
	for i := range fields {
		other := append([]string(nil), fields...)
		other[i] = "x"
		if _, err := open(other...); err == nil {
			t.Errorf("opened with %q", other)
		}
	}
}
