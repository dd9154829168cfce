package catalog_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/catalog"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/keys/localkek"
	"photovault/vault/vaulttest"
)

func TestSQLiteConforms(t *testing.T) {
	queries := map[string]bool{}
	vaulttest.Catalog(t, func(t *testing.T) vaulttest.CatalogUnderTest {
		s := newStore(t)
		db := s.open(t)
		other := id.New[id.Practice]()
		create(t, db, other)
		t.Cleanup(func() {
			for _, q := range db.Queries() {
				queries[q] = true
			}
		})
		return vaulttest.CatalogUnderTest{Catalogs: db, Practice: s.practice, Other: other, Replicas: []vault.Catalogs{s.open(t)}}
	})
	t.Run("every statement uses an index", func(t *testing.T) { checkPlans(t, queries) })
}

// store is a database file with its practice and key service.
type store struct {
	path     string
	keys     keys.Service
	practice id.Practice
}

// newStore makes a database with one practice.
func newStore(t testing.TB) *store {
	t.Helper()
	s := &store{path: filepath.Join(t.TempDir(), "catalog.db"), keys: keyService(t), practice: id.New[id.Practice]()}
	db := s.open(t)
	create(t, db, s.practice)
	must(t, db.Close())
	return s
}

// keyService is a real embedded key service with a key of its own.
func keyService(t testing.TB) keys.Service {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kek")
	must(t, localkek.Create(path, nil))
	ks, err := localkek.Open(path, nil)
	must(t, err)
	t.Cleanup(func() { ks.Close() })
	return ks
}

func (s *store) open(t testing.TB) *catalog.DB {
	t.Helper()
	db, err := s.tryOpen(t.Context())
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

func (s *store) tryOpen(ctx context.Context) (*catalog.DB, error) {
	return catalog.OpenSQLite(ctx, s.path, s.keys, catalog.Options{Practice: s.practice, Notify: []vault.Audience{vault.ForMarketing, vault.ForAlerts}})
}

// raw is what whoever owns the database file and its key can do: any SQL.
func (s *store) raw(t testing.TB) *sql.DB {
	t.Helper()
	b, err := os.ReadFile(s.path + ".keys")
	must(t, err)
	var f struct{ Wrapped [][]byte }
	must(t, json.Unmarshal(b, &f))
	var key []byte
	for i, wrapped := range f.Wrapped {
		k, err := s.keys.UnwrapDataKey(t.Context(), keys.Context{Purpose: keys.Catalog, Practice: s.practice, Subject: "sqlite/" + strconv.Itoa(i+1)}, wrapped)
		must(t, err)
		key = append(key, k.Bytes()...)
	}
	db, err := driver.Open("file:"+s.path+"?vfs=photovault&_txlock=immediate", func(c *sqlite3.Conn) error {
		return c.Exec("PRAGMA hexkey='" + hex.EncodeToString(key) + "'; PRAGMA busy_timeout=10000")
	})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

func create(t testing.TB, db *catalog.DB, p id.Practice) {
	t.Helper()
	must(t, db.CreatePractice(t.Context(), p, &audit.Entry{Action: audit.PracticeCreate, Outcome: audit.Allowed}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
