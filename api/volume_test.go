package api_test

import (
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// An account that walks through the album is told of and stopped; what it was
// given before, what it asks again, and an emergency go on.
func TestAnAccountThatWalksThroughTheAlbumIsStopped(t *testing.T) {
	l := newListener(t, 204)
	var log record
	s := newStack(t, func(o *options) {
		o.config = func(c *vault.Config) {
			c.Receivers, c.Logger = map[vault.Audience]vault.Receiver{vault.ForAlerts: l}, slog.New(slog.NewTextHandler(&log, nil))
			c.Caps = map[consent.Role]consent.Cap{consent.Provider: {Hour: 2, Day: 3}, consent.EMR: {Hour: 9, Day: 9}}
		}
	})
	patient := s.consented()
	var photos []*api.Photo
	for range 4 {
		photos = append(photos, s.ready(patient, small))
	}
	ask := func(photo id.Photo) answer {
		return s.ask("POST", "/v1/photos/"+string(photo)+"/tokens", s.token("provider"), api.NewToken{Purpose: consent.ForCare, Uses: 3})
	}
	first := into[api.Token](ask(photos[0].ID), 201)
	ask(photos[1].ID).ok(201)
	refused := ask(photos[2].ID)
	refused.problem(429, "volume_exceeded")
	if wait, err := strconv.Atoi(refused.header.Get("Retry-After")); err != nil || wait < 3300 || wait > 3900 {
		t.Errorf("Retry-After: %s", refused.header.Get("Retry-After"))
	}
	ask(id.New[id.Photo]()).problem(404, "not_found")
	s.fetch("GET", first).ok(200)
	ask(photos[0].ID).ok(201)
	s.ask("POST", "/v1/photos/"+string(photos[2].ID)+"/tokens", s.token("emr"), api.NewToken{Purpose: consent.ForCare}).ok(201)

	s.ask("POST", patientPath(patient, "/emergencies"), s.token("provider"), api.NewEmergency{Reason: "swelling after the operation"}).ok(201)
	s.fetch("GET", into[api.Token](ask(photos[2].ID), 201)).ok(200)
	s.clock.advance(66 * time.Minute) // the emergency is over, and so is the hour
	ask(photos[2].ID).ok(201)
	last := ask(photos[3].ID)
	last.problem(429, "volume_exceeded")
	if wait, err := strconv.Atoi(last.header.Get("Retry-After")); err != nil || wait < 22*3600 || wait > 24*3600 {
		t.Errorf("Retry-After: %s", last.header.Get("Retry-After"))
	}
	s.clock.advance(24 * time.Hour)
	ask(photos[3].ID).ok(201)

	account := string(s.accounts["provider"])
	reasons := map[string]int{}
	s.logged(func(e vault.Logged) bool {
		if e.Action == audit.VolumeAlert && e.Outcome == audit.Allowed && e.Subject == account {
			reasons[e.Reason]++
		}
		if e.Action == audit.TokenIssue && e.Outcome == audit.Denied {
			reasons[e.Reason]++
		}
		return false
	})
	for reason, n := range map[string]int{"hourly_cap_reached": 1, "daily_cap_reached": 1, "volume_exceeded": 2} {
		if reasons[reason] != n {
			t.Errorf("%s is logged %d times, want %d", reason, reasons[reason], n)
		}
	}
	s.eventually("the alerts", func() bool { return len(l.received("volume.unusual")) == 2 })
	for _, m := range l.received("volume.unusual") {
		if m.Data["account"] != account || m.Data["patient"] != nil || m.Data["photo"] != nil || !strings.HasSuffix(m.Data["reason"].(string), "_cap_reached") {
			t.Errorf("%s", m.body)
		}
	}
	if text := log.text(); strings.Count(text, "ALERT: an account asks") != 2 || !strings.Contains(text, account) || strings.Contains(text, string(patient)) {
		t.Errorf("the log says %s", text)
	}
}

// Beyond its cap, marketing has nothing opened for it either: a copy is made for
// a photo that was counted.
func TestBeyondTheCapNoCopyIsMade(t *testing.T) {
	s := newStack(t, func(o *options) {
		o.config = func(c *vault.Config) { c.Caps = map[consent.Role]consent.Cap{consent.Marketing: {Hour: 1, Day: 9}} }
	})
	patient := s.consented()
	first, second := s.ready(patient, small), s.ready(patient, small)
	s.authorize(s.newAuthorization(patient))
	s.request(first.ID, s.token("marketing"), s.forMarketing()).ok(201)
	before := s.costs()
	s.request(second.ID, s.token("marketing"), s.forMarketing()).problem(429, "volume_exceeded")
	if after := s.costs(); after[2] != before[2] {
		t.Errorf("%d objects were opened", after[2]-before[2])
	}
	s.logged(func(e vault.Logged) bool {
		if e.Action == audit.PhotoDerive && e.Photo == second.ID {
			t.Errorf("a copy was begun: %+v", e.Entry)
		}
		return false
	})
}

// What a role may ask a token for, and no more.
func TestTokensAreAskedForWithinTheRolesTerms(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	s.authorize(s.newAuthorization(patient))
	for _, role := range []consent.Role{consent.Provider, consent.Marketing, consent.EMR} {
		for _, form := range []consent.Form{consent.InPath, consent.InHeader} {
			most := role.Terms(form)
			in := api.NewToken{Purpose: consent.ForCare}
			if role == consent.Marketing {
				in = s.forMarketing()
			}
			in.Form, in.Uses, in.TTLSeconds = form, most.Uses, int(most.Life.Seconds())
			ask := func(in api.NewToken) answer {
				return s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token(string(role)), in, odd)
			}
			if got := into[api.Token](ask(in), 201); got.Uses != most.Uses || got.ExpiresAt.Sub(s.clock.now()) > most.Life {
				t.Errorf("%s %s: %+v", role, form, got)
			}
			more := in
			more.Uses++
			ask(more).problem(422, "field_invalid")
			more = in
			more.TTLSeconds++
			ask(more).problem(422, "field_invalid")
		}
	}
	s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("front-desk"), api.NewToken{Purpose: consent.ForCare, Uses: 20}).problem(403, "role_not_allowed")
}
