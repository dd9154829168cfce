package consent_test

import (
	"slices"
	"testing"
	"time"

	"photovault/consent"
	"photovault/vault/id"
)

var (
	now      = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	practice = id.New[id.Practice]()
	patient  = id.New[id.Patient]()
	photo    = id.New[id.Photo]()
)

func who(r consent.Role) consent.Principal {
	return consent.Principal{Practice: practice, Account: id.New[id.Account](), Role: r}
}

// complete is an authorization that lacks nothing.
func complete() consent.Authorization {
	return consent.Authorization{
		ID: id.New[id.Authorization](), Practice: practice, Patient: patient,
		Description: "before and after photos of my nose", Scope: consent.Scope{AllPhotos: true}, Discloser: "the practice",
		Recipients: []string{"Clinic website"}, Purposes: []string{"show results"}, Channels: []string{"website"},
		ExpiresAt: now.AddDate(1, 0, 0), Signer: consent.Signer{Name: "P. Atient"}, SignedAt: now.Add(-time.Hour),
		Statements:  consent.Statements{RightToRevoke: true, Conditioning: true, Redisclosure: true},
		CopyGivenAt: now.Add(-time.Hour),
	}
}

func recordWith(auths ...consent.Authorization) *consent.Record {
	return &consent.Record{Practice: practice, Patient: patient, Authorizations: auths}
}

func marketingQuestion(r *consent.Record) consent.Question {
	return consent.Question{Now: now, Who: who(consent.Marketing), Purpose: consent.ForMarketing, Patient: patient, Photo: photo,
		Ready: true, Rendition: "web", Recipient: "Clinic website", Channel: "website", Record: r}
}

func TestCompleteAuthorizationAllowsWhatItNames(t *testing.T) {
	a := complete()
	d := consent.DecideRelease(marketingQuestion(recordWith(a)))
	if !d.Allowed || !slices.Equal(d.Basis, []string{"authorization/" + string(a.ID)}) || len(d.Refusals) != 0 {
		t.Fatalf("%+v", d)
	}
}

// Each case takes away one thing; the release must be refused for exactly it.
func TestMarketingIsRefused(t *testing.T) {
	revoked := func(kind consent.EventKind) func(*consent.Question) {
		return func(q *consent.Question) {
			q.Record.Events = append(q.Record.Events, consent.Event{Kind: kind, Subject: string(q.Record.Authorizations[0].ID), EnteredAt: now})
		}
	}
	for name, c := range map[string]struct {
		change func(*consent.Question)
		code   string
	}{
		"no authorization": {func(q *consent.Question) { q.Record.Authorizations = nil }, "no_authorization"},
		"clinical consent only": {func(q *consent.Question) {
			q.Record = &consent.Record{Practice: practice, Patient: patient, Clinicals: []consent.Clinical{{ID: "c", SignedAt: now}}}
		}, "no_authorization"},
		"revoked":               {revoked(consent.Revoked), "authorization_revoked"},
		"expiry event happened": {revoked(consent.Expired), "authorization_expired"},
		"expired this instant":  {func(q *consent.Question) { q.Now = q.Record.Authorizations[0].ExpiresAt }, "authorization_expired"},
		"another recipient":     {func(q *consent.Question) { q.Recipient = "Billboard Ltd" }, "recipient_not_named"},
		"no recipient":          {func(q *consent.Question) { q.Recipient = "" }, "recipient_not_named"},
		"another channel":       {func(q *consent.Question) { q.Channel = "print" }, "channel_not_named"},
		"no channel":            {func(q *consent.Question) { q.Channel = "" }, "channel_not_named"},
		"original":              {func(q *consent.Question) { q.Rendition = "original" }, "rendition_not_authorized"},
		"photo outside scope": {func(q *consent.Question) {
			q.Record.Authorizations[0].Scope = consent.Scope{Photos: []id.Photo{id.New[id.Photo]()}}
		}, "photo_not_in_scope"},
		"incomplete record": {func(q *consent.Question) { q.Record.Authorizations[0].Statements.RightToRevoke = false }, "authorization_incomplete"},
		"photo deleted": {func(q *consent.Question) {
			q.Record.Events = []consent.Event{{Kind: consent.Deleted, Subject: string(photo)}}
		}, "not_found"},
		"photo not ready":           {func(q *consent.Question) { q.Ready = false }, "photo_not_ready"},
		"another practice's caller": {func(q *consent.Question) { q.Who.Practice = id.New[id.Practice]() }, "not_found"},
		"another patient's photo":   {func(q *consent.Question) { q.Patient = id.New[id.Patient]() }, "not_found"},
		"no record":                 {func(q *consent.Question) { q.Record = nil }, "not_found"},
		"purpose empty":             {func(q *consent.Question) { q.Purpose = "" }, "purpose_unknown"},
		"purpose in other case":     {func(q *consent.Question) { q.Purpose = "Marketing" }, "purpose_unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			q := marketingQuestion(recordWith(complete()))
			c.change(&q)
			d := consent.DecideRelease(q)
			if d.Allowed || len(d.Refusals) != 1 || d.Refusals[0].Code != c.code || d.Refusals[0].Sentence == "" || len(d.Basis) != 0 {
				t.Fatalf("got %+v, want only %s", d, c.code)
			}
		})
	}
}

func TestTwoHalvesDoNotAddUp(t *testing.T) {
	a, b := complete(), complete()
	a.Recipients, b.Channels = []string{"Other"}, []string{"print"}
	if d := consent.DecideRelease(marketingQuestion(recordWith(a, b))); d.Allowed {
		t.Fatalf("allowed by two authorizations that each allow half: %+v", d)
	}
	if d := consent.DecideRelease(marketingQuestion(recordWith(a, b, complete()))); !d.Allowed {
		t.Fatalf("the third allows it whole: %+v", d)
	}
}

// Written from H6 and H11, not from the code: who may open a photo for what.
func TestRolesAndPurposes(t *testing.T) {
	allowed := map[consent.Role]consent.Purpose{consent.Provider: consent.ForCare, consent.EMR: consent.ForCare, consent.Marketing: consent.ForMarketing}
	for _, role := range append(slices.Clone(consent.AccountRoles), consent.Tablet, "", "root") {
		for _, purpose := range []consent.Purpose{consent.ForCare, consent.ForMarketing} {
			q := marketingQuestion(recordWith(complete()))
			q.Who, q.Purpose = who(role), purpose
			if got, want := consent.DecideRelease(q).Allowed, allowed[role] == purpose && role != ""; got != want {
				t.Errorf("%q for %s: allowed %v, want %v", role, purpose, got, want)
			}
		}
	}
}

func TestWithdrawnClinicalConsentStopsCaptureNotTheChart(t *testing.T) {
	c := consent.Clinical{ID: id.New[id.Consent](), SignedAt: now.Add(-time.Hour)}
	r := &consent.Record{Practice: practice, Patient: patient, Clinicals: []consent.Clinical{c}}
	if d := consent.DecideCapture(now, who(consent.Provider), r); !d.Allowed {
		t.Fatalf("capture under consent: %+v", d)
	}
	if d := consent.DecideCapture(now.Add(-2*time.Hour), who(consent.Provider), r); d.Allowed {
		t.Fatal("capture before the consent was signed")
	}
	r.Events = []consent.Event{{Kind: consent.Revoked, Subject: string(c.ID)}}
	if d := consent.DecideCapture(now, who(consent.Provider), r); d.Allowed || d.Refusals[0].Code != "no_clinical_consent" {
		t.Fatalf("capture after withdrawal: %+v", d)
	}
	q := marketingQuestion(r)
	q.Who, q.Purpose = who(consent.Provider), consent.ForCare
	if d := consent.DecideRelease(q); !d.Allowed {
		t.Fatalf("chart after withdrawal: %+v", d)
	}
}

func TestOnlyProvidersCapture(t *testing.T) {
	r := &consent.Record{Practice: practice, Patient: patient, Clinicals: []consent.Clinical{{ID: "c", SignedAt: now}}}
	for _, role := range append(slices.Clone(consent.AccountRoles), consent.Tablet) {
		if got := consent.DecideCapture(now, who(role), r).Allowed; got != (role == consent.Provider) {
			t.Errorf("%s: %v", role, got)
		}
	}
}

// An authorization that lacks a field of 164.508(c) names it and its paragraph.
func TestDefectsNameFieldAndParagraph(t *testing.T) {
	for name, c := range map[string]struct {
		take      func(*consent.Authorization)
		paragraph string
	}{
		"description":                {func(a *consent.Authorization) { a.Description = " " }, "164.508(c)(1)(i)"},
		"scope":                      {func(a *consent.Authorization) { a.Scope = consent.Scope{} }, "164.508(c)(1)(i)"},
		"discloser":                  {func(a *consent.Authorization) { a.Discloser = "" }, "164.508(c)(1)(ii)"},
		"recipients":                 {func(a *consent.Authorization) { a.Recipients = []string{""} }, "164.508(c)(1)(iii)"},
		"purposes":                   {func(a *consent.Authorization) { a.Purposes = nil }, "164.508(c)(1)(iv)"},
		"channels":                   {func(a *consent.Authorization) { a.Channels = []string{"television"} }, "164.508(c)(1)(iv)"},
		"expires_at":                 {func(a *consent.Authorization) { a.ExpiresAt = time.Time{} }, "164.508(c)(1)(v)"},
		"signer.name":                {func(a *consent.Authorization) { a.Signer.Name = "" }, "164.508(c)(1)(vi)"},
		"signer.authority":           {func(a *consent.Authorization) { a.Signer.IsRepresentative = true }, "164.508(c)(1)(vi)"},
		"signed_at":                  {func(a *consent.Authorization) { a.SignedAt = now.Add(time.Second) }, "164.508(c)(1)(vi)"},
		"statements.right_to_revoke": {func(a *consent.Authorization) { a.Statements.RightToRevoke = false }, "164.508(c)(2)(i)"},
		"statements.conditioning":    {func(a *consent.Authorization) { a.Statements.Conditioning = false }, "164.508(c)(2)(ii)"},
		"statements.redisclosure":    {func(a *consent.Authorization) { a.Statements.Redisclosure = false }, "164.508(c)(2)(iii)"},
		"copy_given_at":              {func(a *consent.Authorization) { a.CopyGivenAt = time.Time{} }, "164.508(c)(4)"},
	} {
		a := complete()
		c.take(&a)
		d := a.Defects(now)
		if len(d) != 1 || d[0].Field != name || d[0].Paragraph != c.paragraph || d[0].Sentence == "" {
			t.Errorf("without %s: %+v", name, d)
		}
	}
	if a := complete(); len(a.Defects(now)) != 0 {
		t.Errorf("complete: %+v", a.Defects(now))
	}
}

func TestUsableNowListsWhatDecideAllows(t *testing.T) {
	a, dead := complete(), complete()
	a.Scope.Original = true
	r := recordWith(dead, a)
	r.Events = []consent.Event{{Kind: consent.Revoked, Subject: string(dead.ID)}}
	u := consent.UsableNow(now, who(consent.Marketing), r, photo)
	if len(u) != 1 || u[0].Authorization != a.ID || !slices.Equal(u[0].Renditions, []string{"original", "web", "thumb"}) {
		t.Fatalf("%+v", u)
	}
	if u := consent.UsableNow(now, who(consent.Provider), r, photo); u != nil {
		t.Fatalf("a provider was offered marketing: %+v", u)
	}
}

func TestDigestNoticesRowsTakenOrAdded(t *testing.T) {
	r := recordWith(complete())
	r.Events = []consent.Event{{ID: id.New[id.Event]()}}
	whole := r.Digest()
	r.Events = nil
	if r.Digest() == whole {
		t.Error("a revocation can be taken out unnoticed")
	}
	other := recordWith(r.Authorizations[0], complete())
	if other.Digest() == r.Digest() {
		t.Error("an authorization can be added unnoticed")
	}
}
