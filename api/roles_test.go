package api_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/id"
)

// asRole makes a request of one route that is right in everything but, perhaps,
// the role. tablet is the upload grant of p.
type attempt struct {
	route   string   // as in Routes; a purpose may follow
	allowed []string // roles; the others are refused
	refusal int      // 403 role_not_allowed, or 404 where existence is not told either
	ask     func(s *stack, token string, p *prepared) answer
}

// prepared is fresh after each attempt that changed something: what one role
// does must not help or hinder the next.
type prepared struct {
	of                     *stack
	account                id.Account
	patient                id.Patient
	number                 string
	consent                id.Consent
	auth                   id.Authorization
	draft                  id.Authorization
	colleague              id.Account
	restriction, emergency id.Event
	campaign               id.Campaign
	takedown               id.Takedown
	template               id.Template
	document               id.Document
	shot                   *shot
	upload                 string // its path
	done                   *api.Photo
	retrieve               api.Token
}

var (
	desk      = []string{"provider", "front-desk", "privacy"}
	everyRole = []string{"provider", "front-desk", "marketing", "admin", "privacy", "emr", "tablet"}
	tus       = header("Tus-Resumable", "1.0.0")
)

func get(path func(*prepared) string) func(*stack, string, *prepared) answer {
	return func(s *stack, token string, p *prepared) answer { s.Helper(); return s.ask("GET", path(p), token, nil) }
}

func post(path func(*prepared) string, in func(*stack, *prepared) any) func(*stack, string, *prepared) answer {
	return func(s *stack, token string, p *prepared) answer {
		s.Helper()
		return s.ask("POST", path(p), token, in(s, p))
	}
}

// besides are photos of the same patient as another, one for all roles.
var besides = map[id.Photo]id.Photo{}

func at(path string) func(*prepared) string { return func(*prepared) string { return path } }
func nothing(*stack, *prepared) any         { return nil }

func photoPath(suffix string) func(*prepared) string {
	return func(p *prepared) string { return "/v1/photos/" + string(p.shot.Photo.ID) + suffix }
}

func donePath(suffix string) func(*prepared) string {
	return func(p *prepared) string { return "/v1/photos/" + string(p.done.ID) + suffix }
}

func takedownPath(suffix string) func(*prepared) string {
	return func(p *prepared) string { return "/v1/takedowns/" + string(p.takedown) + suffix }
}

// matrix is who may do what (45 CFR 164.312(a)(1); HIPAA H10, H11).
var matrix = []attempt{
	{"GET /healthz", nil, 0, get(at("/healthz"))},
	{"GET /readyz", nil, 0, get(at("/readyz"))},
	{"GET /v1/openapi.yaml", nil, 0, get(at("/v1/openapi.yaml"))},

	{"GET /v1/upload-keys", []string{"provider", "admin", "tablet"}, 403, get(at("/v1/upload-keys"))},
	{"POST /v1/upload-keys/rotate", []string{"admin"}, 403, post(at("/v1/upload-keys/rotate"), nothing)},

	{"GET /v1/keys", []string{"admin"}, 403, get(at("/v1/keys"))},
	{"POST /v1/keys/{purpose}/rotate", []string{"admin"}, 403, post(at("/v1/keys/evidence/rotate"), nothing)},
	{"POST /v1/keys/rewrap", []string{"admin"}, 403, post(at("/v1/keys/rewrap"), func(*stack, *prepared) any { return api.RewrapRequest{Limit: 1} })},
	{"POST /v1/keys/erasures", []string{"admin"}, 403, func(s *stack, token string, _ *prepared) answer {
		below := uint32(2)
		if token == s.token("admin") {
			below = s.rotateWrapping()
			s.rewrapAll()
		}
		return s.ask("POST", "/v1/keys/erasures", token, api.EraseRequest{Below: below})
	}},
	{"POST /v1/keys/erasures/{below}/done", []string{"admin"}, 403, func(s *stack, token string, _ *prepared) answer {
		below := uint32(2)
		if token == s.token("admin") {
			below = s.rotateWrapping()
			s.rewrapAll()
			s.ask("POST", "/v1/keys/erasures", token, api.EraseRequest{Below: below}).ok(201)
			s.eraseWrapping(below)
		}
		return s.ask("POST", fmt.Sprintf("/v1/keys/erasures/%d/done", below), token, nil)
	}},
	{"GET /v1/evidence-keys", []string{"provider", "front-desk", "marketing", "admin", "privacy", "emr", "tablet"}, 403, get(at("/v1/evidence-keys"))},

	{"POST /v1/accounts", []string{"admin"}, 403, post(at("/v1/accounts"), func(*stack, *prepared) any {
		return api.NewAccount{Name: "New", Role: consent.Provider, ExpiresInDays: 7}
	})},
	{"GET /v1/accounts", []string{"admin"}, 403, get(at("/v1/accounts"))},
	{"DELETE /v1/accounts/{account}", []string{"admin"}, 403, func(s *stack, token string, p *prepared) answer {
		return s.ask("DELETE", "/v1/accounts/"+string(p.account), token, nil)
	}},

	{"POST /v1/patients", []string{"provider", "front-desk"}, 403, post(at("/v1/patients"), func(*stack, *prepared) any {
		return api.NewPatient{RecordNumber: string(id.New[id.Patient]())}
	})},
	{"POST /v1/patients/find", desk, 403, post(at("/v1/patients/find"), func(_ *stack, p *prepared) any {
		return api.PatientQuery{RecordNumber: p.number}
	})},
	{"GET /v1/patients/{patient}", desk, 403, get(func(p *prepared) string { return "/v1/patients/" + string(p.patient) })},

	{"GET /v1/patients/{patient}/disclosures", []string{"privacy"}, 403, get(func(p *prepared) string { return "/v1/patients/" + string(p.patient) + "/disclosures" })},

	{"POST /v1/consents", desk, 403, post(at("/v1/consents"), func(s *stack, p *prepared) any {
		return api.NewClinical{Patient: p.patient, Signer: consent.Signer{Name: "P"}, SignedAt: s.clock.now().Add(-time.Hour)}
	})},
	{"GET /v1/consents", desk, 403, get(func(p *prepared) string { return "/v1/consents?patient=" + string(p.patient) })},
	{"POST /v1/consents/{consent}/revoke", desk, 403,
		post(func(p *prepared) string { return "/v1/consents/" + string(p.consent) + "/revoke" }, nothing)},
	{"POST /v1/authorizations", desk, 403, post(at("/v1/authorizations"), func(s *stack, p *prepared) any {
		return s.newAuthorization(p.patient)
	})},
	{"POST /v1/authorizations/{consent}/revoke", desk, 403,
		post(func(p *prepared) string { return "/v1/authorizations/" + string(p.auth) + "/revoke" }, nothing)},
	{"POST /v1/authorizations/{consent}/expire", desk, 403,
		post(func(p *prepared) string { return "/v1/authorizations/" + string(p.auth) + "/expire" }, nothing)},

	{"POST /v1/authorizations/{consent}/false", desk, 403,
		post(func(p *prepared) string { return "/v1/authorizations/" + string(p.auth) + "/false" }, nothing)},
	{"POST /v1/authorizations/{consent}/copy", desk, 403,
		post(func(p *prepared) string { return "/v1/authorizations/" + string(p.draft) + "/copy" }, nothing)},
	{"POST /v1/patients/{patient}/providers", desk, 403,
		post(func(p *prepared) string { return "/v1/patients/" + string(p.patient) + "/providers" }, func(_ *stack, p *prepared) any {
			return api.NewAssignment{Account: p.colleague}
		})},
	{"POST /v1/patients/{patient}/restrictions", desk, 403,
		post(func(p *prepared) string { return "/v1/patients/" + string(p.patient) + "/restrictions" }, func(*stack, *prepared) any {
			return api.NewRestriction{Purposes: []consent.Purpose{consent.ForMarketing}, Reason: "asked at the desk"}
		})},
	{"POST /v1/patients/{patient}/emergencies", []string{"provider"}, 403,
		post(func(p *prepared) string { return "/v1/patients/" + string(p.patient) + "/emergencies" }, func(*stack, *prepared) any {
			return api.NewEmergency{Reason: "unconscious, allergy unknown"}
		})},
	{"POST /v1/events/{event}/end", desk, 403, post(func(p *prepared) string { return "/v1/events/" + string(p.restriction) + "/end" }, nothing)},
	{"GET /v1/reviews", []string{"privacy"}, 403, get(at("/v1/reviews"))},
	{"POST /v1/reviews/{event}", []string{"privacy"}, 403, post(func(p *prepared) string { return "/v1/reviews/" + string(p.emergency) }, func(*stack, *prepared) any {
		return api.NewReview{Finding: "as it should be"}
	})},
	{"POST /v1/templates", []string{"privacy"}, 403, post(at("/v1/templates"), func(*stack, *prepared) any { return newTemplate("") })},
	{"POST /v1/templates again", []string{"privacy"}, 403, post(at("/v1/templates"), func(_ *stack, p *prepared) any { return newTemplate(p.template) })},
	{"GET /v1/templates", desk, 403, get(at("/v1/templates"))},
	{"POST /v1/patients/{patient}/documents", desk, 403, func(s *stack, token string, p *prepared) answer {
		return s.ask("POST", "/v1/patients/"+string(p.patient)+"/documents", token, signedPaper, header("Content-Type", "application/pdf"))
	}},
	{"GET /v1/documents/{document}", desk, 403, get(func(p *prepared) string { return "/v1/documents/" + string(p.document) })},
	{"POST /v1/authorizations on a template", desk, 403, post(at("/v1/authorizations"), func(s *stack, p *prepared) any {
		a := s.newAuthorization(p.patient)
		a.Template, a.TemplateVersion, a.DocumentID = p.template, 1, p.document
		return a
	})},
	{"POST /v1/campaigns", []string{"marketing", "privacy"}, 403, post(at("/v1/campaigns"), func(s *stack, _ *prepared) any {
		return api.NewCampaign{Name: "Summer", Purpose: advertising, Channels: []string{website}, Recipients: []string{studio}, From: s.clock.now(), Until: s.clock.now().AddDate(0, 1, 0)}
	})},
	{"GET /v1/campaigns", []string{"front-desk", "marketing", "privacy"}, 403, get(at("/v1/campaigns"))},
	{"POST /v1/campaigns/{campaign}/close", []string{"marketing", "privacy"}, 403,
		post(func(p *prepared) string { return "/v1/campaigns/" + string(p.campaign) + "/close" }, nothing)},

	{"GET /v1/takedowns", []string{"marketing", "privacy"}, 403, get(at("/v1/takedowns"))},
	{"GET /v1/takedowns/{takedown}", []string{"marketing", "privacy"}, 403, get(takedownPath(""))},
	{"POST /v1/takedowns/{takedown}/confirmations", []string{"marketing", "privacy"}, 403, post(takedownPath("/confirmations"), func(*stack, *prepared) any {
		return api.NewConfirmation{Text: "taken off the page"}
	})},

	{"POST /v1/photos", []string{"provider"}, 403, post(at("/v1/photos"), func(_ *stack, p *prepared) any {
		return api.NewPhoto{Patient: string(p.patient), Device: string(id.New[id.Device]()), Capture: string(id.New[id.Capture]())}
	})},
	{"GET /v1/photos", []string{"provider", "front-desk", "privacy", "emr"}, 403,
		get(func(p *prepared) string { return "/v1/photos?patient=" + string(p.patient) })},
	{"GET /v1/photos marketing", []string{"marketing"}, 403, get(at("/v1/photos?purpose=marketing"))},
	{"GET /v1/photos/{photo}", []string{"provider", "front-desk", "privacy", "emr", "tablet"}, 403, get(photoPath(""))},
	{"GET /v1/photos/{photo} another", []string{"provider", "front-desk", "privacy", "emr"}, 403, get(donePath(""))},
	{"GET /v1/photos/{photo}/receipt", []string{"provider", "privacy"}, 403, get(donePath("/receipt"))},
	{"DELETE /v1/photos/{photo}", []string{"provider", "privacy"}, 403, func(s *stack, token string, p *prepared) answer {
		return s.ask("DELETE", photoPath("")(p), token, nil)
	}},
	{"POST /v1/photos/{photo}/tokens clinical", []string{"provider", "emr"}, 403, post(donePath("/tokens"), func(*stack, *prepared) any {
		return api.NewToken{Purpose: consent.ForCare}
	})},
	{"POST /v1/photos/{photo}/tokens marketing", []string{"marketing"}, 403, post(donePath("/tokens"), func(s *stack, _ *prepared) any {
		return s.forMarketing()
	})},
	{"POST /v1/photos/{photo}/tokens teaching", []string{"provider"}, 403, post(donePath("/tokens"), func(*stack, *prepared) any {
		return api.NewToken{Purpose: consent.ForTeaching}
	})},
	{"POST /v1/photos/{photo}/mask", []string{"provider"}, 403, post(donePath("/mask"), func(*stack, *prepared) any {
		return api.NewMask{Regions: []consent.Region{{Shape: "ellipse", X: 1000, Y: 1000, Width: 2000, Height: 2000}}}
	})},
	{"POST /v1/photos/{photo}/comparison", []string{"provider"}, 403, post(donePath("/comparison"), func(s *stack, p *prepared) any {
		if besides[p.done.ID] == "" {
			besides[p.done.ID] = s.ready(p.done.Patient, small).ID
		}
		in := api.NewComparison{Before: besides[p.done.ID]}
		in.Crops.Before = consent.Region{Shape: "rectangle", Width: 10000, Height: 10000}
		in.Crops.After = in.Crops.Before
		return in
	})},
	{"POST /v1/photos/{photo}/recognisability", []string{"provider"}, 403, post(donePath("/recognisability"), func(*stack, *prepared) any {
		yes := true
		return api.NewRecognisability{Recognisable: &yes}
	})},
	{"POST /v1/photos/{photo}/decision", []string{"provider", "marketing", "privacy"}, 403, post(donePath("/decision"), func(*stack, *prepared) any {
		return api.NewDecision{Purpose: consent.ForCare}
	})},

	{"OPTIONS /v1/uploads", nil, 0, func(s *stack, token string, _ *prepared) answer { return s.ask("OPTIONS", "/v1/uploads", token, nil) }},
	{"POST /v1/uploads", []string{"provider", "tablet"}, 404, func(s *stack, token string, p *prepared) answer {
		return s.ask("POST", "/v1/uploads", token, nil, tus, header("Upload-Length", "1000"), namingPhoto(p.shot.Photo.ID))
	}},
	{"HEAD /v1/uploads/{upload}", []string{"provider", "tablet"}, 404, func(s *stack, token string, p *prepared) answer {
		return s.ask("HEAD", p.upload, token, nil, tus)
	}},
	{"PATCH /v1/uploads/{upload}", []string{"provider", "tablet"}, 404, func(s *stack, token string, p *prepared) answer {
		return s.patch(p.upload, token, 0, p.shot.sealed[:100])
	}},
	{"POST /v1/uploads/{upload}", []string{"provider", "tablet"}, 404, func(s *stack, token string, p *prepared) answer {
		offset := s.ask("HEAD", p.upload, token, nil, tus).header.Get("Upload-Offset")
		return s.ask("POST", p.upload, token, nil, tus, header("X-HTTP-Method-Override", "PATCH"), header("Upload-Offset", cmp.Or(offset, "0")),
			header("Content-Type", "application/offset+octet-stream"))
	}},
	{"DELETE /v1/uploads/{upload}", []string{"provider", "tablet"}, 404, func(s *stack, token string, p *prepared) answer {
		return s.ask("DELETE", p.upload, token, nil, tus)
	}},

	{"GET /v1/content", nil, 0, func(s *stack, _ string, p *prepared) answer { return s.fetch("GET", p.retrieve) }},
	{"HEAD /v1/content", nil, 0, func(s *stack, _ string, p *prepared) answer { return s.fetch("HEAD", p.retrieve) }},
	{"GET /v1/content/{token}", nil, 0, func(s *stack, _ string, p *prepared) answer {
		return s.fetch("GET", s.forCare(p.done.ID, "thumb", consent.InPath, 1))
	}},
	{"HEAD /v1/content/{token}", nil, 0, func(s *stack, _ string, p *prepared) answer {
		return s.fetch("HEAD", s.forCare(p.done.ID, "thumb", consent.InPath, 1))
	}},

	{"GET /v1/audit", []string{"admin", "privacy"}, 403, get(at("/v1/audit"))},
	{"GET /v1/audit/patients/{patient}", []string{"admin", "privacy"}, 403,
		get(func(p *prepared) string { return "/v1/audit/patients/" + string(p.patient) })},
}

func TestEachRoleSeesItsPartAndNoMore(t *testing.T) {
	s := newStack(t)
	patient := s.patient()
	s.ask("POST", "/v1/consents", s.token("front-desk"), api.NewClinical{Patient: patient, Teaching: true,
		Signer: consent.Signer{Name: "P"}, SignedAt: s.clock.now().Add(-time.Hour)}).ok(201)
	done := s.ready(patient, small)
	s.authorize(s.newAuthorization(patient))

	withdrawn := s.withdrawn().ID

	var listed []string
	for _, a := range matrix {
		method, rest, _ := cut2(a.route)
		listed = append(listed, method+" "+rest)
	}
	for _, r := range api.Routes() {
		if !slices.Contains(listed, r[0]+" "+r[1]) {
			t.Errorf("%s %s is not in the matrix", r[0], r[1])
		}
	}
	var p *prepared
	for _, a := range matrix {
		t.Run(a.route, func(t *testing.T) {
			open := a.allowed == nil
			for _, role := range append(slices.Clone(everyRole), "") {
				if p == nil {
					p = s.prepare(done)
					p.takedown = withdrawn
				}
				token := map[string]string{"tablet": p.shot.Grant, "": ""}[role]
				if token == "" && role != "" {
					token = s.token(role)
				}
				if role == "" && !open {
					s.anonymously(a, p)
					continue
				}
				got := a.ask(s, token, p)
				if got.status/100 == 2 && !a.reads() {
					p = nil
				}
				switch {
				case open || slices.Contains(a.allowed, role):
					if got.status/100 != 2 {
						t.Errorf("%s: %d, which should be allowed: %s", role, got.status, got.body)
					}
				case got.status != a.refusal:
					t.Errorf("%s: %d, %d wanted: %s", role, got.status, a.refusal, got.body)
				case a.refusal == 403:
					got.problem(403, "role_not_allowed")
				}
			}
		})
	}
}

// reads: the attempt changes nothing. A token is used up by reading.
func (a attempt) reads() bool {
	method, path, _ := cut2(a.route)
	return method != "POST" && method != "PATCH" && method != "DELETE" && !strings.HasPrefix(path, "/v1/content")
}

// anonymously wants every such attempt refused, whatever it asks.
func (s *stack) anonymously(a attempt, p *prepared) {
	s.Helper()
	s.clock.advance(time.Minute) // failures are counted by the minute
	method, path, _ := cut2(a.route)
	for _, token := range []string{"", "nonsense", p.retrieve.Token} {
		got := s.ask(method, fill(path, p), token, nil, odd)
		if got.status != 401 {
			s.Errorf("%s with no credential of its kind: %d, 401 wanted", a.route, got.status)
		}
		if method != "HEAD" {
			got.problem(401, "unauthenticated")
		}
	}
}

// prepare makes what attempts act on.
func (s *stack) prepare(done *api.Photo) *prepared {
	s.Helper()
	p := &prepared{of: s, done: done, patient: s.patient()}
	p.account, _ = s.account("emr")
	shown := into[api.Patient](s.ask("GET", "/v1/patients/"+string(p.patient), s.token("front-desk"), nil), 200)
	p.number = shown.RecordNumber
	p.consent = s.clinical(p.patient)
	p.auth = s.authorize(s.newAuthorization(p.patient))
	draft := s.newAuthorization(p.patient)
	draft.CopyGivenAt, draft.Draft = nil, true
	p.draft = s.authorize(draft)
	p.colleague, _ = s.account("provider")
	path := "/v1/patients/" + string(p.patient)
	p.restriction = into[api.Event](s.ask("POST", path+"/restrictions", s.token("front-desk"),
		api.NewRestriction{Photo: "", Purposes: []consent.Purpose{consent.ForTeaching}, Reason: "asked"}), 201).ID
	p.emergency = into[api.Event](s.ask("POST", path+"/emergencies", s.token("provider"), api.NewEmergency{Reason: "bleeding"}), 201).ID
	p.campaign = into[api.Campaign](s.ask("POST", "/v1/campaigns", s.token("privacy"), api.NewCampaign{Name: "Short", Purpose: advertising,
		Channels: []string{website}, Recipients: []string{studio}, From: s.clock.now(), Until: s.clock.now().AddDate(0, 1, 0)}), 201).ID
	p.template = into[api.Template](s.ask("POST", "/v1/templates", s.token("privacy"), newTemplate("")), 201).ID
	p.document = s.document(p.patient)
	p.shot = s.declare(p.patient, make([]byte, 1000))
	p.upload = s.create(p.shot.Grant, len(p.shot.sealed))
	p.retrieve = s.forCare(done.ID, "thumb", consent.InHeader, 1)
	return p
}
