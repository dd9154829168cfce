package api_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
)

// No text of whatever length or bytes ends the process, and none of it enters
// the log as an id.
func TestNoBodyEndsTheProcess(t *testing.T) {
	s := newStack(t)
	shot := s.declare(s.consented(), small())
	bad, long := bytes.Repeat([]byte{0xff}, 30_000), bytes.Repeat([]byte("x"), 60_000)
	for _, text := range [][]byte{bad, long} {
		for _, c := range []struct{ path, field string }{
			{"/v1/consents", "patient"}, {"/v1/authorizations", "patient"}, {"/v1/patients/find", "record_number"}, {"/v1/patients", "record_number"},
			{"/v1/photos", "patient"}, {"/v1/accounts", "name"}, {"/v1/authorizations", "description"},
		} {
			for _, token := range []string{s.token("provider"), s.token("marketing"), s.token("admin"), s.token("front-desk"), shot.Grant} {
				body := append(append([]byte(`{"`+c.field+`":"`), text...), `"}`...)
				if a := s.ask("POST", c.path, token, body, header("Content-Type", "application/json"), odd); a.status < 400 || a.status >= 500 {
					t.Errorf("%s %s: %d %.200s", c.path, c.field, a.status, a.body)
				}
			}
		}
	}
	s.ask("GET", "/readyz", "", nil).ok(200)
	if n := s.logged(func(e vault.Logged) bool { return strings.Contains(string(e.Patient), "x") || len(e.Patient) > 36 }); n > 0 {
		t.Errorf("%d entries name a patient that is no id", n)
	}
}

// A range that leaves nothing out is the photo: it uses the token up.
func TestARangeOfEverythingIsAUse(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	token := s.forCare(photo.ID, "web", consent.InHeader, 1)
	if a := s.fetch("GET", token, header("Range", "bytes=0-")).ok(206); digest(a.body) != rendition(s, photo, "web").SHA256 {
		t.Error("not the photo")
	}
	s.fetch("GET", token, header("Range", "bytes=0-")).problem(404, "not_found")
	s.fetch("GET", token).problem(404, "not_found")
}

// Junk put among the entries that wait for their number keeps none of the
// others from theirs, and whoever verifies finds it.
func TestJunkInTheLogStopsNobodyAndIsFound(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	db := s.raw(s)
	_, err := db.Exec(`INSERT INTO audit_entry (practice, id, ord, patient, sealed, mac) VALUES ($1, 'junk', 1, '', $2, $3)`, s.practice, []byte{0}, []byte{0})
	s.must(err)
	s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1)).ok(200)
	s.eventually("every entry but the junk has its number", func() bool {
		var n int
		s.must(db.QueryRow(`SELECT count(*) FROM audit_entry WHERE practice = $1 AND seq IS NULL`, s.practice).Scan(&n))
		return n == 1
	})
	if _, err := vault.VerifyTrail(t.Context(), s.catalog, s.outside, s.practice, nil); err == nil {
		t.Error("the junk was not found")
	}
	_, err = db.Exec(`DELETE FROM audit_entry WHERE practice = $1 AND seq IS NULL`, s.practice)
	s.must(err)
	_, err = vault.VerifyTrail(t.Context(), s.catalog, s.outside, s.practice, nil)
	s.must(err)
}

// A service that is told to end in the moment in which it starts ends.
func TestAServerThatIsToldToEndAtOnceEnds(t *testing.T) {
	s := newStack(t)
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		s.must(err)
		told, tell := context.WithCancel(t.Context())
		tell()
		ended := make(chan error, 1)
		server := api.New(api.Config{Service: s.service, Auth: s.auth, TLS: s.ca.server, Logger: slog.New(slog.DiscardHandler), Version: "test"})
		go func() { ended <- server.Serve(told, l, time.Second) }()
		select {
		case err := <-ended:
			s.must(err)
		case <-time.After(time.Minute):
			t.Fatal("it goes on")
		}
	}
}
