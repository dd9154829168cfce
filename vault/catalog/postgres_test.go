package catalog_test

import (
	"testing"

	"photovault/vault/audit"
	"photovault/vault/catalog"
	"photovault/vault/id"
	"photovault/vault/vaulttest"
	"photovault/vault/vaulttest/devstack"
)

// postgresOptions are those of a fresh database.
func postgresOptions(t testing.TB) catalog.PostgresOptions {
	t.Helper()
	return catalog.PostgresOptions(devstack.Need(t).Place(t))
}

func TestPostgresConformance(t *testing.T) {
	vaulttest.Catalog(t, func(t *testing.T) vaulttest.CatalogUnderTest {
		o, ks := postgresOptions(t), keyService(t)
		u := vaulttest.CatalogUnderTest{Practice: id.New[id.Practice](), Other: id.New[id.Practice]()}
		db, err := catalog.OpenPostgres(t.Context(), o, ks, catalog.Options{Practice: u.Practice})
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		for _, p := range []id.Practice{u.Practice, u.Other} {
			must(t, db.CreatePractice(t.Context(), p, &audit.Entry{Action: audit.PracticeCreate, Outcome: audit.Allowed}))
		}
		u.Catalogs = db
		return u
	})
}
