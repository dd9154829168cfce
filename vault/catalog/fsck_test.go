package catalog_test

import (
	"slices"
	"testing"

	"photovault/vault"
	"photovault/vault/catalog"
	"photovault/vault/vaulttest"
)

// Every table with a sealed column is walked, every row of it once, whatever
// the size of a page.
func TestInspectionWalksEverySealedTable(t *testing.T) {
	s := newStore(t)
	db := s.open(t)
	for range 3 {
		vaulttest.Furnish(t, db, s.practice)
	}
	raw := s.raw(t)
	seen := map[string]map[string]bool{}
	must(t, db.ForPractice(s.practice).InspectRows(t.Context(), func(r vault.CheckedRow) error {
		if r.Err != nil {
			t.Errorf("%s %s: %v", r.Table, r.ID, r.Err)
		}
		if seen[r.Table] == nil {
			seen[r.Table] = map[string]bool{}
		}
		if r.Table != "upload_grant" && r.Table != "photo_key" && seen[r.Table][r.ID] { // told by their photo
			t.Errorf("%s %s twice", r.Table, r.ID)
		}
		seen[r.Table][r.ID] = true
		return nil
	}))
	for table := range clear {
		if !slices.Contains(column(t, raw, `SELECT name FROM pragma_table_info('`+table+`')`), "sealed") {
			continue
		}
		if !slices.Contains(catalog.SealedTables(), table) {
			t.Errorf("%s is not walked", table)
		}
		var n int
		must(t, raw.QueryRow(`SELECT count(*) FROM `+table+` WHERE practice = ?`, s.practice).Scan(&n))
		if n == 0 || len(seen[table]) == 0 || len(seen[table]) > n {
			t.Errorf("%s: %d rows, %d seen", table, n, len(seen[table]))
		}
	}
}
