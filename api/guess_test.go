package api_test

import (
	"slices"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
)

// counts are the entries of counted failures, "source count".
func (s *stack) counts() map[string][]int {
	s.Helper()
	out := map[string][]int{}
	for _, e := range s.trail() {
		if e.Action == audit.UnauthenticatedSum {
			out[e.Source] = append(out[e.Source], e.Count)
		}
	}
	return out
}

// HIPAA H22: guessing is slowed without locking a clinic out, and counted
// without letting a stranger fill the log.
func TestGuessingIsSlowedAndCounted(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	provider := s.token("provider")
	_, unseen := s.account("front-desk") // valid, and never used before
	clinic, elsewhere := source("127.0.0.2"), source("127.0.0.3")
	path := "/v1/photos/" + string(photo.ID)
	s.ask("GET", path, provider, nil, clinic).ok(200)
	s.clock.beginMinute()

	guess := func() string { return string(consent.NewBearer(consent.CredentialPrefix)) }
	for i := range 30 {
		switch i % 3 {
		case 0:
			s.ask("GET", path, guess(), nil, clinic).problem(401, "unauthenticated")
		case 1:
			s.ask("GET", "/v1/content/"+string(consent.NewBearer(consent.TokenPrefix)), "", nil, clinic).problem(404, "not_found")
		default:
			s.ask("GET", path, "", nil, clinic, odd).problem(401, "unauthenticated")
		}
	}
	for range 20 { // and not counted further
		a := s.ask("GET", path, guess(), nil, clinic)
		a.problem(429, "slow_down")
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	s.ask("GET", "/v1/content", guess(), nil, clinic, odd).problem(429, "slow_down")
	s.ask("GET", path, unseen, nil, clinic).ok(200) // what is right is never slowed down: who works there goes on working
	s.ask("GET", path, provider, nil, clinic).ok(200)
	s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1), clinic).ok(200)
	s.ask("GET", path, guess(), nil, elsewhere).problem(401, "unauthenticated")
	if c := s.counts(); len(c) > 0 {
		t.Errorf("counted before the minute was over: %v", c)
	}

	s.clock.advance(time.Minute)
	s.auth.Flush(t.Context(), false) // as the service does every minute
	s.ask("GET", path, unseen, nil, clinic).ok(200)
	if c := s.counts(); !slices.Equal(c["127.0.0.2"], []int{30}) || !slices.Equal(c["127.0.0.3"], []int{1}) || len(c) != 2 {
		t.Errorf("counted %v", c)
	}
	s.ask("GET", path, guess(), nil, clinic).problem(401, "unauthenticated")
	s.clock.advance(time.Minute)
	s.auth.Flush(t.Context(), false)
	if c := s.counts(); !slices.Equal(c["127.0.0.2"], []int{30, 1}) {
		t.Errorf("counted %v", c)
	}
	for _, e := range s.trail() {
		if e.Action == audit.UnauthenticatedSum && (e.Actor != "" || e.Outcome != audit.Denied || e.Reason != "unauthenticated") {
			t.Errorf("%+v", e)
		}
	}
}

// What a person with a valid token is refused is written one by one.
func TestRefusalsOfAPersonAreLoggedOneByOne(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	for range 3 {
		s.ask("GET", "/v1/photos/"+string(photo.ID)+"/receipt", s.token("marketing"), nil).problem(403, "role_not_allowed")
		s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("marketing"), api.NewToken{Purpose: consent.ForCare}).problem(403, "role_not_allowed")
	}
	if n := s.logged(func(e vault.Logged) bool {
		return e.Outcome == audit.Denied && e.Role == "marketing" && e.Reason == "role_not_allowed" && e.Source == "127.0.0.1" && e.Photo == photo.ID
	}); n != 6 {
		t.Errorf("%d refusals are logged, 6 were given", n)
	}
}
