package devstack_test

import (
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"photovault/vault/vaulttest/devstack"
)

func TestADatabaseOfOnesOwn(t *testing.T) {
	db, err := sql.Open("pgx", devstack.Need(t).Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var ssl, super bool
	if err := db.QueryRow(`SELECT ssl, usesuper FROM pg_stat_ssl, pg_user WHERE pid = pg_backend_pid() AND usename = current_user`).Scan(&ssl, &super); err != nil {
		t.Fatal(err)
	}
	if !ssl || super {
		t.Errorf("ssl %v, superuser %v", ssl, super)
	}
}

func TestATransitServerOfOnesOwnKeepsWhatItKnows(t *testing.T) {
	o := devstack.Need(t).OwnTransit(t)
	token := o.RootToken
	o.Kill(t)
	o.StartSealed(t)
	o.Kill(t)
	o.Start(t)
	if o.RootToken != token {
		t.Error("another root token after a restart")
	}
}

func TestAPostgresServerOfOnesOwnKeepsWhatItAcknowledged(t *testing.T) {
	o := devstack.Need(t).OwnPostgres(t)
	db, err := sql.Open("pgx", o.Place(t).DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i, end := range []func(testing.TB){o.Kill, o.Stop} {
		if _, err := db.Exec(`CREATE TABLE IF NOT EXISTS kept (n INT)`); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(`INSERT INTO kept VALUES (1)`); err != nil {
			t.Fatal(err)
		}
		end(t)
		if err := db.Ping(); err == nil {
			t.Error("it answers")
		}
		o.Start(t)
		n := 0
		for range 5 { // the pool finds out that its connections are gone
			if err = db.QueryRow(`SELECT count(*) FROM kept`).Scan(&n); err == nil {
				break
			}
		}
		if err != nil || n != i+1 {
			t.Errorf("%d rows, %v", n, err)
		}
	}
}
