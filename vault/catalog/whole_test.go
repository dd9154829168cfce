package catalog_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/catalog"
	"photovault/vault/vaulttest"
)

// A release that is put back to the one before does not decide on rows whose
// meaning it does not know.
func TestADatabaseOfANewerPhotovaultIsRefused(t *testing.T) {
	newer := `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`
	t.Run("SQLite", func(t *testing.T) {
		s := newStore(t)
		_, err := s.raw(t).Exec(newer)
		must(t, err)
		refusedAsNewer(t, second(s.tryOpen(t.Context())))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		s := newServer(t)
		_, err := s.raw(t).Exec(newer)
		must(t, err)
		refusedAsNewer(t, second(s.tryOpen(t.Context())))
	})
}

func refusedAsNewer(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, catalog.ErrConfiguration) || !strings.Contains(err.Error(), "newer photovault") {
		t.Errorf("%v, want ErrConfiguration that says so", err)
	}
}

// A search_path set for the role would have the tables made anew, empty, in
// another schema, and each new connection look there.
func TestARolesSearchPathMovesNoTable(t *testing.T) {
	s := newServer(t)
	raw := s.raw(t)
	for _, q := range []string{`CREATE SCHEMA elsewhere`, `ALTER ROLE CURRENT_USER SET search_path = elsewhere`} {
		_, err := raw.Exec(q)
		must(t, err)
	}
	must(t, s.open(t).Ready(t.Context()))
	var n int
	must(t, raw.QueryRow(`SELECT count(*) FROM pg_tables WHERE schemaname = 'elsewhere'`).Scan(&n))
	if n != 0 {
		t.Errorf("%d tables were made elsewhere", n)
	}
}

// What is missing or forbidden is named at the start and in readiness, is
// trouble that passes, and has passed when it is put right.
func TestATableThatIsMissingOrForbiddenIsNamed(t *testing.T) {
	s := newServer(t)
	db, raw := s.open(t), s.raw(t)
	for name, c := range map[string]struct{ spoil, mend, says string }{
		"a table is missing":      {`ALTER TABLE segment RENAME TO moved`, `ALTER TABLE moved RENAME TO segment`, "lacks segment"},
		"the order is missing":    {`ALTER SEQUENCE audit_ord RENAME TO moved`, `ALTER SEQUENCE moved RENAME TO audit_ord`, "lacks audit_ord"},
		"a table may not be read": {`REVOKE SELECT ON credential FROM CURRENT_USER`, `GRANT ALL ON credential TO CURRENT_USER`, "may not use credential"},
		"entries may not be made": {`REVOKE INSERT ON audit_entry FROM CURRENT_USER`, `GRANT ALL ON audit_entry TO CURRENT_USER`, "may not use audit_entry"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := raw.Exec(c.spoil)
			must(t, err)
			for what, err := range map[string]error{"ready": db.Ready(t.Context()), "open": second(s.tryOpen(t.Context()))} {
				if !errors.Is(err, vault.ErrUnavailable) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v, want ErrUnavailable that says %q", what, err, c.says)
				}
			}
			_, err = raw.Exec(c.mend)
			must(t, err)
			must(t, db.Ready(t.Context()))
		})
	}
	if _, err := raw.Exec(`ALTER TABLE patient RENAME TO gone`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ForPractice(s.practice).Patient(t.Context(), "x"); !errors.Is(err, vault.ErrUnavailable) {
		t.Errorf("without its table: %v, want ErrUnavailable", err)
	}
}

// In a database that is being put back, or was made anew, nothing is found:
// that is no answer to whoever holds a token, and the replica is not ready.
func TestAnEmptyDatabaseCallsNoTokenWrong(t *testing.T) {
	s := newServer(t)
	db, raw := s.open(t), s.raw(t)
	f := vaulttest.Furnish(t, db, s.practice)
	ask := func() map[string]error {
		_, _, holder := db.Holder(t.Context(), f.Credential.Hash)
		_, _, grant := db.Grant(t.Context(), f.Grant.Hash)
		_, unknown := db.Release(t.Context(), consent.NewBearer(consent.TokenPrefix).Hash())
		return map[string]error{"credential": holder, "grant": grant, "token": second(db.Release(t.Context(), f.Token.Hash)), "unknown": unknown}
	}
	for what, err := range ask() {
		if what == "unknown" && !errors.Is(err, vault.ErrNotFound) || what != "unknown" && err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	var all string
	must(t, raw.QueryRow(`SELECT string_agg(tablename, ', ') FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'goose_db_version'`).Scan(&all))
	_, err := raw.Exec(`TRUNCATE ` + all)
	must(t, err)
	failed := ask()
	failed["ready"] = db.Ready(t.Context())
	for what, err := range failed {
		if !errors.Is(err, vault.ErrUnavailable) || errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
}

// A password that is replaced in its file is used for the next connection.
func TestAPasswordIsReplacedWithoutARestart(t *testing.T) {
	s := newServer(t)
	password, unreadable := s.Password, error(nil)
	s.PasswordNow = func() (string, error) { return password, unreadable }
	db, raw := s.open(t), s.raw(t)
	conn, err := raw.Conn(t.Context()) // outlives the others
	must(t, err)
	defer conn.Close()
	end := func() {
		_, err := conn.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()`)
		must(t, err)
	}
	_, err = conn.ExecContext(t.Context(), `ALTER ROLE CURRENT_USER PASSWORD 'hunter2-the-next'`)
	must(t, err)
	end()
	if err := settled(t, db); !errors.Is(err, vault.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("with the old one: %v, want ErrUnavailable", err)
	}
	unreadable = errors.New("the file is being replaced")
	if err := settled(t, db); !errors.Is(err, vault.ErrUnavailable) {
		t.Errorf("unreadable: %v, want ErrUnavailable", err)
	}
	password, unreadable = "hunter2-the-next", nil
	must(t, settled(t, db))
}

// settled asks until connections that were ended are out of the pools.
func settled(t *testing.T, db *catalog.DB) (err error) {
	t.Helper()
	for range 20 {
		err = db.Ready(t.Context())
	}
	return err
}

// An administrator who closes the database for a while, to copy it, is no fault
// of what is asked.
func TestADatabaseThatTakesNoConnectionsIsUnavailable(t *testing.T) {
	s := newServer(t)
	db, name := s.open(t), s.Database
	beside := *s
	beside.Database = "postgres" // nobody can close the one that he is in
	raw := beside.raw(t)
	allow := func(yes string) {
		t.Helper()
		_, err := raw.Exec(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS ` + yes)
		must(t, err)
	}
	allow("false")
	t.Cleanup(func() { allow("true") })
	_, err := raw.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + name + `'`)
	must(t, err)
	for range 3 {
		if _, err := db.Practices(t.Context()); !errors.Is(err, vault.ErrUnavailable) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
	}
}

// A replica whose clock is wrong ends no upload that others are receiving, and
// says that it is not ready.
func TestAClockThatLeftTheDatabasesEndsNothing(t *testing.T) {
	s := newServer(t)
	db := s.open(t)
	for _, off := range []time.Duration{2 * time.Minute, -2 * time.Minute, 48 * time.Hour, 0} {
		db.SetNow(func() time.Time { return time.Now().Add(off) })
		want := error(nil)
		if off != 0 {
			want = vault.ErrUnavailable
		}
		_, err := db.Expired(t.Context(), time.Now().Add(off), 10)
		if ready := db.Ready(t.Context()); !errors.Is(err, want) || !errors.Is(ready, want) {
			t.Errorf("%v off: expired %v, ready %v; want %v", off, err, ready, want)
		}
	}
}

// A pooler that drops the settings of a connection, and hands connections to
// others between two statements, is refused.
func TestSettingsThatDidNotArriveAreRefused(t *testing.T) {
	db := newServer(t).open(t)
	must(t, db.Durable(t.Context(), map[string]string{"lock_timeout": "10000", "TimeZone": "UTC"}))
	err := db.Durable(t.Context(), map[string]string{"lock_timeout": "1"})
	if !errors.Is(err, catalog.ErrConfiguration) || !strings.Contains(err.Error(), "pooler") {
		t.Errorf("%v, want ErrConfiguration that says so", err)
	}
}
