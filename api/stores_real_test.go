package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"io"
	"net/http"
	"os"
	"time"

	"photovault/vault"
	"photovault/vault/blobs/s3"
	"photovault/vault/blobs/s3/s3test"
	"photovault/vault/catalog"
	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
)

// production opens the stores of production mode on the servers that are there.
func (s *stack) production() *stores {
	s.Helper()
	servers := devstack.Need(s)
	service, operator := transittest.New(s, servers.Transit)
	ks, err := transit.Open(context.Background(), service)
	s.must(err)
	officer, err := transit.OpenOperator(context.Background(), operator)
	s.must(err)
	out := &stores{keys: &countedKeys{Service: ks}, operator: officer}
	place := servers.Place(s)
	out.reopen = func(t *stack) *catalog.DB {
		t.Helper()
		db, err := catalog.OpenPostgres(context.Background(), catalog.PostgresOptions(place), out.keys, catalog.Options{Practice: t.practice, Now: t.clock.now, Notify: []vault.Audience{vault.ForMarketing, vault.ForAlerts}})
		t.must(err)
		return db
	}
	out.raw = func(t *stack) *sql.DB {
		db, err := sql.Open("pgx", place.DSN())
		t.must(err)
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	out.catalog = out.reopen(s)
	where := s3test.Bucket(s, servers.S3[0], servers.CA)
	bucket, err := s3.Open(context.Background(), where)
	s.must(err)
	out.peer = func(body []byte) (string, *tls.Config) {
		c := s3test.NewClient(s, where)
		c.Must(s, http.MethodPut, "peer", "", http.Header{"X-Amz-Server-Side-Encryption": {"AES256"}}, body)
		pem, err := os.ReadFile(servers.CA)
		s.must(err)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		return c.Presign("peer", time.Hour), &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	out.blobs, out.close = &countedBlobs{Store: bucket}, []io.Closer{out.catalog, bucket, officer, ks}
	return out
}

// realStores makes every test of this package run on them.
var realStores = os.Getenv("PHOTOVAULT_TEST_STORES") == "real"
