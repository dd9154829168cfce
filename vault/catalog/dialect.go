package catalog

import (
	"database/sql"
	"errors"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/pressly/goose/v3"
)

// dialect is all that differs between the engines. Everything else is written
// once, with $N placeholders.
type dialect struct {
	migrations goose.Dialect
	// bind puts the placeholders into the engine's form.
	bind func(query string) string
	// fence follows a SELECT whose rows must not change before the
	// transaction ends.
	fence string
	// snapshot is the isolation at which several reads see one state.
	snapshot sql.IsolationLevel
	// lock follows a SELECT of rows that the transaction will change.
	lock string
	// claim follows a SELECT that looks for work several processes compete for.
	claim string
	// clock is an SQL expression for the database's time in milliseconds, or
	// 0 where that is this process's own clock.
	clock string
	// ord is an SQL expression for the next place in the order of audit
	// entries, or empty where this process counts.
	ord string
	// elect is a statement that waits for an exclusive lock by name until the
	// transaction ends, or empty where a write transaction is alone anyway.
	elect string
	// server: the engine is another process, and each statement a round trip.
	server bool
	// fault sorts an error of the driver.
	fault func(error) fault
}

// fault is what kind of trouble the engine is in.
type fault int

const (
	unknown     fault = iota
	unavailable       // passes: busy, full, unreachable
	conflicting       // with another transaction: nothing happened, do it again
	broken            // the stored bytes are not a database
	interrupted       // the caller's context ended
)

// sqlite: a write transaction is begun with BEGIN IMMEDIATE, so that it holds
// the only write lock and needs no locks on rows.
var sqlite = dialect{
	migrations: goose.DialectSQLite3,
	// SQLite takes $1 for a name and numbers names by order of appearance:
	// `$2 … $1` would be bound the wrong way round, silently. ?N it numbers.
	bind:  func(query string) string { return strings.ReplaceAll(query, "$", "?") },
	clock: "0",
	fault: sqliteFault,
}

func sqliteFault(err error) fault {
	var code sqlite3.ErrorCode
	if !errors.As(err, &code) {
		return unknown
	}
	switch code {
	case sqlite3.INTERRUPT:
		return interrupted
	case sqlite3.BUSY, sqlite3.LOCKED, sqlite3.IOERR, sqlite3.FULL, sqlite3.CANTOPEN, sqlite3.READONLY,
		sqlite3.NOMEM, sqlite3.PROTOCOL, sqlite3.PERM, sqlite3.NOLFS:
		return unavailable
	case sqlite3.CORRUPT, sqlite3.NOTADB:
		return broken
	}
	return unknown
}
