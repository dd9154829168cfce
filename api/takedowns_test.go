package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// published releases the photo for marketing once.
func (s *stack) published(p id.Photo) {
	s.Helper()
	s.fetch("GET", into[api.Token](s.request(p, s.token("marketing"), s.forMarketing()), 201)).ok(200)
}

func (s *stack) takedowns(state string) []api.Takedown {
	s.Helper()
	return into[api.TakedownList](s.ask("GET", "/v1/takedowns?state="+state, s.token("marketing"), nil), 200).Takedowns
}

// withdrawn is the takedown of a photo that was released once, before its
// authorization was revoked.
func (s *stack) withdrawn() api.Takedown {
	s.Helper()
	patient := s.consented()
	photo := s.ready(patient, small)
	a := s.authorize(s.newAuthorization(patient))
	s.published(photo.ID)
	s.revoke(a)
	for _, t := range s.takedowns("open") {
		if t.Photo == photo.ID {
			return t
		}
	}
	s.Fatal("no takedown opened")
	panic("unreachable")
}

// 164.508(b)(5): what was released under an authorization comes down when it is
// revoked, release by release, and somebody says how they know.
func TestARevocationOpensATakedownForEachRelease(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo, untouched := s.ready(patient, small), s.ready(patient, small)
	a := s.authorize(s.newAuthorization(patient))
	s.published(photo.ID)
	s.published(photo.ID)
	outstanding := into[api.Token](s.request(untouched.ID, s.token("marketing"), s.forMarketing()), 201)
	s.fetch("HEAD", outstanding).ok(200) // looked at, not released
	s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1)).ok(200)
	if list := s.takedowns("open"); len(list) != 0 {
		t.Fatalf("before anything ended: %+v", list)
	}
	s.revoke(a)
	list := s.takedowns("open")
	if len(list) != 2 || list[0].Release == list[1].Release {
		t.Fatalf("%+v", list)
	}
	released := map[id.Entry]bool{}
	for _, e := range s.trail() {
		if e.Action == audit.Release && e.Outcome == audit.Intent && e.Purpose == "marketing" {
			released[e.ID] = true
		}
	}
	for _, task := range list {
		if task.Photo != photo.ID || task.Recipient != studio || task.Channel != website || task.Authorization != a || task.Why.Code != "authorization_revoked" ||
			task.State != consent.TakedownOpen || task.Overdue || !task.DueAt.Equal(task.OpenedAt.Add(72*time.Hour)) || !released[task.Release] {
			t.Errorf("%+v", task)
		}
	}
	path := "/v1/takedowns/" + string(list[0].ID)
	for name, in := range map[string]api.NewConfirmation{
		"no evidence":                  {},
		"a hash that is none":          {Document: "x"},
		"down in the future":           {Text: "soon", TakenDownAt: s.clock.now().Add(time.Hour)},
		"down before it was released":  {Text: "long ago", TakenDownAt: s.clock.now().AddDate(-1, 0, 0)},
		"a text that nobody will read": {Text: strings.Repeat("x", 4001)},
	} {
		if got := s.ask("POST", path+"/confirmations", s.token("marketing"), in, odd); got.status != 422 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	done := into[api.Takedown](s.ask("POST", path+"/confirmations", s.token("marketing"), api.NewConfirmation{Text: "removed from the page"}), 201)
	if done.State != consent.TakedownConfirmed || len(done.Confirmations) != 1 || done.Confirmations[0].By != s.accounts["marketing"] {
		t.Errorf("%+v", done)
	}
	hash := digest([]byte("screenshot"))
	done = into[api.Takedown](s.ask("POST", path+"/confirmations", s.token("privacy"), api.NewConfirmation{Document: hash}), 201)
	if len(done.Confirmations) != 2 || done.Confirmations[0].Text == "" || done.Confirmations[1].Document != hash {
		t.Errorf("%+v", done.Confirmations)
	}
	if shown := into[api.Takedown](s.ask("GET", path, s.token("privacy"), nil), 200); len(shown.Confirmations) != 2 {
		t.Errorf("%+v", shown)
	}
	if open, all := s.takedowns("open"), s.takedowns("all"); len(open) != 1 || len(all) != 2 || all[0].ID != open[0].ID {
		t.Errorf("%d open, %d in all", len(open), len(all))
	}
	s.ask("GET", "/v1/takedowns/"+string(id.New[id.Takedown]()), s.token("privacy"), nil).problem(404, "not_found")
	s.ask("GET", "/v1/takedowns?state=closed", s.token("privacy"), nil, odd).problem(422, "field_invalid")
	s.ask("POST", "/v1/takedowns/"+string(id.New[id.Takedown]())+"/confirmations", s.token("privacy"), api.NewConfirmation{Text: "x"}).problem(404, "not_found")
	for action, want := range map[audit.Action]int{audit.TakedownOpen: 2, audit.TakedownConfirm: 2} {
		if n := s.logged(func(l vault.Logged) bool {
			return l.Action == action && l.Outcome == audit.Allowed && l.Patient == patient && l.Recipient == studio
		}); n != want {
			t.Errorf("%d entries of %s, %d wanted", n, action, want)
		}
	}
}

// What a date ends, no request does: the sweep opens its takedowns, and
// escalates what is overdue, once.
func TestADateOpensTakedownsAndTheyAreEscalated(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	in := s.newAuthorization(patient)
	soon := s.clock.now().Add(24 * time.Hour).UTC().Truncate(time.Millisecond)
	in.ExpiresAt = &soon
	a := s.authorize(in)
	s.published(photo.ID)
	sweep := func() { t.Helper(); s.must(s.service.SweepTakedowns(context.Background())) }
	sweep()
	if list := s.takedowns("open"); len(list) != 0 {
		t.Fatalf("before its day: %+v", list)
	}
	s.clock.advance(25 * time.Hour)
	sweep()
	sweep()
	list := s.takedowns("open")
	if len(list) != 1 || list[0].Why.Code != "authorization_expired" || !strings.HasPrefix(list[0].Cause, "event/") {
		t.Fatalf("%+v", list)
	}
	expired := list[0].ID
	if n := s.logged(func(l vault.Logged) bool {
		return l.Action == audit.ConsentRevoke && l.Subject == string(a) && l.Reason == "expired" && l.Actor == ""
	}); n != 1 {
		t.Errorf("%d entries of its expiry", n)
	}
	s.clock.advance(48 * time.Hour)
	later := s.withdrawn().ID
	s.clock.advance(25 * time.Hour)
	sweep()
	sweep()
	if list := s.takedowns("open"); len(list) != 2 || list[0].ID != expired || list[0].State != consent.TakedownOverdue || !list[0].Overdue || list[0].EscalatedAt == nil ||
		list[1].ID != later || list[1].Overdue {
		t.Errorf("%+v", list)
	}
	if n := s.logged(func(l vault.Logged) bool { return l.Action == audit.TakedownOverdue && l.Subject == string(expired) }); n != 1 {
		t.Errorf("it was escalated %d times", n)
	}
	if owed := into[api.ReviewList](s.ask("GET", "/v1/reviews", s.token("privacy"), nil), 200).Reviews; len(owed) != 0 {
		t.Errorf("a date that everybody knew asks for a review: %+v", owed)
	}
}

// H5: between the day the practice was told and the moment it was entered
// releases went on; the privacy officer owes them a look.
func TestALateRevocationAsksForAReview(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	a := s.authorize(s.newAuthorization(patient))
	s.published(photo.ID)
	s.clock.advance(24 * time.Hour)
	told := s.clock.now().UTC().Truncate(time.Millisecond)
	s.clock.advance(time.Hour)
	s.published(photo.ID)
	s.ask("POST", "/v1/authorizations/"+string(a)+"/revoke", s.token("front-desk"), api.Revocation{ReceivedAt: told}).ok(200)
	if n := len(s.takedowns("open")); n != 2 {
		t.Errorf("%d takedowns", n)
	}
	owed := into[api.ReviewList](s.ask("GET", "/v1/reviews", s.token("privacy"), nil), 200).Reviews
	if len(owed) != 1 || owed[0].Patient != patient || owed[0].Account != "" || owed[0].Event.Kind != consent.Questioned || owed[0].Event.Reason != "authorization_revoked" ||
		len(owed[0].Releases) != 1 || owed[0].Releases[0].At.Before(told) || owed[0].Releases[0].Recipient != studio {
		t.Fatalf("%+v", owed)
	}
	s.ask("POST", "/v1/reviews/"+string(owed[0].Event.ID), s.token("privacy"), api.NewReview{Finding: "one picture, taken down the same day"}).ok(200)
	if owed := into[api.ReviewList](s.ask("GET", "/v1/reviews", s.token("privacy"), nil), 200).Reviews; len(owed) != 0 {
		t.Errorf("still owed: %+v", owed)
	}
}
