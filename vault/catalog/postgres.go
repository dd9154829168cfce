package catalog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"golang.org/x/sync/semaphore"

	"photovault/vault"
	"photovault/vault/id"
	"photovault/vault/keys"
)

// PostgresOptions say where the database is. Nothing is taken from the
// environment, a password file or a service file.
type PostgresOptions struct {
	Host     string // as in the server's certificate
	Port     uint16 // default 5432
	Database string
	User     string
	Password string
	// PasswordNow is asked at each connection, so that a password is replaced
	// without a restart. It may be nil: then it is always Password.
	PasswordNow func() (string, error)
	CAFile      string // PEM: who may sign the server's certificate; empty: the system's authorities

	Connections int // at most, of both pools together; default 20
}

// ErrConfiguration: the server is not set up such that what it acknowledges
// may be relied upon. Trying again does not help.
var ErrConfiguration = errors.New("catalog: configuration")

// Limits of what a statement may wait for. A replica that was frozen in a
// transaction, or whose machine is gone, keeps its locks no longer than
// idleTimeout: that is less than the time for which the log may stand still.
const (
	connectTimeout   = 5 * time.Second
	statementTimeout = 30 * time.Second
	lockTimeout      = 10 * time.Second
	idleTimeout      = 5 * time.Second // in a transaction
)

// postgres: READ COMMITTED, rows are locked where SQLite locks the whole file.
var postgres = dialect{
	migrations: goose.DialectPostgres,
	bind:       func(query string) string { return query },
	fence:      " FOR SHARE",
	lock:       " FOR UPDATE",
	claim:      " FOR UPDATE SKIP LOCKED",
	snapshot:   sql.LevelRepeatableRead,
	clock:      "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
	ord:        "nextval('audit_ord')",
	elect:      "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
	server:     true,
	fault:      postgresFault,
}

// postgresFault: SQLSTATE classes of the manual's appendix A; what is no
// answer of the server is a broken connection.
func postgresFault(err error) fault {
	var p *pgconn.PgError
	if !errors.As(err, &p) {
		var n net.Error
		var connect *pgconn.ConnectError
		switch {
		case errors.As(err, &n), errors.As(err, &connect), errors.Is(err, errPassword), errors.Is(err, sql.ErrConnDone), errors.Is(err, net.ErrClosed), pgconn.SafeToRetry(err),
			strings.Contains(err.Error(), "unexpected EOF"), strings.Contains(err.Error(), "conn closed"), strings.Contains(err.Error(), "connection reset"),
			strings.Contains(err.Error(), "driver: bad connection"):
			return unavailable
		}
		return unknown
	}
	switch p.Code {
	case "40001", "40P01": // serialization failure, deadlock
		return conflicting
	case "57014": // query cancelled: by us, or by the statement's time limit
		return unavailable
	case "55P03": // lock not available in time
		return unavailable
	case "42501", "42P01", "3F000": // no right, no table, no schema: until whoever restores the database has done so
		return unavailable
	case "XX001", "XX002": // data or index corrupted
		return broken
	}
	switch p.Code[:2] {
	case "08", "25", "53", "57", "58", "28", "3D": // connection, read-only primary, resources, operator, system, login, no such database
		return unavailable
	}
	if connect := new(pgconn.ConnectError); errors.As(err, &connect) { // such as a database that takes no connections for now
		return unavailable
	}
	return unknown
}

// OpenPostgres opens the database and migrates it, which several processes may
// do at once. Connections are TLS with verify-full and log in by SCRAM; the
// server must be a primary that makes durable what it acknowledges. The key
// service is borrowed until Close.
// Errors: ErrConfiguration, vault.ErrUnavailable, vault.ErrBroken.
func OpenPostgres(ctx context.Context, po PostgresOptions, ks keys.Service, o Options) (_ *DB, err error) {
	virtual := o.Now != nil
	o.fill()
	if ks == nil || !id.Valid(string(o.Practice)) {
		return nil, errors.New("catalog: open: key service and practice are required")
	}
	conf, err := po.config()
	if err != nil {
		return nil, err
	}
	d := &DB{dialect: postgres, keys: ks, options: o, loading: semaphore.NewWeighted(1), ring: map[id.Practice]*practiceKeys{}}
	if virtual { // time is the caller's
		d.dialect.clock = "0"
	}
	defer func() {
		if err != nil {
			_ = d.Close() // the first error is the one that counts
		}
	}()
	connections := max(4, po.Connections)
	if po.Connections == 0 {
		connections = 20
	}
	connect := []stdlib.OptionOpenDB{stdlib.OptionResetSession(primary), stdlib.OptionBeforeConnect(po.renew)}
	d.reader, d.writer = stdlib.OpenDB(*conf, connect...), stdlib.OpenDB(*conf, connect...)
	for _, pool := range []*sql.DB{d.reader, d.writer} {
		pool.SetMaxOpenConns(connections / 2)
		pool.SetMaxIdleConns(connections / 2)
		pool.SetConnMaxIdleTime(5 * time.Minute)
		pool.SetConnMaxLifetime(time.Hour)
	}
	if err := d.durable(ctx, conf.RuntimeParams); err != nil {
		return nil, err
	}
	if err := d.migrate(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// config is everything that pgx would otherwise look for elsewhere.
func (po PostgresOptions) config() (*pgx.ConnConfig, error) {
	if po.Host == "" || po.Database == "" || po.User == "" || strings.ContainsAny(po.Host, "/,@ ") {
		return nil, fmt.Errorf("%w: host, database and user of the PostgreSQL server are required", ErrConfiguration)
	}
	if po.Password == "" {
		return nil, fmt.Errorf("%w: PostgreSQL needs a password: it is asked for by SCRAM", ErrConfiguration)
	}
	if po.Port == 0 {
		po.Port = 5432
	}
	// Every key that the environment could set is given here: what is given wins.
	conf, err := pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=x password=x dbname=x sslmode=disable passfile=/dev/null sslnegotiation=postgres "+
		"sslcert='' sslkey='' sslrootcert='' sslpassword='' target_session_attrs=read-write "+
		"min_protocol_version=3.0 max_protocol_version=3.0 channel_binding=prefer require_auth=scram-sha-256 connect_timeout=%d application_name=photovault",
		po.Port, int(connectTimeout.Seconds())))
	if err != nil {
		return nil, fmt.Errorf("%w: the PostgreSQL client refuses its settings; unset the PG… variables of the environment", ErrConfiguration)
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: po.Host}
	if po.CAFile != "" {
		pem, err := os.ReadFile(po.CAFile)
		if err != nil {
			return nil, fmt.Errorf("%w: the authority's file cannot be read: %w", ErrConfiguration, err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: %s holds no certificate", ErrConfiguration, po.CAFile)
		}
	}
	conf.Host, conf.Port, conf.Database, conf.User, conf.Password = po.Host, po.Port, po.Database, po.User, po.Password
	conf.TLSConfig, conf.Fallbacks = trust, nil
	milliseconds := func(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }
	// Sent at the start of each connection, these win over what was set for
	// the role or the database.
	conf.RuntimeParams = map[string]string{
		"application_name":                    "photovault",
		"synchronous_commit":                  "on",
		"default_transaction_isolation":       "read committed",
		"default_transaction_read_only":       "off",
		"statement_timeout":                   milliseconds(statementTimeout),
		"lock_timeout":                        milliseconds(lockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleTimeout),
		"TimeZone":                            "UTC",
		"search_path":                         `"$user", public`, // else the tables would be made anew elsewhere
	}
	return conf, nil
}

// renew gives the connection that is about to be made the password of now.
func (po PostgresOptions) renew(_ context.Context, conf *pgx.ConnConfig) error {
	if po.PasswordNow == nil {
		return nil
	}
	password, err := po.PasswordNow()
	if err != nil {
		return fmt.Errorf("%w: %w", errPassword, err)
	}
	conf.Password = password
	return nil
}

var errPassword = errors.New("catalog: the password of the database cannot be read")

// primary drops a connection whose server is no primary any more.
func primary(_ context.Context, c *pgx.Conn) error {
	if c.PgConn().ParameterStatus("in_hot_standby") == "on" || c.PgConn().ParameterStatus("default_transaction_read_only") == "on" {
		return errors.New("catalog: the server is no primary any more") // driver: another connection is made
	}
	return nil
}

// durable refuses a server that forgets what it acknowledged, or is too old, and
// a pooler before it that drops what was sent at the start of the connection:
// without its limits a replica that was frozen keeps its locks.
func (d *DB) durable(ctx context.Context, sent map[string]string) error {
	var version int
	settings := map[string]string{"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
	if err := d.writer.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		return d.openFault(ctx, err)
	}
	var wrong []string
	if version < 140000 {
		wrong = append(wrong, "the server is older than PostgreSQL 14; upgrade it")
	}
	for name, want := range settings {
		var got string
		if err := d.writer.QueryRowContext(ctx, `SELECT current_setting($1)`, name).Scan(&got); err != nil {
			return d.openFault(ctx, err)
		}
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s is %s; what is acknowledged could be lost: ALTER SYSTEM SET %s = %s, and reload", name, got, name, want))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		var got string
		if err := d.writer.QueryRowContext(ctx, `SELECT setting FROM pg_settings WHERE name = $1`, name).Scan(&got); err != nil {
			return d.openFault(ctx, err)
		}
		if got != sent[name] && settings[name] == "" {
			wrong = append(wrong, fmt.Sprintf("%s is %s although the service asked for %s: connect to the server itself, with no pooler between", name, got, sent[name]))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %s", ErrConfiguration, strings.Join(wrong, "; "))
	}
	return nil
}

// openFault: what stands against the first connection. The client's text names
// host and user; it never holds the password.
func (d *DB) openFault(ctx context.Context, err error) error {
	if d.dialect.fault(err) == unknown && ctx.Err() == nil {
		return fmt.Errorf("%w: catalog: %w", vault.ErrUnavailable, err)
	}
	return d.fail(ctx, err)
}

// auditOrder makes the sequence that orders audit entries by when they were
// written, whichever replica wrote them: each takes its number while it holds
// the lock that orders it against a revocation.
func auditOrder() *goose.Migration {
	run := func(query string) *goose.GoFunc {
		return &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, query)
			return err
		}}
	}
	return goose.NewGoMigration(3, run(`CREATE SEQUENCE audit_ord AS BIGINT`), run(`DROP SEQUENCE audit_ord`))
}

// commitUse is the redemption's one statement: the fence holds the head's row
// and the account's, so that a revocation of either comes wholly before or
// wholly after it; then the use; then the audit entry. It changes no row where
// one of them moved or the use is taken.
const commitUse = `WITH fence AS (
	SELECT 1 FROM subject s JOIN account a ON a.practice = s.practice
	WHERE s.practice = $1 AND s.id = $2 AND s.epoch = $3 AND a.id = $11 AND a.version = $12 FOR SHARE
), used AS (
	INSERT INTO token_use (practice, token, n, version, sealed)
	SELECT $1, $4::text, $5::bigint, 1, $6::bytea FROM fence ON CONFLICT DO NOTHING RETURNING 1
)
INSERT INTO audit_entry (practice, id, ord, patient, sealed, mac)
SELECT $1, $7::text, nextval('audit_ord'), $8::text, $9::bytea, $10::bytea FROM used`
