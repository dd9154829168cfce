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

// What is masked in a comparison is what was marked when it was made: it is
// released while nothing was marked since in either photo, and under masked
// only where both were.
func TestAMaskedComparisonHidesWhatIsMarkedInBothPhotos(t *testing.T) {
	const other id.Photo = "other"
	for name, c := range map[string]struct {
		marked             []id.Photo // in this order: events 1, 2, 3
		madeBy, besideBy   id.Event
		plain, maskedOnly  string // the refusal by an authorization of all renditions, and of masked ones
		with               bool
		restricted, within id.Photo
	}{
		"both marked":                     {marked: []id.Photo{photo, other}, madeBy: "1", besideBy: "2", with: true},
		"marked thrice, made by the last": {marked: []id.Photo{photo, other, photo}, madeBy: "3", besideBy: "2", with: true},
		"this marked anew":                {marked: []id.Photo{photo, other, photo}, madeBy: "1", besideBy: "2", with: true, plain: "photo_not_ready", maskedOnly: "photo_not_ready"},
		"the other marked anew":           {marked: []id.Photo{photo, other, other}, madeBy: "1", besideBy: "2", with: true, plain: "photo_not_ready", maskedOnly: "photo_not_ready"},
		"the other never marked":          {marked: []id.Photo{photo}, madeBy: "1", with: true, maskedOnly: "rendition_not_authorized"},
		"this never marked":               {marked: []id.Photo{other}, besideBy: "1", with: true, maskedOnly: "rendition_not_authorized"},
		"neither ever marked":             {with: true, maskedOnly: "rendition_not_authorized"},
		"the other marked since":          {marked: []id.Photo{photo, other}, madeBy: "1", with: true, plain: "photo_not_ready", maskedOnly: "photo_not_ready"},
		"a marking of nobody's":           {marked: []id.Photo{photo}, madeBy: "1", besideBy: "9", with: true, plain: "photo_not_ready", maskedOnly: "photo_not_ready"},
		"markings of each other":          {marked: []id.Photo{photo, other}, madeBy: "2", besideBy: "1", with: true, plain: "photo_not_ready", maskedOnly: "photo_not_ready"},
		"nothing beside it":               {marked: []id.Photo{photo, other}, madeBy: "1", besideBy: "2", plain: "not_found", maskedOnly: "not_found"},
		"the other restricted":            {marked: []id.Photo{photo, other}, madeBy: "1", besideBy: "2", with: true, restricted: other, plain: "photo_restricted", maskedOnly: "photo_restricted"},
		"this alone in scope":             {marked: []id.Photo{photo, other}, madeBy: "1", besideBy: "2", with: true, within: photo, plain: "photo_not_in_scope", maskedOnly: "photo_not_in_scope"},
	} {
		for maskedOnly, want := range map[bool]string{false: c.plain, true: c.maskedOnly} {
			a := complete()
			if a.Scope.MaskedOnly = maskedOnly; c.within != "" {
				a.Scope.AllPhotos, a.Scope.Photos = false, []id.Photo{c.within}
			}
			q := marketingQuestion(recordWith(a))
			q.Rendition, q.Photo.PairMarking = consent.MaskedCompare, c.madeBy
			q.Photo.With = &consent.Photo{ID: other, Patient: patient, Ready: true} // of a compare, which shows all
			if c.with {
				q.Photo.MaskedWith = &consent.Photo{ID: other, Patient: patient, Ready: true, PairMarking: c.besideBy}
			}
			for i, p := range c.marked {
				q.Record.Events = append(q.Record.Events, consent.Event{ID: id.Event('1' + rune(i)), Kind: consent.Marked, Subject: string(p),
					Regions: []consent.Region{{Shape: "ellipse", Width: 1, Height: 1}}})
			}
			if c.restricted != "" {
				q.Record.Events = append(q.Record.Events, consent.Event{ID: "r", Kind: consent.Restricted, Subject: string(c.restricted), Purposes: []consent.Purpose{consent.ForMarketing}})
			}
			got := ""
			if d := consent.DecideRelease(q); !d.Allowed {
				got = d.Refusals[0].Code
			}
			if got != want {
				t.Errorf("%s, masked only %v: %q, want %q", name, maskedOnly, got, want)
			}
		}
	}
}

// A masked comparison is made of what hides: of a photo that was marked never
// the form that shows all, whoever asks for it.
func TestAMaskedComparisonIsMadeOfMaskedPhotos(t *testing.T) {
	other := id.New[id.Photo]()
	ask := func(forms [2]string, marked ...id.Photo) consent.Derivation {
		d := derivation()
		d.Rendition, d.Sources = consent.MaskedCompare, nil
		for i, p := range []id.Photo{other, photo} {
			of := d.Photo
			of.ID = p
			for _, m := range marked {
				if m == p {
					of.Marking = id.Event("of " + m)
					d.Record.Events = append(d.Record.Events, consent.Event{ID: of.Marking, Kind: consent.Marked, Subject: string(m)})
				}
			}
			d.Sources = append(d.Sources, consent.Source{Photo: of, Rendition: forms[i]})
		}
		return d
	}
	for name, c := range map[string]struct {
		of   consent.Derivation
		code string
	}{
		"both masked":                        {ask([2]string{consent.Masked, consent.Masked}, photo, other), ""},
		"one masked, one never marked":       {ask([2]string{consent.Web, consent.Masked}, photo), ""},
		"marked and shown whole":             {ask([2]string{consent.Web, consent.Masked}, photo, other), "photo_not_ready"},
		"both marked and shown whole":        {ask([2]string{consent.Web, consent.Web}, photo, other), "photo_not_ready"},
		"neither marked":                     {ask([2]string{consent.Web, consent.Web}), "photo_not_ready"},
		"one marked since it was masked":     {stale(ask([2]string{consent.Masked, consent.Masked}, photo, other), other), "photo_not_ready"},
		"one marked first while it was made": {stale(ask([2]string{consent.Web, consent.Masked}, photo), other), "photo_not_ready"},
	} {
		got := ""
		a, d := consent.DecideDerive(c.of)
		if !d.Allowed {
			got = d.Refusals[0].Code
		}
		if got != c.code || (a == nil) != (c.code != "") {
			t.Errorf("%s: %q, want %q", name, got, c.code)
		}
	}
}

// stale has a photo marked once more.
func stale(d consent.Derivation, p id.Photo) consent.Derivation {
	d.Record.Events = append(d.Record.Events, consent.Event{ID: "since", Kind: consent.Marked, Subject: string(p)})
	return d
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
