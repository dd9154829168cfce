package consent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"photovault/consent"
	"photovault/vault/id"
)

// The matrix asks every combination of what a release depends on, and compares
// the answer with an oracle that is written from the text of 45 CFR 164 (H1 to
// H12, H23, H24) and knows nothing of the code.

// fact is one value of a dimension: what it does to a question, and what it
// means in the words of the rules.
type fact struct {
	name  string
	apply func(*consent.Question)
	means map[string]bool
}

func means(list ...string) map[string]bool {
	out := map[string]bool{}
	for _, s := range list {
		out[s] = true
	}
	return out
}

var (
	set       = id.New[id.Set]()
	treatment = id.New[id.Treatment]()
	signed    = now.Add(-24 * time.Hour)
	account   = id.New[id.Account]()
	document  = strings.Repeat("d", 64)
)

func happened(k consent.EventKind, subject func(*consent.Question) string, change ...func(*consent.Event)) func(*consent.Question) {
	return func(q *consent.Question) {
		e := consent.Event{ID: id.Event(fmt.Sprintf("%s-%d", k, len(q.Record.Events))), Kind: k, Subject: subject(q), EnteredAt: now.Add(-time.Minute), Reason: "why"}
		for _, f := range change {
			f(&e)
		}
		q.Record.Events = append(q.Record.Events, e)
	}
}

func theAuthorization(q *consent.Question) string { return string(q.Record.Authorizations[0].ID) }
func theClinical(q *consent.Question) string      { return string(q.Record.Clinicals[0].ID) }
func thePhoto(*consent.Question) string           { return string(photo) }
func thePatient(*consent.Question) string         { return string(patient) }
func theAccount(*consent.Question) string         { return string(account) }
func theLastEvent(q *consent.Question) string {
	return string(q.Record.Events[len(q.Record.Events)-1].ID)
}
func nothing(*consent.Question) {}

func both(f ...func(*consent.Question)) func(*consent.Question) {
	return func(q *consent.Question) {
		for _, g := range f {
			g(q)
		}
	}
}

func onAuthorization(f func(*consent.Authorization)) func(*consent.Question) {
	return func(q *consent.Question) { f(&q.Record.Authorizations[0]) }
}

func onCampaign(f func(*consent.Campaign)) func(*consent.Question) {
	return func(q *consent.Question) { f(q.Campaign) }
}

func forbids(purposes ...consent.Purpose) func(*consent.Event) {
	return func(e *consent.Event) { e.Purposes = purposes }
}

// dimensions, in the order of the summary.
var dimensions = []struct {
	name   string
	values []fact
}{
	{"practice", []fact{
		{"own", nothing, means("own practice")},
		{"another", func(q *consent.Question) { q.Who.Practice = id.New[id.Practice]() }, nil},
	}},
	{"role", []fact{
		{"provider", as(consent.Provider), means("treats patients", "may teach")},
		{"front-desk", as(consent.FrontDesk), nil},
		{"marketing", as(consent.Marketing), means("does marketing")},
		{"admin", as(consent.Admin), nil},
		{"privacy", as(consent.Privacy), nil},
		{"emr", as(consent.EMR), means("is the chart")},
		{"tablet", as(consent.Tablet), nil},
		{"unknown", as("superuser"), nil},
	}},
	{"purpose", []fact{
		{"clinical", func(q *consent.Question) { q.Purpose = consent.ForCare }, means("for care")},
		{"teaching", func(q *consent.Question) { q.Purpose = consent.ForTeaching }, means("for teaching")},
		{"marketing", func(q *consent.Question) { q.Purpose = consent.ForMarketing }, means("for marketing")},
		{"other", func(q *consent.Question) { q.Purpose = "research" }, nil},
	}},
	{"photo", []fact{
		{"ready", nothing, means("stored")},
		{"not ready", func(q *consent.Question) { q.Photo.Ready = false }, nil},
		{"deleted", happened(consent.Deleted, thePhoto), means("stored", "deleted")},
	}},
	{"relation", []fact{
		{"assigned", happened(consent.Assigned, theAccount), means("treats this patient")},
		{"made the photo", func(q *consent.Question) { q.Photo.DeclaredBy = account }, means("treats this patient")},
		{"made the set", func(q *consent.Question) { q.Photo.SetBy = account }, means("treats this patient")},
		{"emergency open", happened(consent.Emergency, theAccount), means("emergency")},
		{"emergency over", happened(consent.Emergency, theAccount, func(e *consent.Event) { e.EnteredAt = now.Add(-time.Hour) }), nil},
		{"assignment ended", both(happened(consent.Assigned, theAccount), happened(consent.Ended, theLastEvent)), nil},
		{"none", nothing, nil},
	}},
	{"restriction", []fact{
		{"none", nothing, nil},
		{"marketing, this photo", happened(consent.Restricted, thePhoto, forbids(consent.ForMarketing)), means("no marketing asked")},
		{"all purposes, all photos", happened(consent.Restricted, thePatient, forbids(consent.Purposes...)), means("no marketing asked", "no teaching asked", "no care asked")},
		{"lifted", both(happened(consent.Restricted, thePatient, forbids(consent.Purposes...)), happened(consent.Ended, theLastEvent)), nil},
	}},
	{"clinical consent", []fact{
		{"with teaching", nothing, means("taking agreed", "teaching agreed")},
		{"without teaching", func(q *consent.Question) { q.Record.Clinicals[0].Teaching = false }, means("taking agreed")},
		{"withdrawn", happened(consent.Revoked, theClinical), nil},
	}},
	{"authorization", []fact{
		{"active", nothing, means("valid")},
		{"none", func(q *consent.Question) { q.Record.Authorizations = nil }, nil},
		{"draft: no copy given", onAuthorization(func(a *consent.Authorization) { a.CopyGivenAt = time.Time{} }), nil},
		{"copy given later", both(onAuthorization(func(a *consent.Authorization) { a.CopyGivenAt = time.Time{} }),
			happened(consent.CopyGiven, theAuthorization, func(e *consent.Event) { e.ReceivedAt = now.Add(-time.Minute) })), means("valid")},
		{"draft: a statement missing", onAuthorization(func(a *consent.Authorization) { a.Statements.Redisclosure = false }), nil},
		{"not yet signed", onAuthorization(func(a *consent.Authorization) { a.SignedAt = now.Add(time.Hour) }), nil},
		{"expired", onAuthorization(func(a *consent.Authorization) { a.ExpiresAt = now }), nil},
		{"expiry event happened", happened(consent.Expired, theAuthorization), nil},
		{"revoked", happened(consent.Revoked, theAuthorization), nil},
		{"superseded", func(q *consent.Question) {
			newer := q.Record.Authorizations[0]
			newer.ID, newer.Supersedes, newer.Recipients = "newer", q.Record.Authorizations[0].ID, []string{"nobody"}
			q.Record.Authorizations = append(q.Record.Authorizations, newer)
		}, nil},
		{"superseded by a draft", func(q *consent.Question) {
			newer := q.Record.Authorizations[0]
			newer.ID, newer.Supersedes, newer.Description = "newer", q.Record.Authorizations[0].ID, ""
			q.Record.Authorizations = append(q.Record.Authorizations, newer)
		}, means("valid")},
		{"known to be false", happened(consent.FoundFalse, theAuthorization), nil},
		{"compound with the consent for care", onAuthorization(func(a *consent.Authorization) { a.Document = document }), nil},
		{"treatment conditioned on it", onAuthorization(func(a *consent.Authorization) { a.Conditioned = true }), nil},
	}},
	{"scope", []fact{
		{"all photos", nothing, means("covers the photo")},
		{"this photo, original too", onScope(consent.Scope{Photos: []id.Photo{photo}, Original: true}), means("covers the photo", "and no other", "original authorized")},
		{"its set", onScope(consent.Scope{Sets: []id.Set{set}}), means("covers the photo")},
		{"its treatment", onScope(consent.Scope{Treatments: []id.Treatment{treatment}}), means("covers the photo")},
		{"masked only", onScope(consent.Scope{AllPhotos: true, MaskedOnly: true}), means("covers the photo", "masked only")},
		{"another photo", onScope(consent.Scope{Photos: []id.Photo{id.New[id.Photo]()}}), nil},
		{"another set", onScope(consent.Scope{Sets: []id.Set{id.New[id.Set]()}}), nil},
	}},
	{"rendition", []fact{
		{"web", rendition("web"), means("small")},
		{"thumb", rendition("thumb"), means("small")},
		{"original", rendition("original"), means("is the original")},
		{"masked", both(rendition("masked"), marked(thePhoto, func(q *consent.Question, by id.Event) { q.Photo.Marking = by })), means("small", "masked")},
		{"masked-thumb", both(rendition(consent.MaskedThumb), marked(thePhoto, func(q *consent.Question, by id.Event) { q.Photo.ThumbMarking = by })), means("small", "masked")},
		{"masked, that nobody made", rendition("masked"), means("deleted")},
		{"masked-thumb, that nobody made", rendition(consent.MaskedThumb), means("deleted")},
		{"unknown", rendition("raw"), nil},
	}},
	{"comparison", []fact{
		{"none", nothing, nil},
		{"compare", comparison(consent.Compare, nothing), means("shows two")},
		{"compare, the other photo deleted", comparison(consent.Compare, happened(consent.Deleted, theOther)), means("shows two", "deleted")},
		{"masked-compare, both marked", comparison(consent.MaskedCompare, both(marked(thePhoto, hidden), marked(theOther, hiddenBeside))), means("shows two", "masked")},
		{"masked-compare, one never marked", comparison(consent.MaskedCompare, marked(theOther, hiddenBeside)), means("shows two")},
		{"masked-compare, the photo marked anew", comparison(consent.MaskedCompare, both(marked(thePhoto, hidden), marked(theOther, hiddenBeside), marked(thePhoto, nil))),
			means("shows two", "masked", "shows what was marked")},
		{"masked-compare, the other marked since", comparison(consent.MaskedCompare, both(marked(thePhoto, hidden), marked(theOther, nil))), means("shows two", "shows what was marked")},
		{"masked-compare, no marketing of the other", comparison(consent.MaskedCompare,
			both(marked(thePhoto, hidden), marked(theOther, hiddenBeside), happened(consent.Restricted, theOther, forbids(consent.ForMarketing)))),
			means("shows two", "masked", "no marketing asked")},
		{"masked-compare, nothing beside it", func(q *consent.Question) { q.Rendition, q.Photo.MaskedWith = consent.MaskedCompare, nil }, means("deleted")},
	}},
	{"campaign", []fact{
		{"fits", nothing, means("campaign fits")},
		{"none", func(q *consent.Question) { q.Campaign = nil }, nil},
		{"over", onCampaign(func(c *consent.Campaign) { c.Until = now }), nil},
		{"closed", onCampaign(func(c *consent.Campaign) { c.ClosedAt = now }), nil},
		{"another recipient", func(q *consent.Question) { q.Recipient = "Billboard Ltd" }, nil},
		{"recipient not in it", func(q *consent.Question) { q.Recipient = "Nobody" }, nil},
		{"another channel", func(q *consent.Question) { q.Channel = "print" }, nil},
		{"channel not in it", func(q *consent.Question) { q.Channel = "social" }, nil},
		{"another purpose", onCampaign(func(c *consent.Campaign) { c.Purpose = "win prizes" }), nil},
		{"paid by a third party, not stated", onCampaign(func(c *consent.Campaign) { c.ThirdPartyPayment = true }), nil},
		{"paid by a third party, stated", both(onCampaign(func(c *consent.Campaign) { c.ThirdPartyPayment = true }),
			onEachAuthorization(func(a *consent.Authorization) { a.Statements.Payment = true })), means("campaign fits")},
		{"sale, not stated", onCampaign(func(c *consent.Campaign) { c.Sale = true }), nil},
	}},
}

func as(r consent.Role) func(*consent.Question) {
	return func(q *consent.Question) { q.Who.Role = r }
}

func rendition(name string) func(*consent.Question) {
	return func(q *consent.Question) { q.Rendition = name }
}

var other = id.New[id.Photo]()

func theOther(*consent.Question) string { return string(other) }

// comparison asks for a picture of the photo beside another of its set, by whoever took both.
func comparison(name string, change func(*consent.Question)) func(*consent.Question) {
	return func(q *consent.Question) {
		with := q.Photo
		with.ID, q.Rendition = other, name
		q.Photo.With, q.Photo.MaskedWith = &with, &with
		change(q)
	}
}

// marked has regions of a photo marked, and hidden in what is asked for where hide says so.
func marked(subject func(*consent.Question) string, hide func(*consent.Question, id.Event)) func(*consent.Question) {
	return func(q *consent.Question) {
		happened(consent.Marked, subject)(q)
		if hide != nil {
			hide(q, id.Event(theLastEvent(q)))
		}
	}
}

func hidden(q *consent.Question, by id.Event)       { q.Photo.PairMarking = by }
func hiddenBeside(q *consent.Question, by id.Event) { q.Photo.MaskedWith.PairMarking = by }

func onScope(s consent.Scope) func(*consent.Question) {
	return onEachAuthorization(func(a *consent.Authorization) { a.Scope = s })
}

func onEachAuthorization(f func(*consent.Authorization)) func(*consent.Question) {
	return func(q *consent.Question) {
		for i := range q.Record.Authorizations {
			f(&q.Record.Authorizations[i])
		}
	}
}

// question is one that everything speaks for; its parts are its own.
func question() consent.Question {
	a := complete()
	a.SignedAt, a.CopyGivenAt = signed, signed
	return consent.Question{Now: now, Who: consent.Principal{Practice: practice, Account: account}, Rendition: "web",
		Photo:     consent.Photo{ID: photo, Patient: patient, Set: set, Treatment: treatment, Ready: true},
		Recipient: "Clinic website", Channel: "website", Campaign: running(),
		Record: &consent.Record{Practice: practice, Patient: patient, Authorizations: []consent.Authorization{a},
			Clinicals: []consent.Clinical{{ID: "clinical", Teaching: true, SignedAt: signed, Document: document}}}}
}

// oracle says whether a release is lawful, from the words alone.
func oracle(f map[string]bool) bool {
	if !f["own practice"] || !f["stored"] || f["deleted"] || f["shows what was marked"] {
		return false // H11: practices never see each other; what is deleted is gone; what somebody marked is hidden where it is to be
	}
	switch {
	case f["for care"]:
		switch {
		case f["treats patients"] && f["emergency"]:
			return true // H12; 164.522(a)(1)(iii): an emergency goes before a restriction
		case f["no care asked"]:
			return false // H24
		case f["treats patients"]:
			return f["treats this patient"] // H11, 164.514(d)(2)
		default:
			return f["is the chart"] // H6: no consent state hides the chart
		}
	case f["for teaching"]:
		return f["may teach"] && f["teaching agreed"] && !f["no teaching asked"]
	case f["for marketing"]:
		if !f["does marketing"] || f["no marketing asked"] || !f["valid"] || !f["covers the photo"] || !f["campaign fits"] {
			return false // H1 to H4, H24; and no emergency opens marketing (H12)
		}
		if f["shows two"] && f["and no other"] {
			return false // 164.508(c)(1)(i): it describes one of the two
		}
		switch { // H7, H23
		case f["masked only"]:
			return f["masked"]
		case f["is the original"]:
			return f["original authorized"]
		default:
			return f["small"]
		}
	}
	return false
}

// products are the combinations that are asked whole; what is not named has
// its first value, which speaks for the release.
var products = [][]string{
	{"practice", "role", "purpose", "photo", "relation", "restriction", "clinical consent", "authorization", "rendition"},
	{"role", "purpose", "restriction", "authorization", "scope", "rendition", "campaign"},
	{"practice", "role", "purpose", "relation", "scope", "campaign"},
	{"role", "purpose", "photo", "relation", "restriction", "scope", "comparison"},
}

func TestMatrix(t *testing.T) {
	cells, allowed, mismatches := 0, 0, 0
	codes := map[string]int{}
	for _, product := range products {
		choice := make([]int, len(dimensions))
		for done := false; !done; done = !next(choice, product) {
			d, want := cell(choice)
			cells++
			if d.Allowed {
				allowed++
			}
			for _, r := range d.Refusals {
				codes[r.Code]++
			}
			if d.Allowed != want || d.Allowed != (len(d.Refusals) == 0) || d.Allowed != (len(d.Basis) > 0) {
				if mismatches++; mismatches <= 10 {
					t.Errorf("%v: allowed %v, want %v: %v %v", names(choice), d.Allowed, want, d.Basis, d.Refusals)
				}
			}
		}
	}
	t.Logf("%d cells, %d allowed, %d mismatches", cells, allowed, mismatches)
	for _, r := range consent.Refusals() {
		// No question of the matrix has policies, and capture is no release.
		if codes[r.Code] == 0 && !slices.Contains([]string{"practice_policy", "practice_policy_error", "no_clinical_consent"}, r.Code) {
			t.Errorf("no cell is refused for %s", r.Code)
		}
	}
}

// cell asks the engine and the oracle.
func cell(choice []int) (consent.Decision, bool) {
	q, f := posed(choice)
	return consent.DecideRelease(q), oracle(f)
}

// posed is the question of a cell, and what it means.
func posed(choice []int) (consent.Question, map[string]bool) {
	q, f := question(), map[string]bool{}
	for _, i := range order {
		v := &dimensions[i].values[choice[i]]
		v.apply(&q)
		for m := range v.means {
			f[m] = true
		}
	}
	return q, f
}

// order in which facts are applied: scope before authorization.
var order = func() (out []int) {
	at := func(name string) int {
		for i, d := range dimensions {
			if d.name == name {
				return i
			}
		}
		panic(name)
	}
	out = []int{at("scope")}
	for i := range dimensions {
		if i != out[0] {
			out = append(out, i)
		}
	}
	return out
}()

func next(choice []int, product []string) bool {
	for i := len(choice) - 1; i >= 0; i-- {
		if !slices.Contains(product, dimensions[i].name) {
			continue
		}
		if choice[i]++; choice[i] < len(dimensions[i].values) {
			return true
		}
		choice[i] = 0
	}
	return false
}

func names(choice []int) (out []string) {
	for i, d := range dimensions {
		out = append(out, d.name+": "+d.values[choice[i]].name)
	}
	return out
}
