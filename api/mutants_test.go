package api_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/id"
)

// strange is what stands in the place of a field that is well, as JSON.
var strange = []string{`null`, `""`, `" "`, `"\u200b"`, `"\u0000"`, `"\ud800"`, `"` + strings.Repeat("x", 4001) + `"`, `true`, `[]`, `[null]`, `[[]]`, `{}`,
	`{"a":1}`, `-1`, `0`, `1.5`, `1e400`, `9223372036854775808`, `"0000-01-01T00:00:00+23:59"`, `"9999-12-31T23:59:59-23:59"`,
	`"99999999-9999-4999-8999-999999999999"`, strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
	`["website"` + strings.Repeat(`,"website"`, 200) + `]`}

// mutants are a body with one field after the other, also inner ones,
// exchanged for what is strange, or left out.
func mutants(t *testing.T, in any) (out [][]byte) {
	t.Helper()
	good, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(good, &root); err != nil {
		t.Fatal(err)
	}
	const place = `"here, in place of a field"`
	whole := func() {
		b, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range strange {
			if strings.Contains(string(b), place) {
				out = append(out, bytes.Replace(b, []byte(place), []byte(s), 1))
			}
		}
	}
	var walk func(map[string]any)
	walk = func(object map[string]any) {
		for key, was := range object {
			object[key] = strings.Trim(place, `"`)
			whole()
			delete(object, key)
			if b, err := json.Marshal(root); err == nil {
				out = append(out, b)
			}
			object[key] = was
			if inner, ok := was.(map[string]any); ok {
				walk(inner)
			}
		}
	}
	walk(root)
	for _, s := range []string{``, `null`, `[]`, `1`, `"x"`, `{`, string(good) + `{}`, "\ufeff" + string(good), string(good) + "\x00",
		strings.Repeat(`{"a":`, 9000), string(good[:len(good)-1]) + `,"more":1}`} {
		out = append(out, []byte(s))
	}
	slices.SortFunc(out, bytes.Compare) // a map has no order
	return out
}

// Whatever stands in place of a field, the answer is one that the document
// describes (which ask checks), it is no failure of the service, and it comes
// in time. This asks one of some fifty bodies; TestSoakBodies asks all.
func TestNoFieldOfAnyBodyIsAFailure(t *testing.T) { everyMutant(t, 47) }

// TestSoakBodies is for make soak.
func TestSoakBodies(t *testing.T) {
	if os.Getenv("PHOTOVAULT_SOAK_ROUNDS") == "" {
		t.Skip("a part of it is TestNoFieldOfAnyBodyIsAFailure; make soak runs the whole")
	}
	everyMutant(t, 1)
}

// everyMutant asks one in step of them.
func everyMutant(t *testing.T, step int) {
	s := newStack(t)
	patient := s.consented()
	first, second := s.ready(patient, small), s.ready(patient, small)
	past, next := time.Now().Add(-time.Hour).UTC().Truncate(time.Second), time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	yes := true
	authorization := s.newAuthorization(patient)
	authorization.Scope = consent.Scope{Photos: []id.Photo{first.ID}, Sets: []id.Set{id.New[id.Set]()}, Treatments: []id.Treatment{id.New[id.Treatment]()}}
	draft := authorization
	draft.Draft = true
	recorded := into[api.Authorization](s.ask("POST", "/v1/authorizations", s.token("front-desk"), s.newAuthorization(patient)), 201)
	photo := "/v1/photos/" + string(first.ID)
	campaign := into[api.Campaign](s.ask("POST", "/v1/campaigns", s.token("marketing"), api.NewCampaign{Name: "Spring", Purpose: "Show results",
		Channels: []string{"website"}, Recipients: []string{"Clinic website"}, From: past, Until: next}), 201)
	region := consent.Region{Shape: "rectangle", X: 10, Y: 10, Width: 40, Height: 40, Unit: consent.Pixels}
	comparison := api.NewComparison{Before: second.ID}
	comparison.Crops.Before, comparison.Crops.After = region, region
	asked := 0
	for _, r := range []struct {
		role, path string
		body       any
	}{
		{"admin", "/v1/accounts", api.NewAccount{Name: "Somebody", Role: consent.EMR, ExpiresInDays: 1}},
		{"front-desk", "/v1/patients", api.NewPatient{RecordNumber: "M-1", Name: "Pat Example"}},
		{"front-desk", "/v1/patients/find", api.PatientQuery{RecordNumber: "M-1"}},
		{"front-desk", "/v1/consents", api.NewClinical{Patient: patient, Signer: consent.Signer{Name: "Pat Example", IsRepresentative: true, Authority: "mother"}, SignedAt: past,
			Document: strings.Repeat("ab", 32), DocumentID: id.New[id.Document](), Template: id.New[id.Template](), TemplateVersion: 1}},
		{"front-desk", "/v1/authorizations", authorization},
		{"front-desk", "/v1/authorizations", draft},
		{"front-desk", "/v1/authorizations/" + string(recorded.ID) + "/copy", api.Revocation{ReceivedAt: past}},
		{"front-desk", patientPath(patient, "/providers"), api.NewAssignment{Account: s.accounts["provider"]}},
		{"front-desk", patientPath(patient, "/restrictions"), api.NewRestriction{Photo: second.ID, Purposes: []consent.Purpose{consent.ForTeaching}, Reason: "asked", ReceivedAt: past}},
		{"provider", patientPath(patient, "/emergencies"), api.NewEmergency{Reason: "swelling"}},
		{"privacy", "/v1/reviews/" + string(id.New[id.Event]()), api.NewReview{Finding: "well"}},
		{"privacy", "/v1/templates", api.NewTemplate{Name: "Consent", Text: "We take photos.", Kind: consent.TemplateOfClinical, Clauses: consent.Clauses{Capture: "We take photos."}}},
		{"marketing", "/v1/campaigns", api.NewCampaign{Name: "Spring", Purpose: "Show results", Channels: []string{"website"}, Recipients: []string{"Clinic website"}, From: past, Until: next}},
		{"marketing", "/v1/takedowns/" + string(id.New[id.Takedown]()) + "/confirmations", api.NewConfirmation{TakenDownAt: past, Text: "seen"}},
		{"provider", "/v1/photos", api.NewPhoto{Patient: string(patient), Device: string(id.New[id.Device]()), Capture: string(id.New[id.Capture]()), Kind: "before", View: "frontal",
			BodySite: "nose", Set: string(id.New[id.Set]()), Treatment: string(id.New[id.Treatment]())}},
		{"provider", photo + "/mask", api.NewMask{Regions: []consent.Region{region}}},
		{"provider", photo + "/comparison", comparison},
		{"provider", photo + "/recognisability", api.NewRecognisability{Recognisable: &yes}},
		{"privacy", photo + "/decision", api.NewDecision{Purpose: consent.ForMarketing, Rendition: "web", Recipient: "Clinic website", Channel: "website", Campaign: campaign.ID,
			Account: s.accounts["marketing"]}},
		{"marketing", photo + "/tokens", api.NewToken{Purpose: consent.ForMarketing, Rendition: "web", Recipient: "Clinic website", Channel: "website", Campaign: campaign.ID,
			Form: consent.InHeader, Uses: 1, TTLSeconds: 60}},
		{"admin", "/v1/keys/rewrap", api.RewrapRequest{After: "x", Limit: 1}},
		{"admin", "/v1/keys/erasures", api.EraseRequest{Below: 9, Lost: 1}},
	} {
		for i, body := range mutants(t, r.body) {
			if i%step != len(r.path)%step { // not always the same
				continue
			}
			began := time.Now()
			a := s.ask("POST", r.path, s.token(r.role), body, odd)
			if asked++; a.status >= 500 || time.Since(began) > 10*time.Second {
				t.Errorf("%s %.200s: %d after %v", r.path, body, a.status, time.Since(began))
			}
		}
	}
	for _, since := range []string{"9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00%2B23:59", "x"} {
		s.ask("GET", patientPath(patient, "/disclosures?since="+since), s.token("privacy"), nil, odd).problem(422, "field_invalid")
	}
	s.ask("GET", "/v1/photos?purpose=marketing", s.token("marketing"), nil).ok(200)
	t.Logf("%d bodies", asked)
}

// What two readers of the same bytes could take in two ways is not taken.
func TestAKeyStandsOnceAndAsItIsSpelled(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	desk := s.token("front-desk")
	for _, body := range []string{
		`{"reason":"asked","purposes":["marketing"],"purposes":["teaching"]}`,
		`{"reason":"asked","Purposes":["marketing"]}`,
		`{"reason":"asked","purpo\u017fes":["marketing"]}`,
		`{"reason":"asked","purposes":["marketing"],"REASON":"not asked"}`,
	} {
		s.ask("POST", patientPath(patient, "/restrictions"), desk, []byte(body), odd).problem(400, "malformed_request")
	}
	for _, inner := range []string{`{"name":"Pat","name":"Max"}`, `{"Name":"Pat"}`} {
		s.ask("POST", "/v1/consents", desk, []byte(`{"patient":"`+string(patient)+`","signed_at":"2026-01-01T00:00:00Z","signer":`+inner+`}`), odd).problem(400, "malformed_request")
	}
	s.ask("POST", patientPath(patient, "/restrictions"), desk, []byte(`{"reason":"purposes","purposes":["marketing"]}`), odd).ok(201)
}

// What an authorization names is an id of its kind, and what it takes the place
// of an authorization; a list holds no more than there is to choose from.
func TestAnAuthorizationNamesWhatThereIs(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	desk := s.token("front-desk")
	clinical := into[api.ConsentList](s.ask("GET", "/v1/consents?patient="+string(patient), desk, nil), 200).Clinical[0]
	for field, change := range map[string]func(*api.NewAuthorization){
		"scope.sets":       func(a *api.NewAuthorization) { a.Scope = consent.Scope{Sets: []id.Set{"x"}} },
		"scope.treatments": func(a *api.NewAuthorization) { a.Scope = consent.Scope{Treatments: []id.Treatment{"\x00"}} },
		"document":         func(a *api.NewAuthorization) { a.DocumentID = "\x00" },
		"template":         func(a *api.NewAuthorization) { a.Template = "\x00" },
		"supersedes":       func(a *api.NewAuthorization) { a.Supersedes = id.Authorization(clinical.ID) },
		"channels":         func(a *api.NewAuthorization) { a.Channels = slices.Repeat([]string{"website"}, 5) },
	} {
		for _, draft := range []bool{false, true} {
			in := s.newAuthorization(patient)
			in.Draft = draft
			change(&in)
			a := s.ask("POST", "/v1/authorizations", desk, in, odd)
			if a.status != 422 || !strings.Contains(string(a.body), `"field":"`+field+`"`) {
				t.Errorf("%s, draft %v: %d %s", field, draft, a.status, a.body)
			}
		}
	}
	if list := into[api.ConsentList](s.ask("GET", "/v1/consents?patient="+string(patient), desk, nil), 200); len(list.Authorizations) > 0 {
		t.Errorf("kept: %+v", list.Authorizations)
	}
}
