package api_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
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

// A text of which nothing is seen is none, and a day that nobody can have
// meant is none either; neither ends the process, or is kept.
func TestWhatSaysNothingIsRefused(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	desk, provider := s.token("front-desk"), s.token("provider")
	for _, nothing := range []string{"", " ", "\t\n", "\u200b", "\u00a0\u3000", "\u202e\u2066", "\x00"} {
		s.ask("POST", patientPath(patient, "/emergencies"), provider, api.NewEmergency{Reason: nothing}, odd).problem(422, "field_invalid")
		s.ask("POST", patientPath(patient, "/restrictions"), desk, api.NewRestriction{Purposes: []consent.Purpose{consent.ForMarketing}, Reason: nothing}, odd).problem(422, "field_invalid")
		s.ask("POST", "/v1/patients", desk, api.NewPatient{RecordNumber: nothing}, odd).problem(422, "field_invalid")
		s.ask("POST", "/v1/accounts", s.token("admin"), api.NewAccount{Name: nothing, Role: "provider"}, odd).problem(422, "field_invalid")
		in := s.newAuthorization(patient)
		in.Description = nothing
		s.ask("POST", "/v1/authorizations", desk, in, odd).problem(422, "authorization_incomplete")
		in = s.newAuthorization(patient)
		in.ExpiresAt, in.ExpiryEvent = nil, nothing
		s.ask("POST", "/v1/authorizations", desk, in, odd).problem(422, "authorization_incomplete")
	}
	west := time.FixedZone("", -12*3600)
	for _, never := range []time.Time{time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC),
		time.Date(1899, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 0, 0, 0, west)} {
		for _, draft := range []bool{false, true} {
			in := s.newAuthorization(patient)
			in.ExpiresAt, in.Draft = &never, draft
			if a := s.ask("POST", "/v1/authorizations", desk, in, odd); a.status != 422 {
				t.Errorf("expires %v, draft %v: %d %s", never, draft, a.status, a.body)
			}
		}
		in := s.newAuthorization(patient)
		in.SignedAt = &never
		s.ask("POST", "/v1/authorizations", desk, in, odd).problem(422, "authorization_incomplete")
		s.ask("POST", patientPath(patient, "/restrictions"), desk,
			api.NewRestriction{Purposes: []consent.Purpose{consent.ForMarketing}, Reason: "asked", ReceivedAt: never}, odd).problem(422, "field_invalid")
	}
	if list := into[api.ConsentList](s.ask("GET", "/v1/consents?patient="+string(patient), desk, nil), 200); len(list.Authorizations) > 0 || len(list.Events) > 1 {
		t.Errorf("kept beside the assignment: %+v %+v", list.Authorizations, list.Events)
	}
}

// once panics the first time that something is logged.
type once struct {
	slog.Handler
	done atomic.Bool
}

func (o *once) Enabled(context.Context, slog.Level) bool { return true }

func (o *once) Handle(context.Context, slog.Record) error {
	if !o.done.Swap(true) {
		panic("the first record")
	}
	return nil
}

func TestAPanicOutsideOfAHandlerEndsNoMoreThanItsConnection(t *testing.T) {
	s := newStack(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	server := api.New(api.Config{Service: s.service, Auth: s.auth, TLS: s.ca.server, Version: "test",
		Logger: slog.New(&once{Handler: slog.DiscardHandler})})
	go func() { ended <- server.Serve(ctx, l, time.Second) }()
	s.address = l.Addr().String()
	w := s.dial(0)
	w.send("", "GET /healthz HTTP/1.1", "Host: x")
	w.answer("GET").problem(500, "internal")
	w.ended()
	w = s.dial(0)
	w.send("", "GET /healthz HTTP/1.1", "Host: x")
	w.answer("GET").ok(200)
	s.must(w.Close())
	end()
	s.must(<-ended)
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
