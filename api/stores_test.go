package api_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/blobs/dir"
	"photovault/vault/catalog"
	"photovault/vault/keys"
	"photovault/vault/keys/localkek"
)

// stores are what a stack stands on.
type stores struct {
	keys     *countedKeys
	operator keys.Operator
	catalog  *catalog.DB
	blobs    *countedBlobs
	peer     func(body []byte) (url string, trust *tls.Config) // nil: there is none
	raw      func(*stack) *sql.DB                              // any SQL, as whoever owns the database can run
	reopen   func(*stack) *catalog.DB                          // as a process that was just started
	close    []io.Closer                                       // in this order
}

// embedded opens the stores of one machine in the stack's folder.
func (s *stack) embedded() *stores {
	s.Helper()
	kek := filepath.Join(s.folder, "kek.json")
	s.must(localkek.Create(kek, nil))
	local, err := localkek.Open(kek, nil)
	s.must(err)
	data := filepath.Join(s.folder, "data")
	s.must(os.Mkdir(data, 0o700))
	out := &stores{keys: &countedKeys{Service: local}, operator: localkek.NewOperator(kek, nil)}
	path := filepath.Join(data, "catalog.db")
	out.reopen = func(t *stack) *catalog.DB {
		t.Helper()
		db, err := catalog.OpenSQLite(context.Background(), path, out.keys, catalog.Options{Practice: t.practice, Now: t.clock.now, Notify: []vault.Audience{vault.ForMarketing, vault.ForAlerts}})
		t.must(err)
		return db
	}
	out.raw = func(t *stack) *sql.DB { return t.rawSQLite(path) }
	out.catalog = out.reopen(s)
	objects, err := dir.Open(filepath.Join(data, "objects"))
	s.must(err)
	out.blobs, out.close = &countedBlobs{Store: objects}, []io.Closer{out.catalog, objects, local}
	return out
}

// countedBlobs counts what is read.
type countedBlobs struct {
	blobs.Store
	gets atomic.Int64
}

func (b *countedBlobs) Get(ctx context.Context, name blobs.Name, off, n int64) (io.ReadCloser, int64, error) {
	b.gets.Add(1)
	return b.Store.Get(ctx, name, off, n)
}

// presigned puts the bytes where production mode's peer serves them, if it has one.
func (s *stores) presigned(body []byte) (url string, trust *tls.Config) {
	if s.peer == nil {
		return "", nil
	}
	return s.peer(body)
}

// rawSQLite opens the database file with its key, which whoever owns the
// machine has.
func (s *stack) rawSQLite(path string) *sql.DB {
	s.Helper()
	b, err := os.ReadFile(path + ".keys")
	s.must(err)
	var f struct{ Wrapped [][]byte }
	s.must(json.Unmarshal(b, &f))
	var key []byte
	for i, wrapped := range f.Wrapped {
		k, err := s.keys.UnwrapDataKey(context.Background(), keys.Context{Purpose: keys.Catalog, Practice: s.practice, Subject: fmt.Sprintf("sqlite/%d", i+1)}, wrapped)
		s.must(err)
		key = append(key, k.Bytes()...)
	}
	db, err := driver.Open("file:"+path+"?vfs=photovault&_txlock=immediate", func(c *sqlite3.Conn) error {
		return c.Exec("PRAGMA hexkey='" + hex.EncodeToString(key) + "'; PRAGMA busy_timeout=10000")
	})
	s.must(err)
	s.Cleanup(func() { _ = db.Close() })
	return db
}

func (s *stores) furnish(t *stack) {
	t.Helper()
	t.must(vault.Mark(context.Background(), s.blobs, t.practice))
	t.must(s.catalog.CreatePractice(context.Background(), t.practice, &audit.Entry{Action: audit.PracticeCreate, Outcome: audit.Allowed}))
}

func (s *stores) end(t testing.TB) {
	var errs error
	for _, c := range s.close {
		errs = errors.Join(errs, c.Close())
	}
	if errs != nil {
		t.Errorf("closing the stores: %v", errs)
	}
}
