package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"photovault/vault/blobs/dir"
	"photovault/vault/catalog"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/keys/localkek"
)

// stores are the embedded stores of one home folder, opened.
type stores struct {
	keys    *localkek.Service
	catalog *catalog.DB
	blobs   *dir.Store
	lock    *os.File
}

// openStores opens a home folder's stores. Only one process may write to them:
// exclusive takes the folder's lock, or says that another has it. Without it
// only the catalog is opened, to be read beside a running service.
func openStores(ctx context.Context, h home, p id.Practice, exclusive bool) (s *stores, err error) {
	s = &stores{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if exclusive {
		if s.lock, err = lockFolder(h.path("data", "lock")); err != nil {
			return s, err
		}
	}
	if err = localkek.CheckOutside(h.kek(), h.data()); err != nil {
		return s, err
	}
	if s.keys, err = localkek.Open(h.kek(), passphrase()); err != nil {
		return s, err
	}
	if s.catalog, err = catalog.OpenSQLite(ctx, h.catalog(), s.keys, catalog.Options{Practice: p}); err != nil {
		return s, err
	}
	if exclusive { // opening clears what an earlier process was writing
		s.blobs, err = dir.Open(h.objects())
	}
	return s, err
}

func lockFolder(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another photovault is running on this folder; stop it first"), f.Close())
	}
	return f, nil
}

// Close closes what is open, newest first.
func (s *stores) Close() error {
	var errs error
	if s.catalog != nil {
		errs = errors.Join(errs, s.catalog.Close())
	}
	if s.blobs != nil {
		errs = errors.Join(errs, s.blobs.Close())
	}
	if s.keys != nil {
		errs = errors.Join(errs, s.keys.Close())
	}
	if s.lock != nil {
		errs = errors.Join(errs, s.lock.Close())
	}
	return errs
}

// keyOperator changes the key-encryption key itself.
func (r *run) keyOperator() (keys.Operator, error) {
	return localkek.NewOperator(home(r.Home).kek(), passphrase()), nil
}
