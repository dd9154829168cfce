package api_test

import (
	"slices"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

func (s *stack) request(p id.Photo, token string, in api.NewToken) answer {
	s.Helper()
	return s.ask("POST", "/v1/photos/"+string(p)+"/tokens", token, in)
}

func patientPath(p id.Patient, suffix string) string { return "/v1/patients/" + string(p) + suffix }

// 164.514(d)(2): providers see their own patients, by assignment or by what
// they made themselves.
func TestProvidersSeeTheirOwnPatients(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	care := api.NewToken{Purpose: consent.ForCare}
	colleague, other := s.account("provider")
	for path, method := range map[string]string{
		"/v1/photos?patient=" + string(patient):        "GET",
		"/v1/photos/" + string(photo.ID):               "GET",
		"/v1/photos/" + string(photo.ID) + "/receipt":  "GET",
		"/v1/consents?patient=" + string(patient):      "GET",
		"/v1/photos/" + string(photo.ID) + "/decision": "",
	} {
		if method != "" {
			s.ask(method, path, other, nil).problem(403, "no_relation")
		}
	}
	s.ask("DELETE", "/v1/photos/"+string(photo.ID), other, nil).problem(403, "no_relation")
	s.request(photo.ID, other, care).problem(403, "no_relation")
	// Nobody lets themselves in.
	s.ask("POST", patientPath(patient, "/providers"), other, api.NewAssignment{Account: colleague}).problem(403, "no_relation")

	assigned := into[api.Event](s.ask("POST", patientPath(patient, "/providers"), s.token("provider"), api.NewAssignment{Account: colleague}), 201)
	s.ask("POST", patientPath(patient, "/providers"), s.token("provider"), api.NewAssignment{Account: colleague}).problem(409, "already_recorded")
	token := into[api.Token](s.request(photo.ID, other, care), 201)
	s.wantPhoto(s.fetch("GET", token), rendition(s, photo, "web"))
	outstanding := into[api.Token](s.request(photo.ID, other, care), 201)
	s.ask("POST", "/v1/events/"+string(assigned.ID)+"/end", s.token("front-desk"), nil).ok(200)
	s.fetch("GET", outstanding).problem(404, "not_found")
	s.request(photo.ID, other, care).problem(403, "no_relation")

	// Who adds a patient treats the patient; who made a set sees all of it.
	own := into[api.Patient](s.ask("POST", "/v1/patients", other, api.NewPatient{RecordNumber: string(id.New[id.Patient]())}), 201).ID
	s.ask("GET", "/v1/consents?patient="+string(own), other, nil).ok(200)
	set := string(id.New[id.Set]())
	first := api.NewPhoto{Patient: string(patient), Device: string(id.New[id.Device]()), Capture: string(id.New[id.Capture]()), Set: set}
	s.ask("POST", "/v1/photos", other, first).ok(201)
	second := first
	second.Capture = string(id.New[id.Capture]())
	late := into[api.PhotoDeclared](s.ask("POST", "/v1/photos", s.token("provider"), second), 201).Photo
	s.ask("GET", "/v1/photos/"+string(late.ID), other, nil).ok(200)
	if list := into[api.PhotoList](s.ask("GET", "/v1/photos?patient="+string(patient), other, nil), 200).Photos; len(list) != 2 {
		t.Errorf("the colleague sees %d of the patient's 3 photos, 2 are of the own set", len(list))
	}
	for name, account := range map[string]id.Account{"nobody": id.New[id.Account](), "marketing": first2(s.account("marketing"))} {
		if got := s.ask("POST", patientPath(patient, "/providers"), s.token("front-desk"), api.NewAssignment{Account: account}); got.status != 422 {
			t.Errorf("%s was assigned: %d", name, got.status)
		}
	}
}

func first2[A, B any](a A, _ B) A { return a }

// 164.522(a): a restriction wins over every grant (H24).
func TestARestrictionWins(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo, sibling := s.ready(patient, small), s.ready(patient, small)
	s.authorize(s.newAuthorization(patient))
	outstanding := into[api.Token](s.request(photo.ID, s.token("marketing"), s.forMarketing()), 201)
	restrict := func(in api.NewRestriction) api.Event {
		t.Helper()
		return into[api.Event](s.ask("POST", patientPath(patient, "/restrictions"), s.token("front-desk"), in), 201)
	}
	r := restrict(api.NewRestriction{Photo: photo.ID, Purposes: []consent.Purpose{consent.ForMarketing}, Reason: "recognised by a neighbour"})
	s.fetch("GET", outstanding).problem(404, "not_found")
	if p := s.request(photo.ID, s.token("marketing"), s.forMarketing()).problem(403, "photo_restricted"); p.Refusals[0].Paragraph != "164.522(a)(1)" {
		t.Errorf("%+v", p.Refusals)
	}
	s.request(sibling.ID, s.token("marketing"), s.forMarketing()).ok(201)
	s.request(photo.ID, s.token("provider"), api.NewToken{Purpose: consent.ForCare}).ok(201)
	all := restrict(api.NewRestriction{Purposes: []consent.Purpose{consent.ForCare}, Reason: "asked for"})
	s.request(sibling.ID, s.token("provider"), api.NewToken{Purpose: consent.ForCare}).problem(403, "photo_restricted")
	for _, e := range []api.Event{r, all} {
		s.ask("POST", "/v1/events/"+string(e.ID)+"/end", s.token("privacy"), nil).ok(200)
		s.ask("POST", "/v1/events/"+string(e.ID)+"/end", s.token("privacy"), nil).problem(409, "already_recorded")
	}
	s.request(photo.ID, s.token("marketing"), s.forMarketing()).ok(201)
	for name, in := range map[string]api.NewRestriction{
		"no purpose":              {Reason: "x"},
		"no reason":               {Purposes: []consent.Purpose{consent.ForCare}},
		"a purpose there is not":  {Purposes: []consent.Purpose{"research"}, Reason: "x"},
		"another patient's photo": {Photo: s.ready(s.consented(), small).ID, Purposes: []consent.Purpose{consent.ForCare}, Reason: "x"},
	} {
		if got := s.ask("POST", patientPath(patient, "/restrictions"), s.token("front-desk"), in, odd); got.status/100 != 4 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
}

// 164.312(a)(2)(ii): emergency access is for care, for an hour, and reviewed.
func TestAnEmergencyOpensOneRecordForCareForAnHour(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	elsewhere := s.ready(s.consented(), small)
	s.authorize(s.newAuthorization(patient))
	account, other := s.account("provider")
	care := api.NewToken{Purpose: consent.ForCare}
	s.request(photo.ID, other, care).problem(403, "no_relation")
	s.ask("POST", patientPath(patient, "/emergencies"), other, api.NewEmergency{}, odd).problem(422, "field_invalid")
	e := into[api.Event](s.ask("POST", patientPath(patient, "/emergencies"), other, api.NewEmergency{Reason: "unconscious, swollen face"}), 201)
	if e.Until == nil || !e.Until.Equal(e.EnteredAt.Add(time.Hour)) {
		t.Errorf("it lasts until %v", e.Until)
	}
	token := into[api.Token](s.request(photo.ID, other, api.NewToken{Purpose: consent.ForCare, Uses: 2, TTLSeconds: 3600}), 201)
	s.fetch("GET", token).ok(200)
	s.request(elsewhere.ID, other, care).problem(403, "no_relation")
	s.request(photo.ID, other, s.forMarketing()).problem(403, "role_not_allowed")

	// It opens what is read for care, and changes nothing that outlasts it.
	s.ask("GET", "/v1/photos?patient="+string(patient), other, nil).ok(200)
	s.ask("GET", "/v1/consents?patient="+string(patient), other, nil).ok(200)
	restriction := into[api.Event](s.ask("POST", patientPath(patient, "/restrictions"), s.token("front-desk"),
		api.NewRestriction{Purposes: []consent.Purpose{consent.ForMarketing}, Reason: "asked by phone"}), 201)
	hide := api.NewMask{Regions: []consent.Region{{Shape: "rectangle", X: 0, Y: 0, Width: 100, Height: 100}}}
	for _, try := range []struct {
		method, path string
		in           any
	}{
		{"POST", patientPath(patient, "/providers"), api.NewAssignment{Account: account}},
		{"POST", "/v1/authorizations", s.newAuthorization(patient)},
		{"POST", "/v1/events/" + string(restriction.ID) + "/end", nil},
		{"POST", "/v1/photos/" + string(photo.ID) + "/mask", hide},
		{"DELETE", "/v1/photos/" + string(photo.ID), nil},
	} {
		s.ask(try.method, try.path, other, try.in).problem(403, "no_relation")
	}
	s.ask("POST", patientPath(patient, "/emergencies"), s.token("marketing"), api.NewEmergency{Reason: "a deadline"}).problem(403, "role_not_allowed")

	owed := into[api.ReviewList](s.ask("GET", "/v1/reviews", s.token("privacy"), nil), 200).Reviews
	if len(owed) != 1 || owed[0].Account != account || owed[0].Patient != patient || owed[0].Event.ID != e.ID || owed[0].Event.Reason == "" {
		t.Fatalf("%+v", owed)
	}
	s.clock.advance(61 * time.Minute)
	s.fetch("GET", token).problem(404, "not_found")
	s.request(photo.ID, other, care).problem(403, "no_relation")
	s.ask("POST", "/v1/reviews/"+string(e.ID), s.token("privacy"), api.NewReview{Finding: "justified"}).ok(200)
	s.ask("POST", "/v1/reviews/"+string(e.ID), s.token("privacy"), api.NewReview{}).problem(409, "already_recorded")
	if owed := into[api.ReviewList](s.ask("GET", "/v1/reviews", s.token("privacy"), nil), 200).Reviews; len(owed) != 0 {
		t.Errorf("still owed: %+v", owed)
	}
	if n := s.logged(func(l vault.Logged) bool {
		return l.Reason == "emergency" && l.Outcome == "allowed" && l.Patient == patient
	}); n != 1 {
		t.Errorf("%d entries of the emergency", n)
	}
}

func TestAMarketingReleaseBelongsToARunningCampaign(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	s.authorize(s.newAuthorization(patient))
	marketing := s.token("marketing")
	now := s.clock.now().UTC().Truncate(time.Millisecond)
	campaign := func(change func(*api.NewCampaign)) id.Campaign {
		t.Helper()
		in := api.NewCampaign{Name: "Autumn", Purpose: advertising, Channels: []string{website}, Recipients: []string{studio},
			From: now.Add(-time.Hour), Until: now.Add(24 * time.Hour)}
		change(&in)
		return into[api.Campaign](s.ask("POST", "/v1/campaigns", marketing, in), 201).ID
	}
	for code, c := range map[string]id.Campaign{
		"no_campaign":          "",
		"campaign_not_running": campaign(func(in *api.NewCampaign) { in.From = now.Add(time.Hour) }),
		"purpose_not_named":    campaign(func(in *api.NewCampaign) { in.Purpose = "win prizes" }),
		"payment_not_stated":   campaign(func(in *api.NewCampaign) { in.ThirdPartyPayment = true }),
		"sale_not_stated":      campaign(func(in *api.NewCampaign) { in.Sale = true }),
	} {
		in := s.forMarketing()
		in.Campaign = c
		s.request(photo.ID, marketing, in).problem(403, code)
	}
	in := s.forMarketing()
	in.Campaign = id.New[id.Campaign]()
	s.request(photo.ID, marketing, in).problem(403, "no_campaign")

	in.Campaign = campaign(func(*api.NewCampaign) {})
	outstanding := into[api.Token](s.request(photo.ID, marketing, in), 201)
	list := into[api.UsableList](s.ask("GET", "/v1/photos?purpose=marketing", marketing, nil), 200).Photos
	if len(list) != 1 || !slices.ContainsFunc(list[0].Usable, func(u consent.Usable) bool {
		return u.Campaign == in.Campaign && slices.Equal(u.Renditions, []string{"web", "thumb"}) && u.Until.Equal(now.Add(24*time.Hour))
	}) {
		t.Errorf("what marketing may use: %+v", list)
	}
	s.ask("POST", "/v1/campaigns/"+string(in.Campaign)+"/close", marketing, nil).ok(200)
	s.ask("POST", "/v1/campaigns/"+string(in.Campaign)+"/close", marketing, nil).ok(200)
	s.fetch("GET", outstanding).problem(404, "not_found")
	s.request(photo.ID, marketing, in).problem(403, "campaign_not_running")
	s.ask("POST", "/v1/campaigns", marketing, api.NewCampaign{Name: "x"}, odd).problem(422, "campaign_incomplete")
	for _, c := range into[api.CampaignList](s.ask("GET", "/v1/campaigns", s.token("front-desk"), nil), 200).Campaigns {
		if (c.ClosedAt != nil) != (c.ID == in.Campaign) {
			t.Errorf("%+v", c)
		}
	}
}

// H1, H2, H4: drafts allow nothing; what makes an authorization defective is
// looked at on each use.
func TestAnAuthorizationsLife(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	marketing, desk := s.token("marketing"), s.token("front-desk")
	use := func() answer { t.Helper(); return s.request(photo.ID, marketing, s.forMarketing()) }
	draft := s.newAuthorization(patient)
	draft.CopyGivenAt = nil
	s.ask("POST", "/v1/authorizations", desk, draft).problem(422, "authorization_incomplete")
	draft.Draft = true
	soon := s.clock.now().Add(time.Minute)
	for field, wait := range map[string]func(*api.NewAuthorization){
		"signed_at":     func(a *api.NewAuthorization) { a.SignedAt = &soon },
		"copy_given_at": func(a *api.NewAuthorization) { a.CopyGivenAt = &soon },
	} { // no draft becomes whole by waiting
		in := draft
		wait(&in)
		if p := s.ask("POST", "/v1/authorizations", desk, in).problem(422, "authorization_incomplete"); p.Defects[0].Field != field {
			t.Errorf("%s: %+v", field, p.Defects)
		}
	}
	early := draft.SignedAt.Add(-25 * time.Hour)
	premature := draft
	premature.Draft, premature.CopyGivenAt = false, &early // of what had not been signed
	s.ask("POST", "/v1/authorizations", desk, premature).problem(422, "authorization_incomplete")
	made := into[api.Authorization](s.ask("POST", "/v1/authorizations", desk, draft), 201)
	if made.Status != "draft" || len(made.Lacks) != 1 || made.Lacks[0].Field != "copy_given_at" {
		t.Errorf("%s lacks %+v", made.Status, made.Lacks)
	}
	use().problem(403, "authorization_incomplete")
	path := "/v1/authorizations/" + string(made.ID)
	if p := s.ask("POST", path+"/copy", desk, api.Revocation{ReceivedAt: draft.SignedAt.Add(-25 * time.Hour)}).problem(422, "field_invalid"); p.Defects[0].Field != "received_at" {
		t.Errorf("a copy of what was not signed yet: %+v", p.Defects)
	}
	s.ask("POST", path+"/copy", desk, nil).ok(200)
	s.ask("POST", path+"/copy", desk, nil).problem(409, "already_recorded")
	use().ok(201)

	newer := s.newAuthorization(patient)
	newer.Supersedes, newer.Recipients = made.ID, []string{"Another Studio"}
	next := s.authorize(newer)
	use().problem(403, "authorization_superseded")
	in := s.forMarketing()
	in.Recipient = "Another Studio"
	outstanding := into[api.Token](s.request(photo.ID, marketing, in), 201)
	s.ask("POST", "/v1/authorizations/"+string(next)+"/false", desk, nil).ok(200)
	s.fetch("GET", outstanding).problem(404, "not_found")
	s.request(photo.ID, marketing, in).problem(403, "authorization_false")
	newer.Supersedes = id.New[id.Authorization]()
	s.ask("POST", "/v1/authorizations", desk, newer).problem(422, "field_invalid")

	statuses := map[id.Authorization]consent.Status{}
	for _, a := range into[api.ConsentList](s.ask("GET", "/v1/consents?patient="+string(patient), desk, nil), 200).Authorizations {
		statuses[a.ID] = a.Status
	}
	if statuses[made.ID] != "superseded" || statuses[next] != "defective" {
		t.Errorf("%v", statuses)
	}
}

func TestTeachingNeedsItsOwnConsent(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	_, other := s.account("provider")
	teach := api.NewToken{Purpose: consent.ForTeaching}
	s.request(photo.ID, other, teach).problem(403, "no_teaching_consent")
	c := into[api.Clinical](s.ask("POST", "/v1/consents", s.token("front-desk"), api.NewClinical{Patient: patient, Teaching: true,
		Signer: consent.Signer{Name: "Erika Mustermann"}, SignedAt: s.clock.now().Add(-time.Minute)}), 201)
	token := into[api.Token](s.request(photo.ID, other, teach), 201)
	s.ask("POST", "/v1/consents/"+string(c.ID)+"/revoke", s.token("front-desk"), nil).ok(200)
	s.fetch("GET", token).problem(404, "not_found")
	s.request(photo.ID, s.token("emr"), teach).problem(403, "role_not_allowed")
}

// Explaining releases nothing, and says what issuing would.
func TestADecisionIsExplained(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	ask := func(token string, in api.NewDecision) api.Decision {
		t.Helper()
		return into[api.Decision](s.ask("POST", "/v1/photos/"+string(photo.ID)+"/decision", token, in), 200)
	}
	marketing := api.NewDecision{Purpose: consent.ForMarketing, Recipient: studio, Channel: website, Campaign: s.spring()}
	for _, token := range []string{s.token("marketing"), s.token("privacy")} {
		if d := ask(token, marketing); d.Allowed || d.Refusals[0].Code != "no_authorization" || d.Refusals[0].Paragraph == "" || d.Refusals[0].Sentence == "" {
			t.Errorf("%+v", d)
		}
	}
	auth := s.authorize(s.newAuthorization(patient))
	if d := ask(s.token("privacy"), marketing); !d.Allowed || !slices.Contains(d.Basis, "authorization/"+string(auth)) {
		t.Errorf("%+v", d)
	}
	colleague, other := s.account("provider")
	if d := ask(s.token("privacy"), api.NewDecision{Purpose: consent.ForCare, Account: colleague}); d.Allowed || d.Refusals[0].Code != "no_relation" {
		t.Errorf("%+v", d)
	}
	s.ask("POST", "/v1/photos/"+string(photo.ID)+"/decision", other, api.NewDecision{Purpose: consent.ForCare, Account: s.accounts["provider"]}).problem(403, "role_not_allowed")
	if n := s.logged(func(l vault.Logged) bool { return l.Action == "photo.release" }); n != 0 {
		t.Errorf("%d releases", n)
	}
	// The log names what a release was allowed by.
	token := into[api.Token](s.request(photo.ID, s.token("marketing"), s.forMarketing()), 201)
	s.fetch("GET", token).ok(200)
	if n := s.logged(func(l vault.Logged) bool {
		return l.Action == "photo.release" && l.Outcome == "intent" && slices.Contains(l.Records, "authorization/"+string(auth)) &&
			slices.Contains(l.Records, "rule/164.508(a)(3)") && slices.Contains(l.Records, "campaign/"+string(s.spring())+"/1")
	}); n != 1 {
		t.Errorf("%d intents name authorization, rule and campaign", n)
	}
}
