package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
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

// neighbour adds a practice to the installation: the same service, stores and
// server, and people and patients of its own.
func (s *stack) neighbour() *stack {
	s.Helper()
	ctx := context.Background()
	n := &stack{TB: s.TB, options: s.options, folder: s.folder, practice: id.New[id.Practice](), clock: s.clock, stores: s.stores,
		service: s.service, auth: s.auth, outside: s.outside, ca: s.ca, address: s.address, proxy: s.proxy, contract: s.contract,
		tokens: map[string]string{}, accounts: map[string]id.Account{}, direct: map[string]*directClient{}}
	s.must(s.catalog.CreatePractice(ctx, n.practice, &audit.Entry{Action: audit.PracticeCreate, Outcome: audit.Allowed}))
	s.must(s.service.Prepare(ctx))
	var err error
	n.evidence, n.pinned, err = s.service.EvidenceKeys(ctx, n.practice)
	s.must(err)
	s.Cleanup(n.hangUp)
	return n
}

// swaps put one thing of another practice, or one that does not exist, in the
// place of one's own.
var swaps = []struct {
	name    string
	foreign func(mine, theirs *prepared)
	missing func(mine *prepared)
}{
	{"account", func(m, t *prepared) { m.account = t.account }, func(m *prepared) { m.account = id.New[id.Account]() }},
	{"patient", func(m, t *prepared) { m.patient = t.patient }, func(m *prepared) { m.patient = id.New[id.Patient]() }},
	{"record number", func(m, t *prepared) { m.number = t.number }, func(m *prepared) { m.number = "MRN-NOBODY" }},
	{"consent", func(m, t *prepared) { m.consent = t.consent }, func(m *prepared) { m.consent = id.New[id.Consent]() }},
	{"authorization", func(m, t *prepared) { m.auth = t.auth }, func(m *prepared) { m.auth = id.New[id.Authorization]() }},
	{"draft", func(m, t *prepared) { m.draft = t.draft }, func(m *prepared) { m.draft = id.New[id.Authorization]() }},
	{"colleague", func(m, t *prepared) { m.colleague = t.colleague }, func(m *prepared) { m.colleague = id.New[id.Account]() }},
	{"restriction", func(m, t *prepared) { m.restriction = t.restriction }, func(m *prepared) { m.restriction = id.New[id.Event]() }},
	{"emergency", func(m, t *prepared) { m.emergency = t.emergency }, func(m *prepared) { m.emergency = id.New[id.Event]() }},
	{"campaign", func(m, t *prepared) { m.campaign = t.campaign }, func(m *prepared) { m.campaign = id.New[id.Campaign]() }},
	{"template", func(m, t *prepared) { m.template = t.template }, func(m *prepared) { m.template = id.New[id.Template]() }},
	{"document", func(m, t *prepared) { m.document = t.document }, func(m *prepared) { m.document = id.New[id.Document]() }},
	{"takedown", func(m, t *prepared) { m.takedown = t.takedown }, func(m *prepared) { m.takedown = id.New[id.Takedown]() }},
	{"photo", func(m, t *prepared) { m.shot = t.shot }, func(m *prepared) {
		none := *m.shot
		none.Photo.ID = id.New[id.Photo]()
		m.shot = &none
	}},
	{"ready photo", func(m, t *prepared) { m.done = t.done }, func(m *prepared) {
		none := *m.done
		none.ID = id.New[id.Photo]()
		m.done = &none
	}},
	{"upload", func(m, t *prepared) { m.upload = t.upload }, func(m *prepared) { m.upload = "/v1/uploads/" + string(id.New[id.Upload]()) }},
}

// Whatever of another practice is named, on whatever route and by whoever, the
// answer is that to something that does not exist.
func TestPracticesOfOneInstallationNeverSeeEachOther(t *testing.T) {
	north := newStack(t)
	south := north.neighbour()
	furnish := func(s *stack) *prepared {
		patient := s.patient()
		s.ask("POST", "/v1/consents", s.token("front-desk"), api.NewClinical{Patient: patient, Teaching: true,
			Signer: consent.Signer{Name: "P"}, SignedAt: s.clock.now().Add(-time.Hour)}).ok(201)
		done := s.ready(patient, small)
		s.authorize(s.newAuthorization(patient))
		besides[done.ID] = s.ready(patient, small).ID
		p := s.prepare(done)
		p.takedown = s.withdrawn().ID
		return p
	}
	theirs, ours := furnish(north), furnish(south)
	south.spring()
	for name, secret := range theirs.ids() {
		if secret == "" {
			t.Fatalf("there is no %s to swap", name)
		}
	}
	secrets, compared := theirs.ids(), map[string]int{}
	for _, a := range matrix {
		if a.allowed == nil {
			continue // nobody is asked for
		}
		mine := south.prepare(ours.done)
		mine.takedown = ours.takedown
		for _, swap := range swaps {
			foreign, missing := *mine, *mine
			swap.foreign(&foreign, theirs)
			swap.missing(&missing)
			if !a.names(south, &foreign, secrets[swap.name]) {
				continue
			}
			for _, role := range a.allowed {
				if role == "tablet" {
					continue // a grant is bound to its one photo: TestEachRoleSeesItsPartAndNoMore
				}
				got, want := a.ask(south, south.token(role), &foreign), a.ask(south, south.token(role), &missing)
				if got.status != want.status || got.status/100 == 2 || !bytes.Equal(got.body, want.body) {
					t.Errorf("%s by %s, foreign %s: %d %s; missing: %d %s", a.route, role, swap.name, got.status, got.body, want.status, want.body)
				}
				compared[a.route]++
			}
		}
	}
	for _, a := range matrix { // what names nothing, such as a list
		for _, role := range a.allowed {
			if method, path, _ := cut2(a.route); method == "GET" && role != "tablet" {
				mine := south.prepare(ours.done)
				mine.takedown = ours.takedown
				got := a.ask(south, south.token(role), mine)
				for what, secret := range secrets {
					if strings.Contains(string(got.body), secret) {
						t.Errorf("%s by %s: the answer holds the other practice's %s", path, role, what)
					}
				}
			}
		}
	}
	total := 0
	for _, n := range compared {
		total += n
	}
	t.Logf("%d requests on %d routes that name something of another practice were answered as if it did not exist", total, len(compared))
	for _, a := range matrix { // each route that names something is reached; a purpose or a version is nobody's
		if strings.Contains(a.route, "{purpose}") || strings.Contains(a.route, "{below}") {
			continue
		}
		asked := slices.ContainsFunc(a.allowed, func(role string) bool { return role != "tablet" })
		if strings.Contains(a.route, "{") && asked && compared[a.route] == 0 {
			t.Errorf("%s: no swap reaches it", a.route)
		}
	}
	north.unharmed(theirs)
	for _, p := range []*stack{north, south} { // each has its own log, whole
		if _, err := vault.VerifyTrail(t.Context(), p.catalog, p.outside, p.practice, nil); err != nil {
			t.Errorf("the log of %s: %v", p.practice, err)
		}
	}
}

// names reports whether the request would hold the id, without making it.
func (a attempt) names(s *stack, p *prepared, secret string) (found bool) {
	s.dry = func(r *http.Request) {
		text := r.URL.String() + " " + r.Header.Get("Upload-Metadata")
		if r.Body != nil {
			text += string(readAll(s, r.Body))
		}
		found = found || strings.Contains(text, secret) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(secret)))
	}
	defer func() { s.dry = nil }()
	a.ask(s, "nobody's", p)
	return found
}

// ids are what must not be found in another practice's answers.
func (p *prepared) ids() map[string]string {
	return map[string]string{"account": string(p.account), "patient": string(p.patient), "record number": p.number, "consent": string(p.consent),
		"authorization": string(p.auth), "draft": string(p.draft), "colleague": string(p.colleague), "restriction": string(p.restriction),
		"emergency": string(p.emergency), "campaign": string(p.campaign), "template": string(p.template), "document": string(p.document), "takedown": string(p.takedown), "photo": string(p.shot.Photo.ID), "ready photo": string(p.done.ID),
		"upload": strings.TrimPrefix(p.upload, "/v1/uploads/")}
}

// unharmed reports whether what the other practice tried has changed nothing.
func (s *stack) unharmed(p *prepared) {
	s.Helper()
	record := into[api.ConsentList](s.ask("GET", "/v1/consents?patient="+string(p.patient), s.token("front-desk"), nil), 200)
	if len(record.Clinical) != 1 || record.Clinical[0].Status != consent.StatusActive {
		s.Errorf("the consent is not what it was: %+v", record.Clinical)
	}
	if i := slices.IndexFunc(record.Authorizations, func(a api.Authorization) bool { return a.ID == p.auth }); i < 0 || record.Authorizations[i].Status != consent.StatusActive {
		s.Errorf("the authorization is not what it was: %+v", record.Authorizations)
	}
	s.ask("GET", "/v1/photos/"+string(p.shot.Photo.ID), s.token("provider"), nil).ok(200)
	if got := s.offset(p.upload, p.shot.Grant); got != 0 {
		s.Errorf("the upload is at %d", got)
	}
	if got := s.fetch("GET", s.forCare(p.done.ID, "thumb", consent.InHeader, 1)); got.status != 200 {
		s.Errorf("the photo is gone: %d", got.status)
	}
}
