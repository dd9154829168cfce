package api_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// authenticatedRoutes are those of the matrix that want a credential.
func authenticatedRoutes() (out []attempt) {
	for _, a := range matrix {
		if _, _, variant := cut2(a.route); a.allowed != nil && variant == "" {
			out = append(out, a)
		}
	}
	return out
}

// concrete is a route's path with ids that could be.
func concrete(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		switch {
		case p == "{token}":
			parts[i] = string(consent.NewBearer(consent.TokenPrefix))
		case strings.HasPrefix(p, "{"):
			parts[i] = string(id.New[id.Photo]())
		}
	}
	return strings.Join(parts, "/")
}

func TestNoRouteTakesABodyThatIsTooLarge(t *testing.T) {
	s := newStack(t)
	provider := s.token("provider")
	for _, a := range matrix {
		method, path, _ := cut2(a.route)
		body := []byte("x")
		if method == "POST" {
			body = bytes.Repeat([]byte(" "), 64<<10+1)
		}
		if strings.HasSuffix(path, "/documents") {
			body = make([]byte, api.MaxDocument+1)
		}
		if strings.HasPrefix(path, "/v1/uploads") && method == "POST" || method == "PATCH" {
			continue // megabytes: below
		}
		got := s.ask(method, concrete(path), provider, body, odd)
		if got.status != 413 {
			t.Errorf("%s: %d", a.route, got.status)
		}
	}
	for _, line := range []string{"POST /v1/uploads HTTP/1.1", "POST /v1/uploads/" + string(id.New[id.Upload]()) + " HTTP/1.1", "PATCH /v1/uploads/" + string(id.New[id.Upload]()) + " HTTP/1.1"} {
		w := s.dial(0)
		w.send(strings.Repeat("x", 10_000), line, "Host: x", fmt.Sprintf("Content-Length: %d", 64<<20+1))
		method, _, _ := strings.Cut(line, " ")
		w.answer(method).problem(413, "too_large")
		w.ended()
	}
}

func TestEveryRouteSlowsGuessingDown(t *testing.T) {
	s := newStack(t)
	routes := authenticatedRoutes()
	guess := func() string { return string(consent.NewBearer(consent.CredentialPrefix)) }
	s.clock.beginMinute()
	for range 30 {
		s.ask("GET", "/v1/accounts", guess(), nil).problem(401, "unauthenticated")
	}
	for _, a := range routes {
		method, path, _ := cut2(a.route)
		if got := s.ask(method, concrete(path), guess(), nil, odd); got.status != 429 {
			t.Errorf("%s: %d", a.route, got.status)
		}
	}
	for _, path := range []string{"/v1/content", "/v1/content/" + string(consent.NewBearer(consent.TokenPrefix))} {
		for _, method := range []string{"GET", "HEAD"} {
			if got := s.ask(method, path, "", nil, odd); got.status != 429 {
				t.Errorf("%s %s: %d", method, path, got.status)
			}
		}
	}
	s.ask("GET", "/healthz", "", nil).ok(200)
}

// Threat 14: what cannot be decided or logged is not done, and says so.
func TestWithoutTheCatalogEverythingIsUnavailable(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	provider := s.token("provider")
	header, path := s.forCare(photo.ID, "web", consent.InHeader, 1), s.forCare(photo.ID, "web", consent.InPath, 1)
	s.must(s.catalog.Close())
	unavailable := func(what string, a answer) {
		t.Helper()
		if a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", what, a.status, a.header)
		}
	}
	for _, a := range authenticatedRoutes() {
		method, p, _ := cut2(a.route)
		unavailable(a.route, s.ask(method, concrete(p), provider, nil, odd))
	}
	for _, method := range []string{"GET", "HEAD"} {
		unavailable(method+" content", s.fetch(method, header))
		unavailable(method+" content in the path", s.fetch(method, path))
	}
	ready := s.ask("GET", "/readyz", "", nil)
	unavailable("readiness", ready)
	if want := `"dependencies":{"catalog":"down","keys":"ok","objects":"ok"}`; !strings.Contains(string(ready.body), want) {
		t.Errorf("readiness does not say what is down: %s", ready.body)
	}
	s.ask("GET", "/healthz", "", nil).ok(200)
	s.closed = true
}

func TestWithoutTheKeyServiceNothingIsReleased(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	token := s.forCare(photo.ID, "web", consent.InHeader, 1)
	s.keys.down.Store(true)
	for range 5 { // more often than a use may be begun
		s.fetch("GET", token).problem(503, "unavailable")
	}
	s.keys.down.Store(false)
	s.wantPhoto(s.fetch("GET", token), rendition(s, photo, "web"))
	if n := s.logged(func(e vault.Logged) bool {
		return e.Subject == string(token.ID) && e.Outcome == audit.Failed && e.Reason == "unavailable"
	}); n != 5 {
		t.Errorf("%d failed attempts are logged", n)
	}
}

func TestWhatDoesNotExistIsNotFound(t *testing.T) {
	s := newStack(t)
	none := string(id.New[id.Patient]())
	provider, admin := s.token("provider"), s.token("admin")
	missing := id.Patient(none)
	now := s.clock.now().Add(-time.Hour).UTC()
	var first answer
	for _, c := range []struct {
		method, path, token string
		in                  any
	}{
		{"DELETE", "/v1/accounts/" + none, admin, nil},
		{"GET", "/v1/patients/" + none, provider, nil},
		{"POST", "/v1/patients/find", provider, api.PatientQuery{RecordNumber: "unknown"}},
		{"POST", "/v1/consents", provider, api.NewClinical{Patient: missing, Signer: consent.Signer{Name: "P"}, SignedAt: now}},
		{"GET", "/v1/consents?patient=" + none, provider, nil},
		{"POST", "/v1/consents/" + none + "/revoke", provider, nil},
		{"POST", "/v1/authorizations", provider, s.newAuthorization(missing)},
		{"POST", "/v1/authorizations/" + none + "/revoke", provider, nil},
		{"POST", "/v1/authorizations/" + none + "/expire", provider, nil},
		{"POST", "/v1/photos", provider, api.NewPhoto{Patient: none, Device: none, Capture: none}},
		{"GET", "/v1/photos?patient=" + none, provider, nil},
		{"GET", "/v1/photos/" + none, provider, nil},
		{"GET", "/v1/photos/" + none + "/receipt", provider, nil},
		{"DELETE", "/v1/photos/" + none, provider, nil},
		{"POST", "/v1/photos/" + none + "/tokens", provider, api.NewToken{Purpose: consent.ForCare}},
		{"GET", "/v1/audit/patients/" + none, admin, nil},
	} {
		a := s.ask(c.method, c.path, c.token, c.in)
		a.problem(404, "not_found")
		if first.s == nil {
			first = a
		}
		if diff := same(a, first); diff != "" {
			t.Errorf("%s %s: another answer than elsewhere: %s", c.method, c.path, diff)
		}
		if !strings.Contains(c.path, none) {
			continue
		}
		for _, malformed := range []string{"x", strings.ToUpper(none), none + "0", "%2e%2e", "00000000-0000-0000-0000-000000000000"} {
			if got := s.ask(c.method, strings.ReplaceAll(c.path, none, malformed), c.token, c.in, odd); got.status != 404 && got.status != 422 {
				t.Errorf("%s %s with id %q: %d %s", c.method, c.path, malformed, got.status, got.body)
			}
		}
	}
}

func TestConflictsSayWhatStandsAgainstIt(t *testing.T) {
	s := newStack(t)
	desk := s.token("front-desk")
	p := into[api.Patient](s.ask("POST", "/v1/patients", desk, api.NewPatient{RecordNumber: "TAKEN"}), 201)
	s.ask("POST", "/v1/patients", desk, api.NewPatient{RecordNumber: " TAKEN "}).problem(409, "record_number_taken")
	c := s.clinical(p.ID)
	revoke := "/v1/consents/" + string(c) + "/revoke"
	s.ask("POST", revoke, desk, nil).ok(200)
	s.ask("POST", revoke, desk, nil).problem(409, "already_revoked")
	byEvent := s.newAuthorization(p.ID)
	byEvent.ExpiresAt, byEvent.ExpiryEvent = nil, "end of treatment"
	a := s.authorize(byEvent)
	expire := "/v1/authorizations/" + string(a) + "/expire"
	s.ask("POST", expire, desk, nil).ok(200)
	s.ask("POST", expire, desk, nil).problem(409, "already_revoked")
	s.ask("POST", "/v1/authorizations/"+string(a)+"/revoke", desk, nil).ok(200) // expired, and revoked too
}

func TestInvalidFieldsAreNamed(t *testing.T) {
	s := newStack(t)
	admin, provider, desk := s.token("admin"), s.token("provider"), s.token("front-desk")
	p := s.consented()
	a := s.authorize(s.newAuthorization(p))
	future := api.Revocation{ReceivedAt: s.clock.now().Add(time.Hour).UTC()}
	u := func() string { return string(id.New[id.Device]()) }
	long := strings.Repeat("x", 201)
	for _, c := range []struct {
		field, method, path, token string
		in                         any
	}{
		{"name", "POST", "/v1/accounts", admin, api.NewAccount{Name: " ", Role: consent.Provider}},
		{"name", "POST", "/v1/accounts", admin, api.NewAccount{Name: long, Role: consent.Provider}},
		{"role", "POST", "/v1/accounts", admin, api.NewAccount{Name: "N", Role: "root"}},
		{"role", "POST", "/v1/accounts", admin, api.NewAccount{Name: "N", Role: consent.Tablet}},
		{"role", "POST", "/v1/accounts", admin, api.NewAccount{Name: "N"}},
		{"expires_in_days", "POST", "/v1/accounts", admin, api.NewAccount{Name: "N", Role: consent.Provider, ExpiresInDays: 367}},
		{"expires_in_days", "POST", "/v1/accounts", admin, api.NewAccount{Name: "N", Role: consent.Provider, ExpiresInDays: -1}},
		{"expires_in_days", "POST", "/v1/accounts", admin, api.NewAccount{Name: "N", Role: consent.Provider, ExpiresInDays: 1 << 60}},
		{"record_number", "POST", "/v1/patients", desk, api.NewPatient{RecordNumber: "  "}},
		{"record_number", "POST", "/v1/patients", desk, api.NewPatient{RecordNumber: long}},
		{"name", "POST", "/v1/patients", desk, api.NewPatient{RecordNumber: u(), Name: long}},
		{"patient", "GET", "/v1/consents", desk, nil},
		{"patient", "GET", "/v1/consents?patient=x", desk, nil},
		{"patient", "GET", "/v1/photos", provider, nil},
		{"patient", "GET", "/v1/photos?purpose=clinical", provider, nil},
		{"device", "POST", "/v1/photos", provider, api.NewPhoto{Patient: string(p), Device: "tablet 1", Capture: u()}},
		{"capture", "POST", "/v1/photos", provider, api.NewPhoto{Patient: string(p), Device: u()}},
		{"kind", "POST", "/v1/photos", provider, api.NewPhoto{Patient: string(p), Device: u(), Capture: u(), Kind: "during"}},
		{"view", "POST", "/v1/photos", provider, api.NewPhoto{Patient: string(p), Device: u(), Capture: u(), View: long}},
		{"view", "POST", "/v1/photos", provider, api.NewPhoto{Patient: string(p), Device: u(), Capture: u(), BodySite: long}},
		{"received_at", "POST", "/v1/authorizations/" + string(a) + "/revoke", desk, future},
		{"received_at", "POST", "/v1/authorizations/" + string(a) + "/expire", desk, future},
		{"limit", "GET", "/v1/audit?limit=0", admin, nil},
		{"limit", "GET", "/v1/audit?limit=1001", admin, nil},
		{"limit", "GET", "/v1/audit?after=-1", admin, nil},
		{"limit", "GET", "/v1/audit?after=x", admin, nil},
	} {
		got := s.ask(c.method, c.path, c.token, c.in, odd).problem(422, "field_invalid")
		if len(got.Defects) != 1 || got.Defects[0].Field != c.field || !strings.HasPrefix(got.Detail, c.field) {
			t.Errorf("%s %s: %+v, field %s wanted", c.method, c.path, got, c.field)
		}
	}
}

// A body that is not understood is refused, and what it said is not repeated:
// it may name a person.
func TestJSONIsReadStrictly(t *testing.T) {
	s := newStack(t)
	desk, provider, admin := s.token("front-desk"), s.token("provider"), s.token("admin")
	const name = "Mustermann"
	for what, body := range map[string]string{
		"nothing": "", "a list": `["` + name + `"]`, "a text": `"` + name + `"`, "cut": `{"record_number":"` + name,
		"a field that is unknown": `{"record_number":"1","` + name + `":1}`, "two values": `{"record_number":"1"}{"name":"` + name + `"}`,
		"something behind it": `{"record_number":"1"} ` + name, "another type": `{"record_number":["` + name + `"]}`,
		"not JSON": name, "not UTF-8": "{\"record_number\":\"" + name + "\xff\", }", "deep": strings.Repeat(`{"record_number":`, 3_000),
	} {
		a := s.ask("POST", "/v1/patients", desk, []byte(body), header("Content-Type", "application/json"), odd)
		p := a.problem(400, "malformed_request")
		if strings.Contains(string(a.body), name) {
			t.Errorf("%s: the answer repeats the body: %+v", what, p)
		}
	}
	time := `{"patient":"` + string(id.New[id.Patient]()) + `","signer":{"name":"x"},"signed_at":"` + name + `"}`
	for _, c := range []struct{ path, token, body string }{
		{"/v1/accounts", admin, `{"name":1}`}, {"/v1/patients/find", desk, `{}x`}, {"/v1/consents", desk, time},
		{"/v1/consents/" + string(id.New[id.Consent]()) + "/revoke", desk, `{"received_at":1}`},
		{"/v1/authorizations", desk, `{"scope":{"everything":true}}`},
		{"/v1/authorizations/" + string(id.New[id.Consent]()) + "/revoke", desk, `[]`},
		{"/v1/authorizations/" + string(id.New[id.Consent]()) + "/expire", desk, `[]`},
		{"/v1/photos", provider, `{"patient":1}`}, {"/v1/photos/" + string(id.New[id.Photo]()) + "/tokens", provider, `{"uses":"all"}`},
	} {
		a := s.ask("POST", c.path, c.token, []byte(c.body), header("Content-Type", "application/json"), odd)
		a.problem(400, "malformed_request")
		if strings.Contains(string(a.body), name) {
			t.Errorf("%s: the answer repeats the body: %s", c.path, a.body)
		}
	}
}

func TestUploadKeysAreRotatedAndStayUsable(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	early := s.declare(patient, small()) // sealed, and offline for a while
	before := into[struct {
		Keys []struct {
			ID string `json:"id"`
		} `json:"keys"`
	}](s.ask("GET", "/v1/upload-keys", s.token("provider"), nil), 200)
	after := s.ask("POST", "/v1/upload-keys/rotate", s.token("admin"), nil).ok(200)
	for _, k := range before.Keys {
		if bytes.Contains(after.body, []byte(k.ID)) {
			t.Errorf("key %s is still given out", k.ID)
		}
	}
	up := s.create(early.Grant, len(early.sealed))
	s.patch(up, early.Grant, 0, early.sealed).ok(204)
	s.await(early.Photo.ID, vault.Ready)
	s.ready(patient, small)
	if n := s.logged(func(e vault.Logged) bool { return e.Action == audit.UploadKeysRotate && e.Role == "admin" }); n != 1 {
		t.Errorf("%d rotations are logged", n)
	}
}

// The log comes in pages, in order, and says who asked for it.
func TestTheTrailIsPaged(t *testing.T) {
	s := newStack(t)
	for range 5 {
		s.patient()
	}
	var seqs []int64
	for after := int64(0); ; {
		page := into[api.Trail](s.ask("GET", fmt.Sprintf("/v1/audit?after=%d&limit=2", after), s.token("privacy"), nil), 200).Entries
		for _, e := range page {
			if e.Seq > 0 {
				seqs = append(seqs, e.Seq)
			}
		}
		if len(page) < 2 || len(seqs) > 8 {
			break
		}
		after = seqs[len(seqs)-1]
	}
	want := []int64{1, 2, 3, 4, 5, 6, 7, 8}
	if len(seqs) < 8 || !slices.Equal(seqs[:8], want) {
		t.Errorf("numbers %v", seqs)
	}
	if n := s.logged(func(e vault.Logged) bool { return e.Action == audit.AuditRead && e.Role == "privacy" }); n == 0 {
		t.Error("reading the log is not logged")
	}
}
