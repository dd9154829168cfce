package api_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

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
	blobs    blobs.Store
	close    []io.Closer // in this order
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
	out.catalog, err = catalog.OpenSQLite(context.Background(), filepath.Join(data, "catalog.db"), out.keys,
		catalog.Options{Practice: s.practice, Now: s.clock.now})
	s.must(err)
	objects, err := dir.Open(filepath.Join(data, "objects"))
	s.must(err)
	out.blobs, out.close = objects, []io.Closer{out.catalog, objects, local}
	return out
}

func (s *stores) furnish(t *stack) {
	t.Helper()
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
