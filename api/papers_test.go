package api_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/id"
)

var signedPaper = []byte("%PDF-1.7 signed by Erika Mustermann\n%%EOF")

const (
	mayRevoke   = "You may revoke this authorization in writing at any time."
	noCondition = "Your treatment does not depend on signing it."
	passedOn    = "Who receives the photos may pass them on."
)

// newTemplate makes the three mandatory statements; of: its next version.
func newTemplate(of id.Template) api.NewTemplate {
	return api.NewTemplate{Template: of, Name: "Website", Text: "Photos on our website.\n" + mayRevoke + "\n" + noCondition + "\n" + passedOn,
		Clauses: consent.Clauses{RightToRevoke: mayRevoke, Conditioning: noCondition, Redisclosure: passedOn}}
}

// document keeps a signed document of the patient.
func (s *stack) document(p id.Patient) id.Document {
	s.Helper()
	return into[api.Document](s.ask("POST", "/v1/patients/"+string(p)+"/documents", s.token("front-desk"), signedPaper, header("Content-Type", "application/pdf")), 201).ID
}

func TestAnAuthorizationMakesTheStatementsOfItsTemplate(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	first := into[api.Template](s.ask("POST", "/v1/templates", s.token("privacy"), newTemplate("")), 201)
	a := s.newAuthorization(patient)
	a.Template, a.TemplateVersion, a.Statements = first.ID, first.Version, consent.Statements{}
	made := into[api.Authorization](s.ask("POST", "/v1/authorizations", s.token("front-desk"), a), 201)
	if want := (consent.Statements{RightToRevoke: true, Conditioning: true, Redisclosure: true}); made.Statements != want || made.Status != consent.StatusActive {
		t.Errorf("statements %+v, %s", made.Statements, made.Status)
	}
	a.Statements.Payment = true // the text does not say so
	s.ask("POST", "/v1/authorizations", s.token("front-desk"), a).problem(422, "field_invalid")
	a.Statements.Payment, a.TemplateVersion = false, 2
	s.ask("POST", "/v1/authorizations", s.token("front-desk"), a).problem(422, "field_invalid")
	paid := newTemplate(first.ID)
	paid.Text += "\nA manufacturer pays the practice for this."
	paid.Clauses.Payment = "A manufacturer pays the practice for this."
	second := into[api.Template](s.ask("POST", "/v1/templates", s.token("privacy"), paid), 201)
	if second.Version != 2 {
		t.Errorf("version %d", second.Version)
	}
	if got := into[api.Authorization](s.ask("POST", "/v1/authorizations", s.token("front-desk"), a), 201); !got.Statements.Payment {
		t.Errorf("the second version's statements: %+v", got.Statements)
	}
	list := into[api.TemplateList](s.ask("GET", "/v1/templates", s.token("front-desk"), nil), 200)
	if len(list.Templates) != 2 || list.Templates[0].Version != 2 || list.Templates[1].Text != newTemplate("").Text {
		t.Errorf("%+v", list)
	}
}

func TestATemplateThatLacksAStatementIsRefusedNamingIt(t *testing.T) {
	s := newStack(t)
	for name, c := range map[string]struct {
		change func(*api.NewTemplate)
		field  string
	}{
		"no right to revoke":         {func(n *api.NewTemplate) { n.Clauses.RightToRevoke = "" }, "clauses.right_to_revoke"},
		"a clause not in the text":   {func(n *api.NewTemplate) { n.Clauses.Redisclosure = "They may be passed on, for sure." }, "clauses.redisclosure"},
		"one clause for two":         {func(n *api.NewTemplate) { n.Clauses.Conditioning = mayRevoke }, "clauses.conditioning"},
		"one in another":             {func(n *api.NewTemplate) { n.Clauses.Redisclosure = noCondition + "\n" + passedOn }, "clauses.redisclosure"},
		"less of another":            {func(n *api.NewTemplate) { n.Clauses.Conditioning = strings.TrimSuffix(mayRevoke, ".") }, "clauses.conditioning"},
		"a word":                     {func(n *api.NewTemplate) { n.Clauses.Conditioning = "treatment" }, "clauses.conditioning"},
		"a payment that is not said": {func(n *api.NewTemplate) { n.Clauses.Payment = "Somebody pays for all of this." }, "clauses.payment"},
	} {
		t.Run(name, func(t *testing.T) {
			in := newTemplate("")
			c.change(&in)
			p := s.ask("POST", "/v1/templates", s.token("privacy"), in).problem(422, "template_incomplete")
			if len(p.Defects) != 1 || p.Defects[0].Field != c.field || !strings.HasPrefix(p.Defects[0].Paragraph, "164.508(") {
				t.Errorf("%+v", p.Defects)
			}
		})
	}
	s.ask("POST", "/v1/templates", s.token("privacy"), newTemplate(id.New[id.Template]())).problem(404, "not_found")
}

func TestASignedDocumentIsEvidence(t *testing.T) {
	s := newStack(t)
	patient, other := s.consented(), s.consented()
	document := s.document(patient)
	got := s.ask("GET", "/v1/documents/"+string(document), s.token("privacy"), nil).ok(200)
	if !bytes.Equal(got.body, signedPaper) || got.header.Get("Content-Type") != "application/pdf" || got.header.Get("Content-Disposition") != "attachment" {
		t.Errorf("%v %q", got.header, got.body)
	}
	a := s.newAuthorization(patient)
	a.DocumentID = document
	if made := into[api.Authorization](s.ask("POST", "/v1/authorizations", s.token("front-desk"), a), 201); made.Document != digest(signedPaper) {
		t.Errorf("digest %s", made.Document)
	}
	a.Document = digest([]byte("another"))
	s.ask("POST", "/v1/authorizations", s.token("front-desk"), a).problem(422, "field_invalid")
	foreign := s.newAuthorization(other)
	foreign.DocumentID = document
	s.ask("POST", "/v1/authorizations", s.token("front-desk"), foreign).problem(422, "field_invalid")

	documents := "/v1/patients/" + string(patient) + "/documents"
	s.ask("POST", documents, s.token("front-desk"), []byte("MZ not a document"), header("Content-Type", "application/pdf")).problem(422, "field_invalid")
	large := append(append([]byte(nil), signedPaper...), make([]byte, consent.MaxDocument)...)
	s.ask("POST", documents, s.token("front-desk"), large, header("Content-Type", "application/pdf")).problem(413, "too_large")
	stranger := s.stranger()
	s.ask("POST", "/v1/patients/"+string(stranger)+"/documents", s.token("provider"), signedPaper, header("Content-Type", "application/pdf")).problem(403, "no_relation")

	// The same paper cannot be a consent for care, too (164.508(b)(3)).
	a.Document = ""
	auth := s.authorize(a)
	s.ask("POST", "/v1/consents", s.token("front-desk"), api.NewClinical{Patient: patient, Signer: consent.Signer{Name: "E"}, SignedAt: *a.SignedAt, DocumentID: document}).ok(201)
	list := into[api.ConsentList](s.ask("GET", "/v1/consents?patient="+string(patient), s.token("front-desk"), nil), 200)
	for _, x := range list.Authorizations {
		if x.ID == auth && x.Status != consent.StatusDefective {
			t.Errorf("status %s", x.Status)
		}
	}
}

// A practice's text of the consent for care says what it allows, teaching or
// not, and is never taken for an authorization, nor the other way round.
func TestAClinicalConsentAllowsWhatItsTemplateStates(t *testing.T) {
	s := newStack(t)
	patient := s.patient()
	const capture, care, teaching = "I agree that photos are taken of me.", "They are used for my treatment only by the practice.", "The practice may teach its staff with them."
	in := api.NewTemplate{Kind: consent.TemplateOfClinical, Name: "Care", Text: capture + " " + care, Clauses: consent.Clauses{Capture: capture, Care: care}}
	plain := into[api.Template](s.ask("POST", "/v1/templates", s.token("privacy"), in), 201)
	next := in
	next.Template, next.Text, next.Clauses.Teaching = plain.ID, in.Text+" "+teaching, teaching
	taught := into[api.Template](s.ask("POST", "/v1/templates", s.token("privacy"), next), 201)
	if plain.Kind != consent.TemplateOfClinical || taught.Version != 2 {
		t.Errorf("%+v, %+v", plain, taught)
	}
	record := func(t api.Template, claims bool) answer {
		return s.ask("POST", "/v1/consents", s.token("front-desk"), api.NewClinical{Patient: patient, Teaching: claims, Template: t.ID, TemplateVersion: t.Version,
			Signer: consent.Signer{Name: "Erika Mustermann"}, SignedAt: s.clock.now().Add(-time.Hour)})
	}
	if got := into[api.Clinical](record(plain, false), 201); got.Teaching || got.Template != plain.ID || got.TemplateVersion != 1 {
		t.Errorf("%+v", got)
	}
	record(plain, true).problem(422, "field_invalid")
	if got := into[api.Clinical](record(taught, false), 201); !got.Teaching {
		t.Errorf("%+v", got)
	}
	website := into[api.Template](s.ask("POST", "/v1/templates", s.token("privacy"), newTemplate("")), 201)
	record(website, false).problem(422, "field_invalid")
	a := s.newAuthorization(patient)
	a.Template, a.TemplateVersion, a.Statements = plain.ID, 1, consent.Statements{}
	s.ask("POST", "/v1/authorizations", s.token("front-desk"), a).problem(422, "field_invalid")
	s.ask("POST", "/v1/templates", s.token("privacy"), newTemplate(plain.ID)).problem(404, "not_found")

	for field, change := range map[string]func(*api.NewTemplate){
		"clauses.capture":         func(n *api.NewTemplate) { n.Clauses.Capture = "" },
		"clauses.care":            func(n *api.NewTemplate) { n.Clauses.Care = capture },
		"clauses.teaching":        func(n *api.NewTemplate) { n.Clauses.Teaching = teaching },
		"clauses.right_to_revoke": func(n *api.NewTemplate) { n.Clauses.RightToRevoke = capture },
	} {
		bad := in
		change(&bad)
		if p := s.ask("POST", "/v1/templates", s.token("privacy"), bad).problem(422, "template_incomplete"); len(p.Defects) != 1 || p.Defects[0].Field != field {
			t.Errorf("%s: %+v", field, p.Defects)
		}
	}
}
