package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image/jpeg"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/api"
	"photovault/consent"
	"photovault/imaging/specimen"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func TestAPhotoGoesInSealedAndComesOutOnlyWithConsent(t *testing.T) {
	s := newStack(t)
	patient := s.patient()
	capture := api.NewPhoto{Patient: string(patient), Device: string(id.New[id.Device]()), Capture: string(id.New[id.Capture]())}
	s.ask("POST", "/v1/photos", s.token("provider"), capture).problem(403, "no_clinical_consent")
	s.clinical(patient)

	photo := s.ready(patient, small)
	if len(photo.Renditions) != 3 || photo.Kind != "before" || photo.Patient != patient {
		t.Fatalf("%+v", photo)
	}
	path := "/v1/photos/" + string(photo.ID)

	// The receipt says what was there, is signed, and never says where.
	a := s.ask("GET", path+"/receipt", s.token("provider"), nil)
	receipt := into[vault.Receipt](a, 200)
	s.must(receipt.Verify(s.evidence))
	if f := receipt.Findings; !f.HadGPS || !f.CodedDataKept || f.InputSHA256 != digest(small()) || f.OutputSHA256 != rendition(s, photo, "original").SHA256 {
		t.Errorf("findings %+v", f)
	}
	if residue(a.body) {
		t.Error("the receipt tells what was in the photo")
	}
	forged := receipt
	forged.Findings.HadGPS = false
	if forged.Verify(s.evidence) == nil {
		t.Error("a changed receipt verifies")
	}

	// Care opens it, in both forms.
	for _, form := range []consent.Form{consent.InHeader, consent.InPath} {
		for _, name := range vault.RenditionNames {
			s.wantPhoto(s.fetch("GET", s.forCare(photo.ID, name, form, 1)), rendition(s, photo, name))
		}
	}

	// Marketing gets nothing from that.
	tokens := func(role string, in any) answer { return s.ask("POST", path+"/tokens", s.token(role), in) }
	tokens("marketing", api.NewToken{Purpose: consent.ForCare}).problem(403, "role_not_allowed")
	tried := into[api.Trail](s.ask("GET", "/v1/audit/patients/"+string(patient), s.token("privacy"), nil), 200).Entries
	if !slices.ContainsFunc(tried, func(e vault.Logged) bool {
		return e.Action == audit.TokenIssue && e.Outcome == audit.Denied && e.Reason == "role_not_allowed" && e.Photo == photo.ID
	}) {
		t.Error("the patient's trail does not say who tried to see the photo")
	}
	if p := tokens("marketing", s.forMarketing()).problem(403, "no_authorization"); p.Refusals[0].Paragraph != "164.508(a)(3)(i)" {
		t.Errorf("refusals %+v", p.Refusals)
	}
	if list := s.usable(); len(list) != 0 {
		t.Errorf("marketing may use %+v", list)
	}

	// A complete authorization allows what it names, and no more.
	auth := s.authorize(s.newAuthorization(patient))
	for _, c := range []struct {
		code   string
		change func(*api.NewToken)
	}{
		{"rendition_not_authorized", func(n *api.NewToken) { n.Rendition = "original" }},
		{"recipient_not_named", func(n *api.NewToken) { n.Recipient = "Another Studio" }},
		{"channel_not_named", func(n *api.NewToken) { n.Channel = "print" }},
	} {
		in := s.forMarketing()
		c.change(&in)
		tokens("marketing", in).problem(403, c.code)
	}
	tokens("provider", s.forMarketing()).problem(403, "role_not_allowed")
	used := into[api.Token](tokens("marketing", s.forMarketing()), 201)
	s.wantPhoto(s.fetch("GET", used), rendition(s, photo, "web"))
	list := s.usable()
	if len(list) != 1 || list[0].Photo != photo.ID || list[0].Usable[0].Authorization != auth ||
		!slices.Equal(list[0].Usable[0].Renditions, []string{"web", "thumb"}) {
		t.Errorf("marketing may use %+v", list)
	}
	if a := s.ask("GET", "/v1/photos?purpose=marketing", s.token("marketing"), nil); bytes.Contains(a.body, []byte(patient)) {
		t.Error("the list tells marketing who the patient is")
	}

	// Revoked while a token is outstanding: the token is dead.
	outstanding := into[api.Token](tokens("marketing", s.forMarketing()), 201)
	s.fetch("HEAD", outstanding).ok(200)
	s.revoke(auth)
	s.fetch("GET", outstanding).problem(404, "not_found")
	s.fetch("HEAD", outstanding).ok(404)
	tokens("marketing", s.forMarketing()).problem(403, "authorization_revoked")
	if list := s.usable(); len(list) != 0 {
		t.Errorf("marketing may use %+v after the revocation", list)
	}
	s.ask("POST", "/v1/authorizations/"+string(auth)+"/revoke", s.token("front-desk"), nil).problem(409, "already_revoked")

	// Deleted: not found everywhere, also for a token that is outstanding.
	clinical := s.forCare(photo.ID, "web", consent.InHeader, 1)
	d := into[vault.Deletion](s.ask("DELETE", path, s.token("privacy"), nil), 200)
	if d.State != "revoked" || !d.ObjectsGone {
		t.Errorf("deletion %+v", d)
	}
	s.fetch("GET", clinical).problem(404, "not_found")
	s.ask("GET", path, s.token("provider"), nil).problem(404, "not_found")
	s.ask("GET", path+"/receipt", s.token("provider"), nil).problem(404, "not_found")
	tokens("provider", api.NewToken{Purpose: consent.ForCare}).problem(404, "not_found")
	if l := into[api.PhotoList](s.ask("GET", "/v1/photos?patient="+string(patient), s.token("provider"), nil), 200); len(l.Photos) != 0 {
		t.Errorf("listed after deletion: %+v", l)
	}
	s.ask("DELETE", path, s.token("privacy"), nil).ok(200)

	s.provesWhatHappened(photo, used)
}

// provesWhatHappened verifies the log and looks the photo's story up in it.
func (s *stack) provesWhatHappened(photo *api.Photo, used api.Token) {
	s.Helper()
	var story []string
	for _, e := range into[api.Trail](s.ask("GET", "/v1/audit/patients/"+string(photo.Patient), s.token("privacy"), nil), 200).Entries {
		if e.Subject == string(used.ID) {
			story = append(story, string(e.Action)+" "+string(e.Outcome)+" "+e.Recipient+" "+e.Channel)
		}
	}
	want := []string{"token.issue allowed " + studio + " website", "photo.release intent " + studio + " website",
		"photo.release complete " + studio + " website"}
	if diff := cmp.Diff(want, story); diff != "" {
		s.Errorf("what the log says of the marketing release (-want +got):\n%s", diff)
	}
	if n := s.logged(func(e vault.Logged) bool { return e.Outcome == audit.Denied && e.Reason == "authorization_revoked" }); n != 3 {
		s.Errorf("%d refused attempts after the revocation are logged, 3 wanted", n)
	}
	report, err := vault.VerifyTrail(context.Background(), s.catalog, s.outside, s.practice, nil)
	if err != nil {
		s.Errorf("the log does not verify: %v %+v", err, report)
	}
}

func (s *stack) usable() []api.UsablePhoto {
	s.Helper()
	return into[api.UsableList](s.ask("GET", "/v1/photos?purpose=marketing", s.token("marketing"), nil), 200).Photos
}

// wantPhoto wants the rendition whole and nothing of what the upload carried.
func (s *stack) wantPhoto(a answer, r api.Rendition) {
	s.Helper()
	a.ok(200)
	if digest(a.body) != r.SHA256 || int64(len(a.body)) != r.Size {
		s.Fatalf("%s: %d bytes that are not the %s rendition of %d", a.what, len(a.body), r.Name, r.Size)
	}
	conf, err := jpeg.DecodeConfig(bytes.NewReader(a.body))
	s.must(err)
	if conf.Width != r.Width || conf.Height != r.Height {
		s.Errorf("%s: %d×%d", a.what, conf.Width, conf.Height)
	}
	if residue(a.body) {
		s.Errorf("%s: the %s rendition carries what the upload did", a.what, r.Name)
	}
}

// residue finds the text that small carries in all its metadata, and EXIF itself.
func residue(b []byte) bool {
	canary := specimen.Full(1, 1, 0).Canary
	return bytes.Contains(b, []byte(canary[:16])) || bytes.Contains(b, []byte("Exif\x00")) || bytes.Contains(b, []byte("2026:03:14 09:26"+":53GPS"))
}

// Each element of 164.508(c) in turn (HIPAA H1, H2).
func TestAnAuthorizationThatLacksAnElementIsRefusedNamingIt(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	var complete map[string]any
	b, err := json.Marshal(s.newAuthorization(patient))
	s.must(err)
	s.must(json.Unmarshal(b, &complete))
	without := func(keys ...string) func(map[string]any) {
		return func(m map[string]any) {
			for _, k := range keys {
				delete(m, k)
			}
		}
	}
	statement := func(k string) func(map[string]any) {
		return func(m map[string]any) {
			st := maps.Clone(m["statements"].(map[string]any))
			st[k] = false
			m["statements"] = st
		}
	}
	set := func(k string, v any) func(map[string]any) { return func(m map[string]any) { m[k] = v } }
	future := s.clock.now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		name, field, paragraph string
		change                 func(map[string]any)
	}{
		{"no description", "description", "164.508(c)(1)(i)", without("description")},
		{"blank description", "description", "164.508(c)(1)(i)", set("description", "  ")},
		{"no scope", "scope", "164.508(c)(1)(i)", without("scope")},
		{"scope of all and of some", "scope", "164.508(c)(1)(i)", set("scope", map[string]any{"all_photos": true, "photos": []string{string(id.New[id.Photo]())}})},
		{"nobody discloses", "discloser", "164.508(c)(1)(ii)", without("discloser")},
		{"no recipients", "recipients", "164.508(c)(1)(iii)", without("recipients")},
		{"a blank recipient", "recipients", "164.508(c)(1)(iii)", set("recipients", []string{" "})},
		{"no purposes", "purposes", "164.508(c)(1)(iv)", without("purposes")},
		{"no channels", "channels", "164.508(c)(1)(iv)", without("channels")},
		{"an unknown channel", "channels", "164.508(c)(1)(iv)", set("channels", []string{"billboard"})},
		{"no expiry", "expires_at", "164.508(c)(1)(v)", without("expires_at")},
		{"date and event", "expires_at", "164.508(c)(1)(v)", set("expiry_event", "end of treatment")},
		{"nobody signed", "signer.name", "164.508(c)(1)(vi)", without("signer")},
		{"a representative of unknown authority", "signer.authority", "164.508(c)(1)(vi)", set("signer", map[string]any{"name": "P", "is_representative": true})},
		{"not signed", "signed_at", "164.508(c)(1)(vi)", without("signed_at")},
		{"signed tomorrow", "signed_at", "164.508(c)(1)(vi)", set("signed_at", future)},
		{"silent on revocation", "statements.right_to_revoke", "164.508(c)(2)(i)", statement("right_to_revoke")},
		{"silent on conditioning", "statements.conditioning", "164.508(c)(2)(ii)", statement("conditioning")},
		{"silent on redisclosure", "statements.redisclosure", "164.508(c)(2)(iii)", statement("redisclosure")},
		{"no copy given", "copy_given_at", "164.508(c)(4)", without("copy_given_at")},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := maps.Clone(complete)
			c.change(in)
			p := s.ask("POST", "/v1/authorizations", s.token("front-desk"), in, odd).problem(422, "authorization_incomplete")
			if len(p.Defects) != 1 || p.Defects[0].Field != c.field || p.Defects[0].Paragraph != c.paragraph || p.Defects[0].Sentence == "" {
				t.Errorf("defects %+v; one of %s under %s wanted", p.Defects, c.field, c.paragraph)
			}
		})
	}
	all := s.ask("POST", "/v1/authorizations", s.token("front-desk"), map[string]any{"patient": patient}, odd).problem(422, "authorization_incomplete")
	if len(all.Defects) < 12 {
		t.Errorf("%d defects of an empty authorization", len(all.Defects))
	}
	list := into[api.ConsentList](s.ask("GET", "/v1/consents?patient="+string(patient), s.token("privacy"), nil), 200)
	if len(list.Authorizations) != 0 {
		t.Errorf("incomplete authorizations are on record: %+v", list.Authorizations)
	}
	s.ask("POST", "/v1/authorizations", s.token("front-desk"), complete).ok(201)
}

func TestAnAuthorizationEndsByDateOrByEvent(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	issue := func() answer {
		return s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("marketing"), s.forMarketing())
	}
	byEvent := s.newAuthorization(patient)
	byEvent.ExpiresAt, byEvent.ExpiryEvent = nil, "end of treatment"
	a := s.authorize(byEvent)
	issue().ok(201)
	outstanding := into[api.Token](issue(), 201)
	ev := into[api.Event](s.ask("POST", "/v1/authorizations/"+string(a)+"/expire", s.token("front-desk"), api.Revocation{}), 200)
	if ev.Kind != consent.Expired {
		t.Errorf("event %+v", ev)
	}
	s.fetch("GET", outstanding).problem(404, "not_found")
	issue().problem(403, "authorization_expired")

	byDate := s.newAuthorization(patient)
	soon := s.clock.now().Add(10 * time.Minute).UTC()
	byDate.ExpiresAt = &soon
	s.authorize(byDate)
	in := s.forMarketing()
	in.TTLSeconds = 900
	long := into[api.Token](s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("marketing"), in), 201)
	s.clock.advance(11 * time.Minute)
	s.fetch("GET", long).problem(404, "not_found")
	issue().problem(403, "authorization_expired")
	list := into[api.ConsentList](s.ask("GET", "/v1/consents?patient="+string(patient), s.token("privacy"), nil), 200)
	for _, a := range list.Authorizations {
		if a.Status != "expired" {
			t.Errorf("status %s", a.Status)
		}
	}
}

func TestAnAuthorizationCoversThePhotosItNames(t *testing.T) {
	s := newStack(t)
	patient, other := s.consented(), s.consented()
	named, unnamed := s.ready(patient, small), s.ready(patient, small)
	in := s.newAuthorization(patient)
	in.Scope = consent.Scope{Photos: []id.Photo{named.ID}, Original: true}
	foreign := s.newAuthorization(other)
	foreign.Scope = in.Scope
	s.ask("POST", "/v1/authorizations", s.token("provider"), foreign).problem(422, "field_invalid")
	s.authorize(in)
	original := s.forMarketing()
	original.Rendition = "original"
	token := into[api.Token](s.ask("POST", "/v1/photos/"+string(named.ID)+"/tokens", s.token("marketing"), original), 201)
	s.wantPhoto(s.fetch("GET", token), rendition(s, named, "original"))
	s.ask("POST", "/v1/photos/"+string(unnamed.ID)+"/tokens", s.token("marketing"), s.forMarketing()).problem(403, "photo_not_in_scope")
}

// HIPAA H6.
func TestWithdrawnClinicalConsentStopsCaptureAndLeavesTheChart(t *testing.T) {
	s := newStack(t)
	patient := s.patient()
	c := s.clinical(patient)
	photo := s.ready(patient, small)
	begun := s.declare(patient, small())
	in := api.Revocation{ReceivedAt: s.clock.now().Add(-time.Minute).UTC()}
	s.ask("POST", "/v1/consents/"+string(c)+"/revoke", s.token("front-desk"), in).ok(200)

	in.ReceivedAt = s.clock.now().Add(time.Hour).UTC()
	other := s.clinical(s.patient())
	s.ask("POST", "/v1/consents/"+string(other)+"/revoke", s.token("front-desk"), in).problem(422, "field_invalid")

	fresh := begun.in
	fresh.Capture = string(id.New[id.Capture]())
	s.ask("POST", "/v1/photos", s.token("provider"), fresh).problem(403, "no_clinical_consent")
	s.wantPhoto(s.fetch("GET", s.forCare(photo.ID, "original", consent.InHeader, 1)), rendition(s, photo, "original"))
	list := into[api.ConsentList](s.ask("GET", "/v1/consents?patient="+string(patient), s.token("provider"), nil), 200)
	if len(list.Clinical) != 1 || list.Clinical[0].Status != "revoked" || len(list.Events) != 2 {
		t.Errorf("%+v", list)
	}
	s.clinical(patient)
	s.ask("POST", "/v1/photos", s.token("provider"), fresh).ok(201)
}

func TestAClinicalConsentLackingASignatureIsRefused(t *testing.T) {
	s := newStack(t)
	p := s.patient()
	in := map[string]any{"patient": p, "signer": map[string]any{"name": "P", "is_representative": true}}
	got := s.ask("POST", "/v1/consents", s.token("provider"), in, odd).problem(422, "consent_incomplete")
	var fields []string
	for _, d := range got.Defects {
		fields = append(fields, d.Field)
	}
	if diff := cmp.Diff([]string{"signer.authority", "signed_at"}, fields); diff != "" {
		t.Error(diff)
	}
}

func TestAnEMRReadsByStableReference(t *testing.T) {
	s := newStack(t, func(o *options) { o.frameAncestors = []string{"https://emr.example"} })
	patient := s.consented()
	photo := s.ready(patient, small)
	emr := s.token("emr")
	shown := into[api.Photo](s.ask("GET", "/v1/photos/"+string(photo.ID), emr, nil), 200)
	in := api.NewToken{Purpose: consent.ForCare, Rendition: "web", Form: consent.InPath}
	token := into[api.Token](s.ask("POST", "/v1/photos/"+string(shown.ID)+"/tokens", emr, in), 201)
	if !strings.HasPrefix(token.URL, "/v1/content/pvt_") || token.Uses != 1 || token.ExpiresAt.Sub(s.clock.now()) > time.Minute {
		t.Errorf("token %+v", token)
	}
	s.wantPhoto(s.fetch("GET", token), rendition(s, photo, "web"))
	s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", emr, s.forMarketing()).problem(403, "role_not_allowed")
}
