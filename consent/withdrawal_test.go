package consent_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// intent is the audit entry of a release for marketing under a, days ago.
func intent(a *consent.Authorization, c *consent.Campaign, at time.Time) *audit.Entry {
	return &audit.Entry{ID: id.New[id.Entry](), Action: audit.Release, Outcome: audit.Intent, At: at, Patient: patient, Photo: photo, Rendition: "web",
		Purpose: string(consent.ForMarketing), Recipient: "Clinic website", Channel: "website", Subject: string(id.New[id.Token]()), Use: 1, Role: "marketing",
		Records: []string{"rule/164.508(a)(3)", "authorization/" + string(a.ID), c.Basis()}}
}

func ledger(entries ...*audit.Entry) []consent.Released {
	var l consent.Ledger
	for _, e := range entries {
		l.Add(e)
	}
	return l.Released()
}

// An intent without an outcome counts as released, and so does a delivery that
// was broken off; what was never opened, refused or only looked at does not.
func TestTheLedgerHoldsWhatLeft(t *testing.T) {
	a, c := complete(), running()
	with := func(e *audit.Entry, o audit.Outcome, use int) *audit.Entry {
		out := *e
		out.ID, out.Outcome, out.Use = id.New[id.Entry](), o, use
		return &out
	}
	for name, tc := range map[string]struct {
		then []audit.Outcome
		want []audit.Outcome
	}{
		"nothing more":                {nil, []audit.Outcome{audit.Intent}},
		"delivered":                   {[]audit.Outcome{audit.Complete}, []audit.Outcome{audit.Complete}},
		"broken off":                  {[]audit.Outcome{audit.Incomplete}, []audit.Outcome{audit.Incomplete}},
		"failed before it was opened": {[]audit.Outcome{audit.Failed}, nil},
	} {
		e := intent(&a, c, now)
		list := []*audit.Entry{with(e, audit.Denied, 0), with(e, audit.Allowed, 0), with(e, audit.Failed, 0), with(e, audit.Complete, 9), e}
		for _, o := range tc.then {
			list = append(list, with(e, o, 1))
		}
		var got []audit.Outcome
		for _, r := range ledger(list...) {
			got = append(got, r.Outcome)
			if r.Entry != e.ID || r.Authorization != a.ID || r.Campaign != c.ID || r.Recipient != "Clinic website" {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func event(kind consent.EventKind, subject string, received time.Duration, change ...func(*consent.Event)) consent.Event {
	e := consent.Event{ID: id.New[id.Event](), Kind: kind, Subject: subject, ReceivedAt: now.Add(-received), EnteredAt: now, Reason: "asked"}
	for _, f := range change {
		f(&e)
	}
	return e
}

func forbidding(p consent.Purpose) func(*consent.Event) {
	return func(e *consent.Event) { e.Purposes = []consent.Purpose{p} }
}

// What a release stood on ends in many ways; it comes down in each, and only then.
func TestWhatWasReleasedComesDownWhenItsBasisEnds(t *testing.T) {
	c := running()
	subject := &consent.Photo{ID: photo, Patient: patient, Ready: true}
	for name, tc := range map[string]struct {
		change func(r *consent.Record, a *consent.Authorization)
		code   string
	}{
		"nothing happened": {func(*consent.Record, *consent.Authorization) {}, ""},
		"revoked": {func(r *consent.Record, a *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Revoked, string(a.ID), 0))
		}, "authorization_revoked"},
		"revoked, though another would allow it": {func(r *consent.Record, a *consent.Authorization) {
			r.Authorizations = append(r.Authorizations, complete())
			r.Events = append(r.Events, event(consent.Revoked, string(a.ID), 0))
		}, "authorization_revoked"},
		"another authorization revoked": {func(r *consent.Record, _ *consent.Authorization) {
			b := complete()
			r.Authorizations = append(r.Authorizations, b)
			r.Events = append(r.Events, event(consent.Revoked, string(b.ID), 0))
		}, ""},
		"found false": {func(r *consent.Record, a *consent.Authorization) {
			r.Events = append(r.Events, event(consent.FoundFalse, string(a.ID), 0))
		}, "authorization_false"},
		"its event happened": {func(r *consent.Record, a *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Expired, string(a.ID), 0))
		}, "authorization_expired"},
		"its day came": {func(_ *consent.Record, a *consent.Authorization) { a.ExpiresAt = now }, "authorization_expired"},
		"its day came, and it was renewed": {func(r *consent.Record, a *consent.Authorization) {
			a.ExpiresAt = now
			r.Authorizations = append(r.Authorizations, complete())
		}, ""},
		"its day came, and the renewal names another recipient": {func(r *consent.Record, a *consent.Authorization) {
			a.ExpiresAt = now
			b := complete()
			b.Recipients = []string{"Billboard Ltd"}
			r.Authorizations = append(r.Authorizations, b)
		}, "authorization_expired"},
		"superseded by one that covers it": {func(r *consent.Record, a *consent.Authorization) {
			b := complete()
			b.Supersedes = a.ID
			r.Authorizations = append(r.Authorizations, b)
		}, ""},
		"superseded without covering": {func(r *consent.Record, a *consent.Authorization) {
			b := complete()
			b.Supersedes, b.Scope = a.ID, consent.Scope{Photos: []id.Photo{id.New[id.Photo]()}}
			r.Authorizations = append(r.Authorizations, b)
		}, "authorization_superseded"},
		"a draft supersedes nothing": {func(r *consent.Record, a *consent.Authorization) {
			b := complete()
			b.Supersedes, b.CopyGivenAt, b.Recipients = a.ID, time.Time{}, []string{"Billboard Ltd"}
			r.Authorizations = append(r.Authorizations, b)
		}, ""},
		"its document was a consent for care too": {func(r *consent.Record, a *consent.Authorization) {
			a.Document = document
			r.Clinicals = append(r.Clinicals, consent.Clinical{ID: id.New[id.Consent](), Document: document, SignedAt: now})
		}, "authorization_compound"},
		"restricted": {func(r *consent.Record, _ *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Restricted, string(photo), 0, forbidding(consent.ForMarketing)))
		}, "photo_restricted"},
		"all photos restricted": {func(r *consent.Record, _ *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Restricted, string(patient), 0, forbidding(consent.ForMarketing)))
		}, "photo_restricted"},
		"restricted for teaching": {func(r *consent.Record, _ *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Restricted, string(photo), 0, forbidding(consent.ForTeaching)))
		}, ""},
		"deleted": {func(r *consent.Record, _ *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Deleted, string(photo), 0))
		}, "photo_deleted"},
		"not in the record": {func(r *consent.Record, _ *consent.Authorization) { r.Authorizations = nil }, "authorization_unknown"},
	} {
		r := recordWith(complete())
		rel := ledger(intent(&r.Authorizations[0], c, now.Add(-time.Hour)))[0]
		tc.change(r, &r.Authorizations[0])
		got := r.Withdrawn(&rel, subject, c, now)
		switch {
		case got == nil && tc.code != "", got != nil && got.Code != tc.code:
			t.Errorf("%s: %+v, want %q", name, got, tc.code)
		case got != nil && (got.Sentence == "" || got.Cause == ""):
			t.Errorf("%s: %+v does not say why", name, got)
		}
	}
}

// 164.508(b)(2): what is known now decides whether a release was made under a
// valid authorization; reliance on a revocation that had not arrived stands
// (164.508(b)(5)(i)).
func TestFlawsOfAReleaseThatWasMade(t *testing.T) {
	released := 24 * time.Hour // ago
	for name, tc := range map[string]struct {
		change func(r *consent.Record, a *consent.Authorization)
		codes  []string
	}{
		"nothing": {func(*consent.Record, *consent.Authorization) {}, nil},
		"revoked after it": {func(r *consent.Record, a *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Revoked, string(a.ID), time.Hour))
		}, nil},
		"revoked before it, entered late": {func(r *consent.Record, a *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Revoked, string(a.ID), 48*time.Hour))
		}, []string{"authorization_revoked"}},
		"expired after it": {func(r *consent.Record, a *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Expired, string(a.ID), time.Hour))
		}, nil},
		"expired earlier than thought": {func(r *consent.Record, a *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Expired, string(a.ID), 48*time.Hour))
		}, []string{"authorization_expired"}},
		"found false": {func(r *consent.Record, a *consent.Authorization) {
			r.Events = append(r.Events, event(consent.FoundFalse, string(a.ID), 0))
		}, []string{"authorization_false"}},
		"compound and conditioned": {func(r *consent.Record, a *consent.Authorization) {
			a.Document, a.Conditioned = document, true
			r.Clinicals = append(r.Clinicals, consent.Clinical{ID: id.New[id.Consent](), Document: document, SignedAt: now})
		}, []string{"authorization_compound", "authorization_conditioned"}},
		"restricted before it, entered late": {func(r *consent.Record, _ *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Restricted, string(photo), 48*time.Hour, forbidding(consent.ForMarketing)))
		}, []string{"photo_restricted"}},
		"restricted after it": {func(r *consent.Record, _ *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Restricted, string(photo), time.Hour, forbidding(consent.ForMarketing)))
		}, nil},
		"another's restriction": {func(r *consent.Record, _ *consent.Authorization) {
			r.Events = append(r.Events, event(consent.Restricted, string(id.New[id.Photo]()), 48*time.Hour, forbidding(consent.ForMarketing)))
		}, nil},
		"not in the record": {func(r *consent.Record, _ *consent.Authorization) { r.Authorizations = nil }, []string{"authorization_unknown"}},
	} {
		r := recordWith(complete())
		rel := ledger(intent(&r.Authorizations[0], running(), now.Add(-released)))[0]
		tc.change(r, &r.Authorizations[0])
		var codes []string
		for _, f := range r.Flaws(&rel) {
			codes = append(codes, f.Code)
		}
		slices.Sort(codes)
		if d := cmp.Diff(tc.codes, codes); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestLapsedAreThoseWhoseDayCameAndNobodySaidSo(t *testing.T) {
	due, later, revoked, said, draft := complete(), complete(), complete(), complete(), complete()
	for _, a := range []*consent.Authorization{&due, &revoked, &said, &draft} {
		a.ExpiresAt = now
	}
	draft.CopyGivenAt = time.Time{}
	r := recordWith(due, later, revoked, said, draft)
	r.Events = []consent.Event{event(consent.Revoked, string(revoked.ID), 0), event(consent.Expired, string(said.ID), 0)}
	got := r.Lapsed(now)
	if len(got) != 1 || got[0].ID != due.ID {
		t.Errorf("%+v", got)
	}
	if got := r.Lapsed(now.Add(-time.Second)); len(got) != 0 {
		t.Errorf("before its day: %+v", got)
	}
}

func TestAConfirmationNeedsEvidence(t *testing.T) {
	task := &consent.Takedown{ReleasedAt: now.Add(-time.Hour)}
	good := consent.Confirmation{Text: "taken off the page, seen by me", TakenDownAt: now}
	for name, tc := range map[string]struct {
		change func(*consent.Confirmation)
		field  string
	}{
		"a text":                      {func(*consent.Confirmation) {}, ""},
		"a document":                  {func(c *consent.Confirmation) { c.Text, c.Document = "", document }, ""},
		"nothing":                     {func(c *consent.Confirmation) { c.Text = " " }, "text"},
		"a hash that is none":         {func(c *consent.Confirmation) { c.Document = "abc" }, "document_sha256"},
		"too long":                    {func(c *consent.Confirmation) { c.Text = string(make([]byte, 4001)) }, "text"},
		"down tomorrow":               {func(c *consent.Confirmation) { c.TakenDownAt = now.Add(time.Hour) }, "taken_down_at"},
		"down before it was released": {func(c *consent.Confirmation) { c.TakenDownAt = now.Add(-2 * time.Hour) }, "taken_down_at"},
	} {
		c := good
		tc.change(&c)
		d := c.Defects(task, now)
		if len(d) > 1 || (len(d) == 1) != (tc.field != "") || len(d) == 1 && d[0].Field != tc.field {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// What a comparison showed beside the photo must stand, too, whatever it has
// been made of since.
func TestAComparisonComesDownWithWhatStoodBesideIt(t *testing.T) {
	other, third, c := id.New[id.Photo](), id.New[id.Photo](), running()
	with := func(p id.Photo) *consent.Photo { return &consent.Photo{ID: p, Patient: patient, Ready: true} }
	for name, tc := range map[string]struct {
		rendition string
		now       consent.Photo
		beside    id.Photo // in what was released
		kind      consent.EventKind
		code      string
	}{
		"compare, restricted":                {consent.Compare, consent.Photo{With: with(other)}, other, consent.Restricted, "photo_restricted"},
		"compare, deleted":                   {consent.Compare, consent.Photo{}, other, consent.Deleted, "photo_deleted"},
		"compare, made anew with a third":    {consent.Compare, consent.Photo{With: with(third)}, other, consent.Restricted, "photo_restricted"},
		"compare, with a third at that time": {consent.Compare, consent.Photo{With: with(other)}, third, consent.Restricted, ""},
		"masked-compare, restricted":         {consent.MaskedCompare, consent.Photo{MaskedWith: with(other)}, other, consent.Restricted, "photo_restricted"},
		"masked-compare, deleted":            {consent.MaskedCompare, consent.Photo{}, other, consent.Deleted, "photo_deleted"},
		"the photo alone":                    {consent.Web, consent.Photo{With: with(other), MaskedWith: with(other)}, "", consent.Restricted, ""},
	} {
		a := complete()
		r := recordWith(a)
		e := consent.Event{ID: "e", Kind: tc.kind, Subject: string(other), Purposes: []consent.Purpose{consent.ForMarketing}}
		r.Events = append(r.Events, e)
		left := intent(&a, c, now.Add(-time.Hour))
		left.Rendition = tc.rendition
		if tc.beside != "" {
			left.Records = append(left.Records, "beside/"+string(tc.beside))
		}
		released := ledger(left)[0]
		tc.now.ID, tc.now.Patient, tc.now.Ready = photo, patient, true
		got := ""
		if against := r.Withdrawn(&released, &tc.now, c, now); against != nil {
			if got = against.Code; against.Cause != "event/e" {
				t.Errorf("%s: because of %s", name, against.Cause)
			}
		}
		if got != tc.code {
			t.Errorf("%s: %q, want %q", name, got, tc.code)
		}
	}
}

// A release names both photos that a comparison shows; and one that the practice
// had been told not to use, whichever of the two, makes it a flaw.
func TestAReleaseNamesWhatStoodBesideThePhoto(t *testing.T) {
	a, other := complete(), id.New[id.Photo]()
	r := recordWith(a)
	q := marketingQuestion(r)
	q.Rendition, q.Photo.With = consent.Compare, &consent.Photo{ID: other, Patient: patient, Ready: true}
	d := consent.DecideRelease(q)
	if !d.Allowed || !slices.Contains(d.Basis, "beside/"+string(other)) {
		t.Fatalf("%+v", d)
	}
	left := intent(&a, running(), now.Add(-time.Hour))
	left.Rendition, left.Records = consent.Compare, append(left.Records, d.Basis...)
	r.Events = append(r.Events, consent.Event{ID: "e", Kind: consent.Restricted, Subject: string(other), Purposes: []consent.Purpose{consent.ForMarketing},
		ReceivedAt: now.Add(-2 * time.Hour), EnteredAt: now})
	released := ledger(left)[0]
	if got := r.Flaws(&released); len(got) != 1 || got[0].Code != "photo_restricted" {
		t.Errorf("%+v", got)
	}
}
