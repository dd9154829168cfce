package catalog_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/catalog"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/vaulttest"
	"photovault/vault/vaulttest/devstack"
	"photovault/vault/vaulttest/faultproxy"
)

// server is a fresh database with one practice on the PostgreSQL server.
type server struct {
	devstack.Place
	keys     keys.Service
	practice id.Practice
}

// behindProxy puts a network that can be disturbed before the server.
func (s *server) behindProxy(t testing.TB) *faultproxy.Proxy {
	t.Helper()
	proxy := faultproxy.New(t, net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port))))
	_, port, err := net.SplitHostPort(proxy.Addr)
	must(t, err)
	n, err := strconv.ParseUint(port, 10, 16)
	must(t, err)
	s.Port = uint16(n)
	return proxy
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{Place: devstack.Need(t).Place(t), keys: keyService(t), practice: id.New[id.Practice]()}
	create(t, s.open(t), s.practice)
	return s
}

func (s *server) tryOpen(ctx context.Context) (*catalog.DB, error) {
	return catalog.OpenPostgres(ctx, catalog.PostgresOptions(s.Place), s.keys, catalog.Options{Practice: s.practice, Notify: []vault.Audience{vault.ForMarketing, vault.ForAlerts}})
}

func (s *server) open(t testing.TB) *catalog.DB {
	t.Helper()
	db, err := s.tryOpen(t.Context())
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// raw is what whoever owns the database can do: any SQL.
func (s *server) raw(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", s.DSN())
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

func TestPostgresConforms(t *testing.T) {
	queries := map[string]bool{}
	vaulttest.Catalog(t, func(t *testing.T) vaulttest.CatalogUnderTest {
		s := newServer(t)
		db, other := s.open(t), id.New[id.Practice]()
		create(t, db, other)
		t.Cleanup(func() {
			for _, q := range db.Queries() {
				queries[q] = true
			}
		})
		return vaulttest.CatalogUnderTest{Catalogs: db, Practice: s.practice, Other: other, Replicas: []vault.Catalogs{s.open(t)}}
	})
	t.Run("every statement uses an index", func(t *testing.T) { explain(t, queries) })
}

// explain: on tables of many rows no statement reads a whole one.
func explain(t *testing.T, queries map[string]bool) {
	s := newServer(t)
	raw := s.raw(t)
	fill := []string{
		`INSERT INTO account SELECT 'p' || i % 5, 'a' || i, 1, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO credential SELECT 'p' || i % 5, 'c' || i, 'a' || i, decode(md5(i::text), 'hex'), '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO upload_grant SELECT 'p' || i % 5, decode(md5(i::text), 'hex'), 'f' || i, 'a' || i, i, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO patient SELECT 'p' || i % 5, 's' || i, decode(md5(i::text), 'hex'), '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO subject SELECT 'p' || i % 5, 's' || i, 1, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO permission SELECT 'p' || i % 5, 'm' || i, 's' || i % 5000, CASE i % 20 WHEN 0 THEN 'authorization' ELSE 'clinical' END, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO photo SELECT 'p' || i % 5, 'f' || i, 's' || i % 5000, 'd' || i, 'x' || i, 'ready', 1, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO photo_key SELECT 'p' || i % 5, 'f' || i, '', '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO object SELECT 'p' || i % 5, 'o' || i, 'photos', 'f' || i, 1, 'live', i FROM generate_series(1, 20000) i`,
		`INSERT INTO upload SELECT 'p' || i % 5, 'u' || i, 'f' || i, 'a' || i, 10, 5, 1000000 + i, '\x00', 0 FROM generate_series(1, 20000) i`,
		`INSERT INTO segment SELECT 'p' || i % 5, 'u' || i, 0, 1, 'o' || i, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO job SELECT 'p' || i % 5, 'f' || i, 1000000 + i, 0, 0, 0 FROM generate_series(1, 20000) i`,
		`INSERT INTO campaign SELECT 'p' || i % 5, 'k' || i, 1, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO token SELECT 'p' || i % 5, 't' || i, decode(md5(i::text), 'hex'), 'a' || i, 's' || i, 'f' || i, i, '\x00', 'k' || i FROM generate_series(1, 20000) i`,
		`INSERT INTO volume SELECT 'p' || i % 5, 'a' || i, 1, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO token_use SELECT 'p' || i % 5, 't' || i, 1, 1, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO audit_entry SELECT 'p' || i % 5, 'e' || i, i, 's' || i % 5000, '\x00', '\x00', i, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO takedown SELECT 'p' || i % 5, 'w' || i, 's' || i % 5000, 'r' || i, CASE i % 20 WHEN 0 THEN 'open' ELSE 'confirmed' END, 1000000 + i, 1, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO takedown_confirmation SELECT 'p' || i % 5, 'w' || i, 1, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO outbox SELECT 'p' || i % 5, 'n' || i, 'h' || i % 5, 1000000 + i, 0, 0, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO template SELECT 'p' || i % 500, 'l' || i, 1, '\x00' FROM generate_series(1, 20000) i`,
		`INSERT INTO document SELECT 'p' || i % 5, 'y' || i, 's' || i % 5000, '\x00' FROM generate_series(1, 20000) i`,
		`ANALYZE`,
	}
	for _, q := range fill {
		_, err := raw.Exec(q)
		must(t, err)
	}
	if len(queries) < 50 {
		t.Errorf("only %d statements were run", len(queries))
	}
	conn, err := raw.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	// A plan for whatever values: what a prepared statement comes to.
	_, err = conn.ExecContext(t.Context(), `SET plan_cache_mode = force_generic_plan`)
	must(t, err)
	small := regexp.MustCompile(`Seq Scan on (practice_key|upload_key|key_floor|goose_db_version)`)
	for q := range queries {
		if strings.Contains(q, "pg_advisory") {
			continue
		}
		_, err := conn.ExecContext(t.Context(), `PREPARE one AS `+q)
		must(t, err)
		n := 0
		for _, m := range regexp.MustCompile(`\$(\d+)`).FindAllStringSubmatch(q, -1) {
			i, err := strconv.Atoi(m[1])
			must(t, err)
			n = max(n, i)
		}
		run := `EXPLAIN EXECUTE one`
		if n > 0 {
			run += `(` + strings.TrimSuffix(strings.Repeat("NULL,", n), ",") + `)`
		}
		rows, err := conn.QueryContext(t.Context(), run)
		must(t, err)
		for rows.Next() {
			var line string
			must(t, rows.Scan(&line))
			if strings.Contains(line, "Seq Scan") && !small.MatchString(line) {
				t.Errorf("%s\n%s", line, q)
			}
		}
		must(t, rows.Err())
		rows.Close()
		_, err = conn.ExecContext(t.Context(), `DEALLOCATE one`)
		must(t, err)
	}
}

func TestSeveralReplicasMigrateAtOnce(t *testing.T) {
	s := &server{Place: devstack.Need(t).Place(t), keys: keyService(t), practice: id.New[id.Practice]()}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			db, err := s.tryOpen(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			if list, err := db.Practices(t.Context()); err != nil || len(list) != 0 {
				t.Error(list, err)
			}
		})
	}
	wg.Wait()
}

// Replicas number the log together: no number twice, none left out, and it verifies.
func TestSeveralReplicasChainOneLog(t *testing.T) {
	s := newServer(t)
	var replicas []*catalog.DB
	for range 4 {
		replicas = append(replicas, s.open(t))
	}
	var wg sync.WaitGroup
	const each = 60
	for _, db := range replicas {
		c := db.ForPractice(s.practice)
		wg.Go(func() {
			for range each {
				if err := c.WriteAudit(t.Context(), &audit.Entry{Action: audit.AuditRead, Outcome: audit.Allowed}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 40 {
				if _, _, err := c.Integrate(t.Context(), 7); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for {
		n, _, err := replicas[0].ForPractice(s.practice).Integrate(t.Context(), 100)
		must(t, err)
		if n == 0 {
			break
		}
	}
	report, err := vault.VerifyTrail(t.Context(), replicas[1], noCheckpoints{}, s.practice, nil)
	must(t, err)
	if want := int64(1 + 4*each); report.Entries != want || report.Pending != 0 {
		t.Errorf("%d entries chained and %d waiting, want %d and 0", report.Entries, report.Pending, want)
	}
}

type noCheckpoints struct{}

func (noCheckpoints) Save(audit.Checkpoint) error                   { return nil }
func (noCheckpoints) Newest(id.Practice) (*audit.Checkpoint, error) { return nil, nil }

// A role that was made careless does not make the service so.
func TestDurabilityIsTheServicesOwn(t *testing.T) {
	s := newServer(t)
	raw := s.raw(t)
	for _, q := range []string{`synchronous_commit = off`, `default_transaction_isolation = 'serializable'`, `statement_timeout = 0`} {
		_, err := raw.Exec(`ALTER ROLE CURRENT_USER SET ` + q)
		must(t, err)
	}
	db := s.open(t)
	for name, want := range map[string]string{"synchronous_commit": "on", "default_transaction_isolation": "read committed", "statement_timeout": "30s",
		"idle_in_transaction_session_timeout": "5s", "lock_timeout": "10s", "application_name": "photovault"} {
		var got string
		must(t, db.Writer().QueryRow(`SELECT current_setting($1)`, name).Scan(&got))
		if got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestOpenPostgresRefuses(t *testing.T) {
	s := newServer(t)
	for name, c := range map[string]struct {
		spoil func(p *devstack.Place)
		want  error
	}{
		"another authority": {func(p *devstack.Place) { p.CAFile = anotherAuthority(t) }, vault.ErrUnavailable},
		"another name":      {func(p *devstack.Place) { p.Host = "127.0.0.2" }, vault.ErrUnavailable},
		"a wrong password":  {func(p *devstack.Place) { p.Password = "wrong-hunter2" }, vault.ErrUnavailable},
		"no password":       {func(p *devstack.Place) { p.Password = "" }, catalog.ErrConfiguration},
		"no host":           {func(p *devstack.Place) { p.Host = "" }, catalog.ErrConfiguration},
		"a socket":          {func(p *devstack.Place) { p.Host = "/var/run/postgresql" }, catalog.ErrConfiguration},
		"no database":       {func(p *devstack.Place) { p.Database = "not_there" }, vault.ErrUnavailable},
		"nobody there":      {func(p *devstack.Place) { p.Port = 1 }, vault.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			place := s.Place
			c.spoil(&place)
			db, err := catalog.OpenPostgres(t.Context(), catalog.PostgresOptions(place), s.keys, catalog.Options{Practice: s.practice, Notify: []vault.Audience{vault.ForMarketing, vault.ForAlerts}})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err == nil {
				db.Close()
			} else if strings.Contains(err.Error(), s.Password) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func anotherAuthority(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	must(t, exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", os.DevNull,
		"-out", path, "-days", "2", "-subj", "/CN=another").Run())
	return path
}

// What the client library would take from the environment changes nothing.
func TestPostgresTakesNothingFromTheEnvironment(t *testing.T) {
	s := newServer(t)
	for name, value := range map[string]string{"PGHOST": "127.0.0.9", "PGPORT": "1", "PGUSER": "nobody", "PGPASSWORD": "x", "PGDATABASE": "x", "PGSSLMODE": "disable",
		"PGSSLROOTCERT": "/dev/null", "PGREQUIREAUTH": "md5", "PGOPTIONS": "-c synchronous_commit=off", "PGAPPNAME": "other", "PGTARGETSESSIONATTRS": "any",
		"PGTZ": "Asia/Tokyo", "PGPASSFILE": "/etc/passwd", "PGCHANNELBINDING": "disable"} {
		t.Setenv(name, value)
	}
	db := s.open(t)
	var user, commit, app string
	var ssl bool
	must(t, db.Writer().QueryRow(`SELECT current_user, current_setting('synchronous_commit'), current_setting('application_name'),
		(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())`).Scan(&user, &commit, &app, &ssl))
	if user != s.User || commit != "on" || app != "photovault" || !ssl {
		t.Errorf("user %s, synchronous_commit %s, application %s, TLS %v", user, commit, app, ssl)
	}
	t.Setenv("PGSERVICE", "elsewhere")
	if _, err := s.tryOpen(t.Context()); !errors.Is(err, catalog.ErrConfiguration) {
		t.Errorf("a service file: %v, want ErrConfiguration", err)
	}
}

// A revocation acknowledged by one replica stops a use decided on another.
func TestARevocationReachesTheOtherReplicaAtOnce(t *testing.T) {
	s := newServer(t)
	here, there := s.open(t), s.open(t)
	f := vaulttest.Furnish(t, here, s.practice)
	rel, err := there.Release(t.Context(), f.Token.Hash)
	must(t, err)
	must(t, here.ForPractice(s.practice).AddEvent(t.Context(), &consent.Event{ID: id.New[id.Event](), Practice: s.practice, Patient: f.Patient.ID,
		Kind: consent.Revoked, Subject: string(f.Clinical.ID), ReceivedAt: time.Now(), EnteredAt: time.Now()},
		&audit.Entry{Action: audit.ConsentRevoke, Outcome: audit.Allowed}))
	u := consent.Use{Practice: s.practice, Token: f.Token.ID, N: len(rel.Uses) + 1, Outcome: consent.UseBegun}
	ok, err := there.ForPractice(s.practice).CommitUse(t.Context(), f.Fence(rel.Record.Epoch), u, &audit.Entry{Action: audit.Release, Outcome: audit.Intent})
	if ok || err != nil {
		t.Errorf("a use decided before the revocation was committed after it: %v, %v", ok, err)
	}
}

// A connection that dies in a transaction leaves all of it or nothing, and the
// next call finds another connection. Each round's connections are ended once,
// at another moment of the call or after it.
func TestAKilledConnectionLeavesNothingHalf(t *testing.T) {
	s := newServer(t)
	db := s.open(t)
	c := db.ForPractice(s.practice)
	admin := s.raw(t)
	rounds, added := 0, 0
	add := func() error {
		rounds++
		p := &vault.Patient{ID: id.New[id.Patient](), Practice: s.practice, RecordNumber: fmt.Sprint("R", rounds)}
		err := c.AddPatient(t.Context(), p, nil, &audit.Entry{Action: audit.PatientCreate, Outcome: audit.Allowed, Patient: p.ID})
		if err == nil {
			added++
		}
		return err
	}
	began := time.Now()
	const undisturbed = 10
	for range undisturbed {
		must(t, add())
	}
	usual := time.Since(began) / undisturbed
	failed := 0
	for i := range 150 {
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			<-time.After(usual * time.Duration(i%30) / 15) // the moment is what is tested
			_, _ = admin.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'photovault' AND usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()`)
		}()
		if err := add(); errors.Is(err, vault.ErrUnavailable) {
			failed++
		} else if err != nil {
			t.Errorf("neither done nor unavailable: %v", err)
		}
		<-killed
	}
	t.Logf("%d added, %d unavailable", added, failed)
	var patients, heads, entries int
	for what, into := range map[string]*int{`SELECT count(*) FROM patient`: &patients, `SELECT count(*) FROM subject`: &heads,
		`SELECT count(*) - 1 FROM audit_entry`: &entries} {
		must(t, admin.QueryRow(what).Scan(into))
	}
	if patients != heads || patients != entries || patients < added || added == undisturbed {
		t.Errorf("%d patients, %d heads, %d entries, %d acknowledged", patients, heads, entries, added)
	}
}

// A look that a database which stands still has held up is none: whoever asks
// waits once, and not for each step of what they do. It is stopped at another
// moment of each look.
func TestALookThatWasHeldUpIsNone(t *testing.T) {
	s := newServer(t)
	proxy := s.behindProxy(t)
	db := s.open(t)
	f := vaulttest.Furnish(t, db, s.practice)
	look := func(within time.Duration) (late bool) {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		_, _, err := db.ForPractice(s.practice).Upload(ctx, f.Upload.ID)
		return err == nil && ctx.Err() != nil
	}
	proxy.Delay(4 * time.Millisecond) // so that each step of a look lasts
	look(time.Minute)
	began := time.Now()
	for range 4 {
		look(time.Minute)
	}
	usual := time.Since(began) / 4
	late := 0
	const moments = 16
	for i := range moments {
		stalled := make(chan struct{})
		go func() {
			defer close(stalled)
			<-time.After(usual * time.Duration(i+4) / moments) // the moment is what is tested
			proxy.Stall(true)
		}()
		if look(4 * usual) {
			late++
		}
		<-stalled
		proxy.Stall(false)
		look(time.Minute)
	}
	if late > 1 { // one may end in the moment in which its time is over
		t.Errorf("%d of %d looks were good after their time was over", late, moments)
	}
}

// A dump of the database names nobody.
func TestADumpNamesNobody(t *testing.T) {
	s := newServer(t)
	db := s.open(t)
	c := db.ForPractice(s.practice)
	f := vaulttest.Furnish(t, db, s.practice)
	const canary = "CANARY"
	e := &audit.Entry{Action: audit.Release, Outcome: audit.Intent, Patient: f.Patient.ID, Recipient: canary + "-recipient", Reason: canary + "-reason"}
	must(t, c.AddPatient(t.Context(), &vault.Patient{ID: id.New[id.Patient](), Practice: s.practice, RecordNumber: canary + "-number", Name: canary + "-name"}, nil, e))
	cl := *f.Clinical
	cl.ID, cl.Signer = id.New[id.Consent](), consent.Signer{Name: canary + "-signer", Authority: canary + "-authority"}
	must(t, c.AddClinical(t.Context(), &cl, e))
	au := *f.Authorization
	au.ID, au.Description, au.Recipients = id.New[id.Authorization](), canary+"-description", []string{canary + "-to"}
	must(t, c.AddAuthorization(t.Context(), &au, e))
	photo, grant := *f.Declared, *f.Grant
	photo.ID, photo.Capture, photo.State, photo.View, photo.BodySite = id.New[id.Photo](), id.New[id.Capture](), vault.Declared, canary+"-view", canary+"-site"
	grant.Photo, grant.Hash = photo.ID, consent.NewBearer(consent.GrantPrefix).Hash()
	_, err := c.DeclarePhoto(t.Context(), &photo, &grant, e)
	must(t, err)
	b := consent.NewBearer(consent.CredentialPrefix)
	a := &vault.Account{ID: id.New[id.Account](), Practice: s.practice, Name: canary + "-account", Role: consent.EMR, Version: 1}
	must(t, c.AddAccount(t.Context(), a, &vault.Credential{ID: id.New[id.Credential](), Practice: s.practice, Account: a.ID, Hash: b.Hash()}, e))

	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	must(t, err)
	if len(found) == 0 {
		if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
			t.Fatal("no pg_dump")
		}
		t.Skip("left out: no pg_dump")
	}
	cmd := exec.Command(found[len(found)-1], s.DSN())
	dump, err := cmd.Output()
	must(t, err)
	if !bytes.Contains(dump, []byte(f.Patient.ID)) {
		t.Fatal("the dump does not hold what is there")
	}
	for _, secret := range []string{canary, string(b)} {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "=")[:len(secret)]} {
			if bytes.Contains(bytes.ToUpper(dump), []byte(strings.ToUpper(form))) {
				t.Errorf("the dump holds %s", form)
			}
		}
	}
}
