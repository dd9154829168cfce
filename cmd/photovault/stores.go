package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"photovault/cmd/photovault/config"
	"photovault/vault"
	"photovault/vault/blobs"
	"photovault/vault/blobs/dir"
	"photovault/vault/blobs/s3"
	"photovault/vault/catalog"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/keys/localkek"
	"photovault/vault/keys/transit"
	"photovault/vault/webhook"
)

// stores are what the service stands on, opened: those of one machine or those
// of production mode, or any mixture that the configuration allows.
type stores struct {
	keys    keys.Service
	catalog *catalog.DB
	blobs   blobs.Store
	closers []io.Closer // closed in the opposite order
}

// access is how stores are opened.
type access int

const (
	serving access = iota // reads and writes; on one machine, alone
	reading               // beside a running service
)

// openStores opens the configuration's stores. On one machine only one process
// may serve: it takes the data folder's lock, or says that another has it.
func openStores(ctx context.Context, c *config.Config, how access) (s *stores, err error) {
	s = &stores{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if err := s.lock(c, how); err != nil {
		return s, err
	}
	if err := s.openKeys(ctx, c); err != nil {
		return s, fmt.Errorf("keys: %w", err)
	}
	if err := s.openCatalog(ctx, c); err != nil {
		return s, fmt.Errorf("catalog: %w", err)
	}
	if err := s.openObjects(ctx, c, how); err != nil {
		return s, fmt.Errorf("objects: %w", err)
	}
	return s, nil
}

// checkStores opens each of the configuration's stores and closes it again, and
// names what is wrong with any. The catalog is sealed under keys: without those
// it cannot be looked at.
func checkStores(ctx context.Context, c *config.Config) error {
	s := &stores{}
	what := func(store string, err error) error {
		if err != nil {
			err = fmt.Errorf("%s: %w", store, err)
		}
		return err
	}
	err := what("keys", s.openKeys(ctx, c))
	if err == nil {
		err = what("catalog", s.openCatalog(ctx, c))
	}
	objects := what("objects", s.openObjects(ctx, c, reading))
	if err == nil && objects == nil {
		err = s.checkPlace(ctx, c.Practice)
	}
	return errors.Join(err, objects, s.Close())
}

// checkPlace looks whether the stores belong together, which they do before
// init has made a practice.
func (s *stores) checkPlace(ctx context.Context, p id.Practice) error {
	list, err := s.catalog.Practices(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	return vault.CheckPlace(ctx, s.catalog, s.blobs, p)
}

func (s *stores) lock(c *config.Config, how access) error {
	if c.Catalog.SQLite == "" || how != serving {
		return nil
	}
	path := filepath.Join(filepath.Dir(c.Catalog.SQLite), "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("another photovault is running on this folder; stop it first"), f.Close())
	}
	s.closers = append(s.closers, f)
	return nil
}

func (s *stores) openKeys(ctx context.Context, c *config.Config) error {
	if c.Keys.Transit != nil {
		service, err := transit.Open(ctx, c.Transit())
		if err != nil {
			return err
		}
		s.keys, s.closers = service, append(s.closers, service)
		return nil
	}
	local := c.Keys.Local
	for _, data := range []string{filepath.Dir(c.Catalog.SQLite), c.Objects.Directory} {
		if data == "." || data == "" {
			continue
		}
		if err := localkek.CheckOutside(local.File, data); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s, or the folder of %s, is missing; restore it from its backup, or mount it: %w", data, local.File, err)
		} else if err != nil {
			return err
		}
	}
	phrase, err := c.Passphrase()
	if err != nil {
		return err
	}
	defer clear(phrase)
	service, err := localkek.Open(local.File, phrase)
	if err != nil {
		return err
	}
	s.keys, s.closers = service, append(s.closers, service)
	return nil
}

func (s *stores) openCatalog(ctx context.Context, c *config.Config) (err error) {
	if p := c.Catalog.Postgres; p != nil {
		password, err := c.Password()
		if err != nil {
			return err
		}
		s.catalog, err = catalog.OpenPostgres(ctx, catalog.PostgresOptions{Host: p.Host, Port: uint16(p.Port), Database: p.Database, User: p.User,
			Password: password, PasswordNow: c.Password, CAFile: p.CA, Connections: p.Connections}, s.keys, catalogOptions(c))
		if err != nil {
			return err
		}
	} else {
		s.catalog, err = catalog.OpenSQLite(ctx, c.Catalog.SQLite, s.keys, catalogOptions(c))
		if errors.Is(err, vault.ErrBroken) {
			err = fmt.Errorf("%s is damaged, or not this vault's; restore it and its .keys from one backup: %w", c.Catalog.SQLite, err)
		}
	}
	if err == nil {
		s.closers = append(s.closers, s.catalog)
	}
	return err
}

func catalogOptions(c *config.Config) catalog.Options {
	o := catalog.Options{Practice: c.Practice, TakedownDue: c.TakedownDue}
	for name := range c.Webhooks() {
		o.Notify = append(o.Notify, vault.Audience(name))
	}
	return o
}

// receivers opens those that are configured; nobody is connected to.
func receivers(c *config.Config) (map[vault.Audience]vault.Receiver, error) {
	out := map[vault.Audience]vault.Receiver{}
	for name, o := range c.Webhooks() {
		r, err := webhook.Open(o)
		if err != nil {
			return nil, fmt.Errorf("notify.%s: %w", name, err)
		}
		out[vault.Audience(name)] = r
	}
	return out, nil
}

func (s *stores) openObjects(ctx context.Context, c *config.Config, how access) error {
	if c.Objects.S3 != nil {
		store, err := s3.Open(ctx, c.S3())
		if err != nil {
			return err
		}
		s.blobs, s.closers = store, append(s.closers, store)
		return nil
	}
	open := dir.Open
	if how != serving { // opening would clear what the running service is writing
		open = dir.OpenBeside
	}
	store, err := open(c.Objects.Directory)
	if err != nil {
		return err
	}
	s.blobs, s.closers = store, append(s.closers, store)
	return nil
}

// onStores runs a command that works on the stores themselves, for the practice
// that f names, and closes them after it.
func (r *run) onStores(how access, f practiceFlag, work func(c *config.Config, s *stores, p id.Practice) error) (err error) {
	conf, err := r.config()
	if err != nil {
		return err
	}
	practice, err := f.practice(conf)
	if err != nil {
		return err
	}
	harden(nil)
	s, err := openStores(r.ctx, conf, how)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return work(conf, s, practice)
}

// Close closes what is open, newest first. It may be called twice.
func (s *stores) Close() error {
	var errs error
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		errs = errors.Join(errs, s.closers[last].Close())
		s.closers = s.closers[:last]
	}
	return errs
}

// keyOperator changes the key-encryption key itself, under an identity that
// the service never has. The caller closes it.
func (r *run) keyOperator(tokenFile string) (keys.Operator, io.Closer, error) {
	c, err := r.config()
	if err != nil {
		return nil, nil, err
	}
	if c.Keys.Transit == nil {
		phrase, err := c.Passphrase()
		return localkek.NewOperator(c.Keys.Local.File, phrase), io.NopCloser(nil), err
	}
	if tokenFile == "" {
		return nil, nil, misuse("the key-encryption key is changed with an operator's token: give --operator-token-file (deploy/policies/transit says how to make one)")
	}
	o := c.Transit()
	o.AppRole, o.TokenFile = nil, tokenFile
	operator, err := transit.OpenOperator(r.ctx, o)
	if err != nil {
		return nil, nil, err
	}
	return operator, operator, nil
}
