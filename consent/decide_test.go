package consent_test

import (
	"slices"
	"strings"
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

// running is a campaign that fits complete.
func running() *consent.Campaign {
	return &consent.Campaign{ID: id.New[id.Campaign](), Practice: practice, Version: 1, Name: "Spring", Purpose: "show results",
		Channels: []string{"website", "print"}, Recipients: []string{"Clinic website", "Billboard Ltd"}, From: now.AddDate(0, 0, -1), Until: now.AddDate(2, 0, 0)}
}

func recordWith(auths ...consent.Authorization) *consent.Record {
	return &consent.Record{Practice: practice, Patient: patient, Authorizations: auths}
}

func marketingQuestion(r *consent.Record) consent.Question {
	return consent.Question{Now: now, Who: who(consent.Marketing), Purpose: consent.ForMarketing,
		Photo:     consent.Photo{ID: photo, Patient: patient, Ready: true},
		Rendition: "web", Recipient: "Clinic website", Channel: "website", Campaign: running(), Record: r}
}

func TestCompleteAuthorizationAllowsWhatItNames(t *testing.T) {
	a := complete()
	d := consent.DecideRelease(marketingQuestion(recordWith(a)))
	if !d.Allowed || len(d.Refusals) != 0 {
		t.Fatalf("%+v", d)
	}
	for i, prefix := range []string{"rule/164.508", "authorization/" + string(a.ID), "campaign/", "record/" + string(patient) + "/0"} {
		if !strings.HasPrefix(d.Basis[i], prefix) {
			t.Errorf("the basis %v does not name %s", d.Basis, prefix)
		}
	}
}

// Each case takes away one thing; the release must be refused for exactly it.
func TestMarketingIsRefused(t *testing.T) {
	revoked := func(kind consent.EventKind) func(*consent.Question) {
		return func(q *consent.Question) {
			q.Record.Events = append(q.Record.Events, consent.Event{Kind: kind, Subject: string(q.Record.Authorizations[0].ID), EnteredAt: now})
		}
	}
	restrict := func(subject string) func(*consent.Question) {
		return func(q *consent.Question) {
			q.Record.Events = append(q.Record.Events, consent.Event{ID: "r", Kind: consent.Restricted, Subject: subject, Purposes: []consent.Purpose{consent.ForMarketing}, Reason: "asked"})
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
		"no recipient":          {func(q *consent.Question) { q.Recipient = "" }, "recipient_not_in_campaign"},
		"another channel":       {func(q *consent.Question) { q.Channel = "print" }, "channel_not_named"},
		"no channel":            {func(q *consent.Question) { q.Channel = "" }, "channel_not_in_campaign"},
		"original":              {func(q *consent.Question) { q.Rendition = "original" }, "rendition_not_authorized"},
		"photo outside scope": {func(q *consent.Question) {
			q.Record.Authorizations[0].Scope = consent.Scope{Photos: []id.Photo{id.New[id.Photo]()}}
		}, "photo_not_in_scope"},
		"incomplete record": {func(q *consent.Question) { q.Record.Authorizations[0].Statements.RightToRevoke = false }, "authorization_incomplete"},
		"found false":       {revoked(consent.FoundFalse), "authorization_false"},
		"conditioned":       {func(q *consent.Question) { q.Record.Authorizations[0].Conditioned = true }, "authorization_conditioned"},
		"compound": {func(q *consent.Question) {
			q.Record.Authorizations[0].Document = strings.Repeat("a", 64)
			q.Record.Clinicals = []consent.Clinical{{ID: "c", Document: strings.Repeat("a", 64)}}
		}, "authorization_compound"},
		"masked only": {func(q *consent.Question) { q.Record.Authorizations[0].Scope.MaskedOnly = true }, "rendition_not_authorized"},
		"another set": {func(q *consent.Question) {
			q.Record.Authorizations[0].Scope = consent.Scope{Sets: []id.Set{id.New[id.Set]()}}
		}, "photo_not_in_scope"},
		"no campaign":              {func(q *consent.Question) { q.Campaign = nil }, "no_campaign"},
		"another's campaign":       {func(q *consent.Question) { q.Campaign.Practice = id.New[id.Practice]() }, "no_campaign"},
		"campaign over":            {func(q *consent.Question) { q.Campaign.Until = q.Now }, "campaign_not_running"},
		"campaign not begun":       {func(q *consent.Question) { q.Campaign.From = q.Now.Add(1) }, "campaign_not_running"},
		"campaign closed":          {func(q *consent.Question) { q.Campaign.ClosedAt = q.Now }, "campaign_not_running"},
		"campaign's purpose":       {func(q *consent.Question) { q.Campaign.Purpose = "win prizes" }, "purpose_not_named"},
		"campaign paid by another": {func(q *consent.Question) { q.Campaign.ThirdPartyPayment = true }, "payment_not_stated"},
		"photos sold":              {func(q *consent.Question) { q.Campaign.Sale = true }, "sale_not_stated"},
		"photo restricted":         {restrict(string(photo)), "photo_restricted"},
		"patient restricted":       {restrict(string(patient)), "photo_restricted"},
		"photo deleted": {func(q *consent.Question) {
			q.Record.Events = []consent.Event{{Kind: consent.Deleted, Subject: string(photo)}}
		}, "not_found"},
		"photo not ready":           {func(q *consent.Question) { q.Photo.Ready = false }, "photo_not_ready"},
		"another practice's caller": {func(q *consent.Question) { q.Who.Practice = id.New[id.Practice]() }, "not_found"},
		"another patient's photo":   {func(q *consent.Question) { q.Photo.Patient = id.New[id.Patient]() }, "not_found"},
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
	q.Photo.DeclaredBy = q.Who.Account
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

// Whatever a practice forbids, each combination of what one line lists is
// allowed, and none that is allowed is left out.
func TestMarketingsViewIsWhatIsReleased(t *testing.T) {
	a := complete()
	a.Recipients, a.Channels = []string{"Clinic website", "Billboard Ltd", "Studio"}, []string{"website", "print", "social"}
	q := marketingQuestion(recordWith(a))
	q.Campaign.Recipients, q.Campaign.Channels = a.Recipients, a.Channels
	q.Policies = policies(t, `forbid (principal, action, resource) when { context.recipient == "Studio" && context.channel == "print" };
		forbid (principal, action, resource) when { context.rendition == "thumb" && context.channel == "website" };`)
	renditions := []string{"web", "thumb"}
	listed := map[[3]string]int{}
	for _, u := range consent.UsableNow(q, renditions, []consent.Campaign{*q.Campaign}) {
		for _, rendition := range u.Renditions {
			for _, recipient := range u.Recipients {
				for _, channel := range u.Channels {
					listed[[3]string{rendition, recipient, channel}]++
				}
			}
		}
	}
	for _, rendition := range renditions {
		for _, recipient := range a.Recipients {
			for _, channel := range a.Channels {
				q.Rendition, q.Recipient, q.Channel = rendition, recipient, channel
				if n, d := listed[[3]string{rendition, recipient, channel}], consent.DecideRelease(q); n > 1 || d.Allowed != (n == 1) {
					t.Errorf("%s to %s on %s: listed %d times, decided %+v", rendition, recipient, channel, n, d)
				}
			}
		}
	}
}

func TestUsableNowListsWhatDecideAllows(t *testing.T) {
	a, dead := complete(), complete()
	a.Scope.Original = true
	a.Recipients = append(a.Recipients, "Somebody else")
	r := recordWith(dead, a)
	r.Events = []consent.Event{{Kind: consent.Revoked, Subject: string(dead.ID)}}
	q := marketingQuestion(r)
	over := running()
	over.Until = now
	u := consent.UsableNow(q, []string{"original", "web", "thumb"}, []consent.Campaign{*q.Campaign, *over})
	if len(u) != 1 || u[0].Authorization != a.ID || u[0].Campaign != q.Campaign.ID || !slices.Equal(u[0].Renditions, []string{"original", "web", "thumb"}) ||
		!slices.Equal(u[0].Recipients, []string{"Clinic website"}) || !slices.Equal(u[0].Channels, []string{"website"}) || !u[0].Until.Equal(a.ExpiresAt) {
		t.Fatalf("%+v", u)
	}
	q.Who = who(consent.Provider)
	if u := consent.UsableNow(q, []string{"web"}, []consent.Campaign{*q.Campaign}); u != nil {
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
