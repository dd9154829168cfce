package api_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
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
	blobs    *countedBlobs
	peer     func(body []byte) (url string, trust *tls.Config) // nil: there is none
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
	out.catalog, err = catalog.OpenSQLite(context.Background(), filepath.Join(data, "catalog.db"), out.keys,
		catalog.Options{Practice: s.practice, Now: s.clock.now})
	s.must(err)
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
