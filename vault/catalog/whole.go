package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"photovault/vault"
)

// current refuses a database that a newer photovault has migrated: this one
// does not know what a decision has to look at there.
func (d *DB) current(ctx context.Context, p *goose.Provider) error {
	has, knows, err := p.GetVersions(ctx)
	if err != nil {
		return d.fail(ctx, err)
	}
	if has > knows {
		return fmt.Errorf("%w: a newer photovault has changed the database (version %d of its tables, this one knows %d); run that one, or restore a backup from before it",
			ErrConfiguration, has, knows)
	}
	return nil
}

var tableMade = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// tables are the names of all that migrations make.
var tables = func() (names []string) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, file := range files {
		text, err := migrations.ReadFile(file)
		if err != nil {
			panic(err) // it is part of this program
		}
		for _, m := range tableMade.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return names
}()

// whole reports tables of a server that are missing, such as in a database
// that is being restored, or that the role may not use, such as those that
// another role has restored. What every table needs is looked at: an
// administrator may withhold more where nothing is ever changed or removed.
func (q querier) whole(ctx context.Context) error {
	if !q.d.dialect.server {
		return nil
	}
	var missing, forbidden []string
	err := q.each(ctx, `SELECT name, to_regclass(name) IS NOT NULL, COALESCE(has_table_privilege(to_regclass(name)::oid, 'SELECT')
			AND has_table_privilege(to_regclass(name)::oid, 'INSERT'), false) FROM unnest(string_to_array($1, ',')) name
		UNION ALL SELECT 'audit_ord', to_regclass('audit_ord') IS NOT NULL, COALESCE(has_sequence_privilege(to_regclass('audit_ord')::oid, 'USAGE'), false)`,
		[]any{strings.Join(tables, ",")}, func(scan scanner) error {
			var name string
			var there, allowed bool
			err := scan(&name, &there, &allowed)
			switch {
			case err != nil:
			case !there:
				missing = append(missing, name)
			case !allowed:
				forbidden = append(forbidden, name)
			}
			return err
		})
	switch {
	case err != nil:
		return err
	case len(missing) > 0:
		return fmt.Errorf("%w: catalog: the database lacks %s, which it once had: restore it whole from a backup, and verify the log", vault.ErrUnavailable, strings.Join(missing, ", "))
	case len(forbidden) > 0:
		return fmt.Errorf("%w: catalog: the role may not use %s: make it their owner (ALTER TABLE … OWNER TO)", vault.ErrUnavailable, strings.Join(forbidden, ", "))
	}
	return nil
}

// held reports whether the database holds the installation's practice. One
// that was lost, and made anew, is empty: what is not found there is no answer
// to anybody.
func (q querier) held(ctx context.Context) error {
	there := false
	err := q.each(ctx, `SELECT version FROM practice_key WHERE practice = $1`, []any{q.d.options.Practice},
		func(scanner) error { there = true; return nil })
	if err == nil && !there {
		err = fmt.Errorf("%w: catalog: the database does not hold the practice %s: it is empty, or another's; restore it", vault.ErrUnavailable, q.d.options.Practice)
	}
	return err
}

// maxSkew is how far this process's clock may be from the database's.
const maxSkew = time.Minute

// steady reports a clock that has left the database's. By a fast one uploads
// would be ended that other replicas still acknowledge bytes of.
func (d *DB) steady(ctx context.Context) error {
	if d.dialect.clock == "0" {
		return nil
	}
	var theirs int64
	if err := d.read().one(ctx, `SELECT `+d.dialect.clock, nil, func(scan scanner) error { return scan(&theirs) }); err != nil {
		return err
	}
	if off := d.now().Sub(fromMS(theirs)); off.Abs() > maxSkew {
		return fmt.Errorf("%w: catalog: this machine's clock is %v from the database's: set it", vault.ErrUnavailable, off.Round(time.Second))
	}
	return nil
}

// absent is for what was looked for by a secret: a bearer is not told that
// what it holds is worth nothing, and throws it away, because the database is
// being restored.
func (d *DB) absent(ctx context.Context, err error) error {
	if !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	if lost := d.read().held(ctx); lost != nil {
		return lost
	}
	return err
}
