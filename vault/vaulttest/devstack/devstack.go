// Package devstack finds the real servers that `make devstack` runs, for tests:
// HashiCorp Vault with transit, MinIO, versitygw and PostgreSQL, over TLS.
// Tests share them: each makes keys, buckets and databases of its own there,
// under random names.
package devstack

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // to make databases and roles
)

// Stack is where the servers are, with their root credentials.
type Stack struct {
	CA       string   `json:"ca"` // file of the authority that signed every server's certificate
	Transit  Transit  `json:"transit"`
	S3       []S3     `json:"s3"` // MinIO and versitygw
	Postgres Postgres `json:"postgres"`

	Transitd string `json:"transitd"` // program of OwnTransit
	Cert     string `json:"cert"`     // server certificate for localhost and 127.0.0.1, and its key: files
	Key      string `json:"key"`
}

// Transit is a HashiCorp Vault server.
type Transit struct {
	Address   string `json:"address"` // https://127.0.0.1:port
	RootToken string `json:"root_token"`
	UnsealKey string `json:"unseal_key"`
}

// S3 is an object store.
type S3 struct {
	Name      string `json:"name"`     // minio or versitygw
	Endpoint  string `json:"endpoint"` // 127.0.0.1:port, TLS
	Region    string `json:"region"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// Postgres is a PostgreSQL server: TLS and SCRAM only.
type Postgres struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	User     string `json:"user"` // superuser
	Password string `json:"password"`
}

// Need returns the servers. Where there are none the test is skipped, or fails
// where PHOTOVAULT_REQUIRE is all.
func Need(t testing.TB) *Stack {
	t.Helper()
	s, err := find(t.Context())
	if err != nil {
		if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
			t.Fatalf("no real servers (run make devstack): %v", err)
		}
		t.Skipf("left out: no real servers (run make devstack): %v", err)
	}
	return s
}

func find(ctx context.Context) (*Stack, error) {
	dir := os.Getenv("PHOTOVAULT_DEVSTACK")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("photovault-devstack-%d", os.Getuid()))
	}
	b, err := os.ReadFile(filepath.Join(dir, "devstack.json"))
	if err != nil {
		return nil, err
	}
	s := &Stack{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, err
	}
	for _, address := range []string{strings.TrimPrefix(s.Transit.Address, "https://"), s.S3[0].Endpoint, s.S3[1].Endpoint,
		net.JoinHostPort(s.Postgres.Host, strconv.Itoa(s.Postgres.Port))} {
		c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		if err := c.Close(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Database makes a database of the test's own, owned by a role of its own that
// may do nothing else, and returns its connection string. Both go at cleanup.
func (s *Stack) Database(t testing.TB) string {
	t.Helper()
	name, password := "pv_"+strings.ToLower(rand.Text()), rand.Text()
	admin, err := sql.Open("pgx", s.dsn(s.Postgres.User, s.Postgres.Password, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	exec := func(ctx context.Context, query string) {
		t.Helper()
		if _, err := admin.ExecContext(ctx, query); err != nil {
			t.Errorf("devstack: %.40s…: %v", query, err)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		exec(ctx, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
		exec(ctx, `DROP ROLE IF EXISTS `+name)
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})
	exec(t.Context(), `CREATE ROLE `+name+` LOGIN PASSWORD '`+password+`'`)
	exec(t.Context(), `CREATE DATABASE `+name+` OWNER `+name+` TEMPLATE template0`)
	if t.Failed() {
		t.FailNow()
	}
	return s.dsn(name, password, name)
}

// Place is where a database is; it converts to catalog.PostgresOptions.
type Place struct {
	Host        string
	Port        uint16
	Database    string
	User        string
	Password    string
	PasswordNow func() (string, error) // nil
	CAFile      string
	Connections int
}

// DSN is the place as a connection string for the driver named pgx.
func (p Place) DSN() string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(p.User, p.Password),
		Host: net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port))), Path: "/" + p.Database,
		RawQuery: url.Values{"sslmode": {"verify-full"}, "sslrootcert": {p.CAFile}}.Encode(),
	}).String()
}

// Place makes a database as Database does and returns its parts.
func (s *Stack) Place(t testing.TB) Place {
	t.Helper()
	u, err := url.Parse(s.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	return Place{Host: s.Postgres.Host, Port: uint16(s.Postgres.Port), Database: strings.TrimPrefix(u.Path, "/"),
		User: u.User.Username(), Password: password, CAFile: s.CA}
}

func (s *Stack) dsn(user, password, database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password),
		Host: net.JoinHostPort(s.Postgres.Host, strconv.Itoa(s.Postgres.Port)), Path: "/" + database,
		RawQuery: url.Values{"sslmode": {"verify-full"}, "sslrootcert": {s.CA}}.Encode(),
	}).String()
}
