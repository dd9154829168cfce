package api_test

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"photovault/api"
	"photovault/api/client"
	"photovault/consent"
	"photovault/imaging/specimen"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/envelope"
	"photovault/vault/id"
)

// Photos that tests upload; each is made once.
var (
	small = sync.OnceValue(func() []byte { return specimen.JPEG(specimen.Full(320, 240, 1)) })
	// large has an original of more than 4 MiB, which is delivered in pieces.
	large = sync.OnceValue(func() []byte {
		return specimen.JPEG(specimen.Options{Width: 3600, Height: 2400, Quality: 98, Seed: 2, GPS: true})
	})
)

// token returns the personal token of the stack's account of the role.
func (s *stack) token(role string) string {
	s.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens[role] == "" {
		s.accounts[role], s.tokens[role] = s.account(role)
	}
	return s.tokens[role]
}

// account adds a fresh account of the role.
func (s *stack) account(role string) (id.Account, string) {
	s.Helper()
	a, c, token, err := vault.NewAccount(s.practice, "The "+role, consent.Role(role), 0, s.clock.now())
	s.must(err)
	e := &audit.Entry{Action: audit.AccountCreate, Outcome: audit.Allowed, Subject: string(a.ID)}
	s.must(s.catalog.ForPractice(s.practice).AddAccount(context.Background(), a, c, e))
	return a.ID, string(token)
}

var numbers atomic.Int64

// patient adds a patient, whom the stack's provider treats.
func (s *stack) patient() id.Patient {
	s.Helper()
	p := s.stranger()
	s.token("provider")
	s.treats(s.accounts["provider"], p)
	return p
}

// treats has the front desk say so.
func (s *stack) treats(a id.Account, p id.Patient) {
	s.Helper()
	s.ask("POST", "/v1/patients/"+string(p)+"/providers", s.token("front-desk"), api.NewAssignment{Account: a}).ok(201)
}

// stranger adds a patient whom no provider treats.
func (s *stack) stranger() id.Patient {
	s.Helper()
	in := api.NewPatient{RecordNumber: "MRN-" + strconv.FormatInt(numbers.Add(1), 10), Name: "Erika Mustermann"}
	return into[api.Patient](s.ask("POST", "/v1/patients", s.token("front-desk"), in), 201).ID
}

// clinical records a clinical consent.
func (s *stack) clinical(p id.Patient) id.Consent {
	s.Helper()
	in := api.NewClinical{Patient: p, Signer: consent.Signer{Name: "Erika Mustermann"}, SignedAt: s.clock.now().Add(-time.Hour)}
	return into[api.Clinical](s.ask("POST", "/v1/consents", s.token("front-desk"), in), 201).ID
}

// consented adds a patient who may be photographed.
func (s *stack) consented() id.Patient {
	s.Helper()
	p := s.patient()
	s.clinical(p)
	return p
}

const (
	studio      = "Studio Nord GmbH"
	website     = "website"
	advertising = "advertising on the practice's website"
)

// newAuthorization is complete, for all photos, web renditions, one recipient.
func (s *stack) newAuthorization(p id.Patient) api.NewAuthorization {
	now := s.clock.now().UTC().Truncate(time.Millisecond)
	signed, given, expires := now.Add(-2*time.Hour), now.Add(-time.Hour), now.Add(90*24*time.Hour)
	return api.NewAuthorization{Patient: p, Description: "Photos of my nose before and after the operation",
		Scope: consent.Scope{AllPhotos: true}, Discloser: "Praxis am Park", Recipients: []string{studio},
		Purposes: []string{advertising}, Channels: []string{website}, ExpiresAt: &expires,
		Signer: consent.Signer{Name: "Erika Mustermann"}, SignedAt: &signed, CopyGivenAt: &given,
		Statements: consent.Statements{RightToRevoke: true, Conditioning: true, Redisclosure: true}}
}

// authorize records a marketing authorization.
func (s *stack) authorize(a api.NewAuthorization) id.Authorization {
	s.Helper()
	return into[api.Authorization](s.ask("POST", "/v1/authorizations", s.token("front-desk"), a), 201).ID
}

// revoke revokes an authorization.
func (s *stack) revoke(a id.Authorization) {
	s.Helper()
	s.ask("POST", "/v1/authorizations/"+string(a)+"/revoke", s.token("front-desk"), api.Revocation{}).ok(200)
}

// ready uploads a photo with the Go client and waits until it is ready.
func (s *stack) ready(p id.Patient, jpeg func() []byte) *api.Photo {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := s.client(s.token("provider"))
	declared, err := c.Put(ctx, bytes.NewReader(jpeg()), client.PutOptions{Photo: api.NewPhoto{Patient: string(p), Kind: "before"},
		Pinned: s.pinned, Practice: s.practice})
	s.must(err)
	photo, err := c.Await(ctx, declared.ID)
	s.must(err)
	return photo
}

// rendition of a ready photo.
func rendition(s *stack, p *api.Photo, name string) api.Rendition {
	s.Helper()
	for _, r := range p.Renditions {
		if r.Name == name {
			return r
		}
	}
	s.Fatalf("no rendition %s", name)
	panic("unreachable")
}

// forCare issues a clinical token to the provider.
func (s *stack) forCare(p id.Photo, rendition string, form consent.Form, uses int) api.Token {
	s.Helper()
	in := api.NewToken{Purpose: consent.ForCare, Rendition: rendition, Form: form, Uses: uses}
	return into[api.Token](s.ask("POST", "/v1/photos/"+string(p)+"/tokens", s.token("provider"), in), 201)
}

// spring returns the stack's campaign, which newAuthorization fits.
func (s *stack) spring() id.Campaign {
	s.Helper()
	s.springing.Lock()
	defer s.springing.Unlock()
	if s.campaign == "" {
		now := s.clock.now().UTC()
		s.campaign = into[api.Campaign](s.ask("POST", "/v1/campaigns", s.token("marketing"), api.NewCampaign{Name: "Spring", Purpose: advertising,
			Channels: consent.Channels, Recipients: []string{studio, "Another Studio"}, From: now.Add(-time.Hour), Until: now.AddDate(3, 0, 0)}), 201).ID
	}
	return s.campaign
}

// forMarketing asks for a marketing token of the web rendition.
func (s *stack) forMarketing() api.NewToken {
	s.Helper()
	return api.NewToken{Purpose: consent.ForMarketing, Rendition: "web", Recipient: studio, Channel: website, Campaign: s.spring()}
}

// fetch presents a retrieval token as its form wants it.
func (s *stack) fetch(method string, t api.Token, tweaks ...tweak) answer {
	s.Helper()
	bearer := ""
	if t.Form == consent.InHeader {
		bearer = t.Token
	}
	return s.ask(method, t.URL, bearer, nil, tweaks...)
}

// shot is a photo that was declared, with the sealed file that belongs to it.
type shot struct {
	api.PhotoDeclared
	in     api.NewPhoto
	sealed []byte
}

// declare announces a photo and seals it.
func (s *stack) declare(p id.Patient, jpeg []byte) *shot {
	s.Helper()
	x := s.declareAs(s.token("provider"), p)
	x.sealed = s.seal(id.Capture(x.in.Capture), jpeg)
	return x
}

// declareAs announces a photo of which nothing is sealed yet.
func (s *stack) declareAs(token string, p id.Patient) *shot {
	s.Helper()
	in := api.NewPhoto{Patient: string(p), Device: string(id.New[id.Device]()), Capture: string(id.New[id.Capture]())}
	return &shot{into[api.PhotoDeclared](s.ask("POST", "/v1/photos", token, in), 201), in, nil}
}

// seal does what a tablet does.
func (s *stack) seal(c id.Capture, jpeg []byte) []byte {
	s.Helper()
	list := into[envelope.SignedKeys](s.ask("GET", "/v1/upload-keys", s.token("provider"), nil), 200)
	key, err := list.Pick(s.pinned, 0, time.Now())
	s.must(err)
	var sealed bytes.Buffer
	w, err := envelope.Seal(&sealed, key, s.practice, c)
	s.must(err)
	_, err = w.Write(jpeg)
	s.must(err)
	s.must(w.Close())
	return sealed.Bytes()
}

// await waits until a photo has come to the state.
func (s *stack) await(p id.Photo, state vault.PhotoState) api.Photo {
	s.Helper()
	var photo api.Photo
	s.eventually(fmt.Sprintf("photo is %s", state), func() bool {
		photo = into[api.Photo](s.ask("GET", "/v1/photos/"+string(p), s.token("provider"), nil), 200)
		return photo.State == state
	})
	return photo
}

// trail returns every entry of the log.
func (s *stack) trail() []vault.Logged {
	s.Helper()
	var all []vault.Logged
	for after := int64(0); ; {
		page := into[api.Trail](s.ask("GET", fmt.Sprintf("/v1/audit?after=%d&limit=1000", after), s.token("privacy"), nil), 200).Entries
		all = append(all, page...)
		if len(page) < 1000 {
			return all
		}
		after = page[len(page)-1].Seq
	}
}

// logged counts entries of the log that fit.
func (s *stack) logged(fits func(vault.Logged) bool) int {
	s.Helper()
	n := 0
	for _, e := range s.trail() {
		if fits(e) {
			n++
		}
	}
	return n
}
