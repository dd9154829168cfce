package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"photovault/vault"
)

// querier runs statements written with $N, in a transaction or, reading only,
// on their own. Its errors never hold a value of a row.
type querier struct {
	d  *DB
	tx *sql.Tx // nil: each on its own
}

// read runs statements of their own.
func (d *DB) read() querier {
	d.trips.Add(1)
	return querier{d, nil}
}

// write runs fn in a transaction that holds the write lock. Whatever fn
// returns other than nil rolls it back.
// A conflict with another transaction, after which nothing has happened, is
// tried again: fn must do the same when it is called again.
func (d *DB) write(ctx context.Context, fn func(tx querier) error) error {
	return d.again(ctx, func() error { return d.writeOnce(ctx, fn) })
}

func (d *DB) again(ctx context.Context, fn func() error) error {
	const attempts = 5
	for n := 1; ; n++ {
		err := fn()
		if !errors.Is(err, errConflict) || n == attempts || ctx.Err() != nil {
			return err
		}
		select { // apart from the other, which does the same
		case <-ctx.Done():
		case <-time.After(rand.N(time.Duration(n) * 10 * time.Millisecond)):
		}
	}
}

func (d *DB) writeOnce(ctx context.Context, fn func(tx querier) error) error {
	d.trips.Add(1)
	tx, err := d.writer.BeginTx(ctx, nil)
	if err != nil {
		return d.fail(ctx, err)
	}
	defer tx.Rollback()
	if err := fn(querier{d, tx}); err != nil {
		return err
	}
	if d.dialect.server {
		d.trips.Add(1)
	}
	return d.fail(ctx, tx.Commit())
}

// alone runs one statement that is its own transaction: one round trip. When
// its outcome is unknown, it may have happened; the caller takes it for undone.
func (d *DB) alone(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = d.again(ctx, func() error {
		d.trips.Add(1)
		res, err := d.writer.ExecContext(ctx, d.bound(query), args...)
		if err != nil {
			return d.fail(ctx, err)
		}
		n, err = res.RowsAffected()
		return d.fail(ctx, err)
	})
	return n, err
}

// snapshot runs fn on one state of the database, without a lock. Where its end
// is not confirmed the caller has waited in vain, and must not go on to wait
// for something else.
func (d *DB) snapshot(ctx context.Context, fn func(querier) error) error {
	d.trips.Add(1)
	tx, err := d.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: d.dialect.snapshot})
	if err != nil {
		return d.fail(ctx, err)
	}
	err = fn(querier{d, tx})
	if end := tx.Rollback(); err == nil { // nothing was written
		err = d.fail(ctx, end)
	}
	return err
}

// exec returns how many rows were changed.
func (q querier) exec(ctx context.Context, query string, args ...any) (int64, error) {
	if q.d.dialect.server {
		q.d.trips.Add(1)
	}
	res, err := q.tx.ExecContext(ctx, q.d.bound(query), args...)
	if err != nil {
		return 0, q.d.fail(ctx, err)
	}
	n, err := res.RowsAffected()
	return n, q.d.fail(ctx, err)
}

// scanner fills in the columns of the current row.
type scanner func(columns ...any) error

// each calls fn for every row.
func (q querier) each(ctx context.Context, query string, args []any, fn func(scanner) error) error {
	rows, err := q.query(ctx, q.d.bound(query), args)
	if err != nil {
		return q.d.fail(ctx, err)
	}
	defer rows.Close()
	scan := func(columns ...any) error {
		if err := rows.Scan(columns...); err != nil {
			// A column of a type it never has. The message would show its value.
			return fmt.Errorf("catalog: column type: %w", vault.ErrBroken)
		}
		return nil
	}
	for rows.Next() {
		if err := fn(scan); err != nil {
			return err
		}
	}
	return q.d.fail(ctx, rows.Err())
}

func (q querier) query(ctx context.Context, bound string, args []any) (*sql.Rows, error) {
	if q.tx != nil {
		if q.d.dialect.server {
			q.d.trips.Add(1)
		}
		return q.tx.QueryContext(ctx, bound, args...)
	}
	// The statement of a release takes as long to parse as to run.
	stmt, ok := q.d.prepared.Load(bound)
	if !ok {
		fresh, err := q.d.reader.PrepareContext(ctx, bound)
		if err != nil {
			return nil, err
		}
		if stmt, ok = q.d.prepared.LoadOrStore(bound, fresh); ok {
			_ = fresh.Close() // another was quicker
		}
	}
	return stmt.(*sql.Stmt).QueryContext(ctx, args...)
}

// one calls fn for the only row; none is ErrNotFound.
func (q querier) one(ctx context.Context, query string, args []any, fn func(scanner) error) error {
	found := false
	err := q.each(ctx, query, args, func(scan scanner) error {
		found = true
		return fn(scan)
	})
	if err == nil && !found {
		return vault.ErrNotFound
	}
	return err
}

// bound returns the query in the engine's form.
func (d *DB) bound(query string) string {
	if b, ok := d.queries.Load(query); ok {
		return b.(string)
	}
	b := d.dialect.bind(query)
	d.queries.Store(query, b)
	return b
}

// errConflict marks trouble after which nothing has happened, and the same may
// be done again.
var errConflict = errors.New("catalog: conflict with another transaction")

// fail translates an error of database/sql or the engine.
func (d *DB) fail(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case ctx.Err() != nil && (errors.Is(err, sql.ErrTxDone) || d.dialect.fault(err) == interrupted):
		return ctx.Err()
	case d.closed.Load():
		return fmt.Errorf("%w: catalog: closed", vault.ErrUnavailable)
	}
	switch d.dialect.fault(err) {
	case conflicting:
		return fmt.Errorf("%w: %w: %w", vault.ErrUnavailable, errConflict, err)
	case unavailable, interrupted:
		return fmt.Errorf("%w: catalog: %w", vault.ErrUnavailable, err)
	case broken:
		return fmt.Errorf("%w: catalog: %w", vault.ErrBroken, err)
	}
	return fmt.Errorf("catalog: %w", err)
}
