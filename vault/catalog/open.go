// Package catalog keeps photovault's rows in SQL: encrypted SQLite on one
// machine, and the same statements for a server later (dialect.go). It
// implements vault.Catalogs.
//
// The database is trusted with nothing but keeping bytes: every row that a
// decision reads is sealed under its practice's catalog key and bound to its
// table, id and version; clear columns are indexes and are compared with the
// sealed copy; each patient has a sealed head that commits to which consents,
// authorizations and events exist; and a process refuses a row older than one
// it has seen. What is refused is vault.ErrBroken.
package catalog

import (
	"context"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"golang.org/x/sync/semaphore"

	"photovault/vault"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
)

// Options of a catalog.
type Options struct {
	// Practice is the installation's first practice: the keys of the database
	// file are bound to it. Required.
	Practice id.Practice
	// Now is the database's clock where that is this process's; default time.Now.
	Now func() time.Time
	// Notify are the audiences that messages are written for; default none.
	Notify []vault.Audience
	// TakedownDue is how long a takedown may take; default 3 days.
	TakedownDue time.Duration
}

func (o *Options) fill() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TakedownDue == 0 {
		o.TakedownDue = 3 * 24 * time.Hour
	}
}

// DB is an open catalog. It is safe for concurrent use.
type DB struct {
	dialect dialect
	keys    keys.Service // borrowed
	options Options
	path    string         // of the database file; empty on a server
	file    [2]*secret.Key // its key, in halves

	reader, writer *sql.DB
	queries        sync.Map // statement as written → as bound
	prepared       sync.Map // reading statement as bound → *sql.Stmt
	closed         atomic.Bool
	trips          atomic.Int64
	ord            atomic.Int64
	seen           memory

	loading *semaphore.Weighted           // of one: keys are read from the database and unwrapped
	ringMu  sync.Mutex                    // never held while anything is waited for
	ring    map[id.Practice]*practiceKeys // nil when closed
}

var _ vault.Catalogs = (*DB)(nil)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many reads run at once; SQLite has one writer anyway.
const readers = 4

// OpenSQLite opens the database file at path and migrates it, or makes it.
// The file is encrypted with AES-256-XTS, and it, its log and its index are
// readable by their owner only. The wrapped halves of its key stand beside it in path+".keys".
// The key service is borrowed until Close.
// Errors: vault.ErrUnavailable (the key service or the file does not answer), vault.ErrBroken (not this installation's key or file),
// ErrConfiguration (a newer photovault has migrated it).
func OpenSQLite(ctx context.Context, path string, ks keys.Service, o Options) (_ *DB, err error) {
	o.fill()
	if ks == nil || !id.Valid(string(o.Practice)) {
		return nil, errors.New("catalog: open: key service and practice are required")
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("catalog: open: %w", err)
	}
	d := &DB{dialect: sqlite, keys: ks, options: o, path: path, loading: semaphore.NewWeighted(1), ring: map[id.Practice]*practiceKeys{}}
	defer func() {
		if err != nil {
			_ = d.Close() // the first error is the one that counts
		}
	}()
	if d.file, err = fileKey(ctx, path, ks, o.Practice); err != nil {
		return nil, err
	}
	if err := tighten(path); err != nil {
		return nil, err
	}
	registerVFS()
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "vfs=" + vfsName}).String()
	if d.writer, err = driver.Open(dsn+"&_txlock=immediate", d.prepare); err != nil {
		return nil, d.fail(ctx, err)
	}
	d.writer.SetMaxOpenConns(1)
	if d.reader, err = driver.Open(dsn, d.prepare); err != nil {
		return nil, d.fail(ctx, err)
	}
	d.reader.SetMaxOpenConns(readers)
	d.reader.SetMaxIdleConns(readers)
	if err := d.migrate(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// prepare sets a fresh connection up. The key comes first: nothing can be
// read before it.
func (d *DB) prepare(c *sqlite3.Conn) error {
	hexkey := hex.AppendEncode(hex.AppendEncode(make([]byte, 0, 128), d.file[0].Bytes()), d.file[1].Bytes())
	defer clear(hexkey)
	for _, pragma := range []string{
		`hexkey='` + string(hexkey) + `'`,
		`busy_timeout=10000`,
		`journal_mode=WAL`,
		`synchronous=FULL`,
		`temp_store=memory`,
		`trusted_schema=off`,
		`cell_size_check=on`,
	} {
		if err := c.Exec(`PRAGMA ` + pragma); err != nil {
			return err // names the trouble, never the statement
		}
	}
	return nil
}

func (d *DB) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("catalog: migrations: %w", err)
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if d.dialect.server { // other replicas start at the same time
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120)) // tries once a second
		if err != nil {
			return d.fail(ctx, err)
		}
		options = append(options, goose.WithSessionLocker(locker), goose.WithGoMigrations(auditOrder()))
	}
	p, err := goose.NewProvider(d.dialect.migrations, d.writer, files, options...)
	if err != nil {
		return d.fail(ctx, err)
	}
	if _, err := p.Up(ctx); err != nil {
		return d.fail(ctx, err)
	}
	if err := d.current(ctx, p); err != nil {
		return err
	}
	return d.read().whole(ctx)
}

// Close ends the catalog and overwrites its keys. Calls in progress must have
// returned. It may be called twice.
func (d *DB) Close() error {
	d.closed.Store(true)
	var errs error
	for _, pool := range []*sql.DB{d.reader, d.writer} {
		if pool != nil {
			errs = errors.Join(errs, pool.Close())
		}
	}
	d.ringMu.Lock()
	defer d.ringMu.Unlock()
	for _, k := range d.ring {
		destroyKeys(k.all)
	}
	d.ring = nil
	for _, k := range d.file {
		k.Destroy()
	}
	return errs
}

// Ready reports whether the database can be read and written now, is whole,
// holds the installation's practice, and has this process's time.
func (d *DB) Ready(ctx context.Context) error {
	if err := d.steady(ctx); err != nil {
		return err
	}
	return d.write(ctx, func(tx querier) error {
		if err := tx.whole(ctx); err != nil {
			return err
		}
		return tx.held(ctx)
	})
}

// ForPractice returns the practice's part of the catalog. A practice that does
// not exist shows on first use, as ErrNotFound.
func (d *DB) ForPractice(p id.Practice) vault.Catalog { return &practice{d, p} }

// practice implements vault.Catalog.
type practice struct {
	d *DB
	p id.Practice
}

func (c *practice) keys(ctx context.Context) (*practiceKeys, error) {
	return c.d.practiceKeys(ctx, c.p)
}

// RoundTrips counts exchanges with the database since it was opened: a
// statement of its own is one, a transaction is one.
func (d *DB) RoundTrips() int64 { return d.trips.Load() }

func (d *DB) now() time.Time { return d.options.Now().UTC().Truncate(time.Millisecond) }
