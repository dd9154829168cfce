package consent_test

import (
	"testing"

	"photovault/consent"
	"photovault/vault/id"
)

// A comparison shows two photos: each thing that speaks against either of them
// speaks against it, and one authorization must cover both.
func TestAComparisonNeedsWhatBothPhotosNeed(t *testing.T) {
	other := id.New[id.Photo]()
	ask := func(change func(*consent.Question)) consent.Question {
		q := marketingQuestion(recordWith(complete()))
		q.Rendition = consent.Compare
		q.Photo.With = &consent.Photo{ID: other, Patient: patient, Ready: true}
		change(&q)
		return q
	}
	event := func(kind consent.EventKind, of ...consent.Purpose) func(*consent.Question) {
		return func(q *consent.Question) {
			q.Record.Events = append(q.Record.Events, consent.Event{ID: "e", Kind: kind, Subject: string(other), Purposes: of, Reason: "asked"})
		}
	}
	for name, c := range map[string]struct {
		change func(*consent.Question)
		code   string
	}{
		"both are covered":              {func(*consent.Question) {}, ""},
		"nothing beside it":             {func(q *consent.Question) { q.Photo.With = nil }, "not_found"},
		"the other is another's":        {func(q *consent.Question) { q.Photo.With.Patient = id.New[id.Patient]() }, "not_found"},
		"the other is deleted":          {event(consent.Deleted), "not_found"},
		"the other is not ready":        {func(q *consent.Question) { q.Photo.With.Ready = false }, "photo_not_ready"},
		"the other is restricted":       {event(consent.Restricted, consent.ForMarketing), "photo_restricted"},
		"restricted for something else": {event(consent.Restricted, consent.ForTeaching), ""},
		"one authorization for each": {func(q *consent.Question) {
			a, b := complete(), complete()
			a.Scope, b.Scope = consent.Scope{Photos: []id.Photo{photo}}, consent.Scope{Photos: []id.Photo{other}}
			q.Record = recordWith(a, b)
		}, "photo_not_in_scope"},
		"one for both": {func(q *consent.Question) {
			a := complete()
			a.Scope = consent.Scope{Photos: []id.Photo{photo, other}}
			q.Record = recordWith(a)
		}, ""},
		"masked only": {func(q *consent.Question) { q.Record.Authorizations[0].Scope.MaskedOnly = true }, "rendition_not_authorized"},
		"for care, the other by a stranger": {func(q *consent.Question) {
			q.Purpose, q.Who = consent.ForCare, who(consent.Provider)
			q.Photo.DeclaredBy = q.Who.Account
		}, "no_relation"},
		"for care, both made": {func(q *consent.Question) {
			q.Purpose, q.Who = consent.ForCare, who(consent.Provider)
			q.Photo.DeclaredBy, q.Photo.With.DeclaredBy = q.Who.Account, q.Who.Account
		}, ""},
	} {
		d := consent.DecideRelease(ask(c.change))
		got := ""
		if !d.Allowed {
			got = d.Refusals[0].Code
		}
		if got != c.code {
			t.Errorf("%s: %q, want %q", name, got, c.code)
		}
	}
}

// Regions that were marked after a masked rendition was made are not hidden in it.
func TestAStaleMaskIsNotReleased(t *testing.T) {
	q := marketingQuestion(recordWith(complete()))
	q.Rendition = consent.Masked
	region := []consent.Region{{Shape: "ellipse", X: 1, Y: 2, Width: 3, Height: 4}}
	first := consent.Event{ID: "first", Kind: consent.Marked, Subject: string(photo), Regions: region}
	next := consent.Event{ID: "next", Kind: consent.Marked, Subject: string(photo), Regions: region}
	q.Record.Events, q.Photo.Marking = []consent.Event{first}, "first"
	if d := consent.DecideRelease(q); !d.Allowed {
		t.Errorf("made by the newest marking: %+v", d.Refusals)
	}
	q.Record.Events = append(q.Record.Events, next)
	if d := consent.DecideRelease(q); d.Allowed || d.Refusals[0].Code != "photo_not_ready" {
		t.Errorf("made by an older one: %+v", d)
	}
	// Its thumb is asked by its own: it may be older than what it was made of.
	q.Rendition, q.Photo.Marking, q.Photo.ThumbMarking = consent.MaskedThumb, "next", "first"
	if d := consent.DecideRelease(q); d.Allowed || d.Refusals[0].Code != "photo_not_ready" {
		t.Errorf("a thumb made by an older one: %+v", d)
	}
	q.Photo.ThumbMarking = "next"
	q.Record.Authorizations[0].Scope.MaskedOnly = true
	if d := consent.DecideRelease(q); !d.Allowed {
		t.Errorf("a thumb made by the newest, masked only: %+v", d.Refusals)
	}
}

func TestWhatIsNotSaidIsRecognisable(t *testing.T) {
	r := recordWith()
	no, yes := false, true
	if !r.Recognisable(photo) {
		t.Error("a photo of which nobody said anything")
	}
	r.Events = append(r.Events, consent.Event{Kind: consent.Recognised, Subject: string(photo), Recognisable: &no})
	if r.Recognisable(photo) || !r.Recognisable(id.New[id.Photo]()) {
		t.Error("what was said is not kept for this photo alone")
	}
	r.Events = append(r.Events, consent.Event{Kind: consent.Recognised, Subject: string(photo), Recognisable: &yes})
	if !r.Recognisable(photo) {
		t.Error("the newest does not count")
	}
	for name, e := range map[string]consent.Event{
		"no regions":       {Kind: consent.Marked},
		"outside":          {Kind: consent.Marked, Regions: []consent.Region{{Shape: "ellipse", X: 9999, Width: 2, Height: 1}}},
		"no shape":         {Kind: consent.Marked, Regions: []consent.Region{{Width: 2, Height: 1}}},
		"one crop":         {Kind: consent.Compared, With: "b", Regions: []consent.Region{{Shape: "rectangle", Width: 2, Height: 1}}},
		"nothing was said": {Kind: consent.Recognised},
	} {
		if e.Subject = string(photo); r.Accepts(&e) != consent.EventIncomplete {
			t.Errorf("%s: %q", name, r.Accepts(&e))
		}
	}
}
