package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// An account has its share of requests in work at once. What is beyond waits,
// is served when a place is free or told to come again, and keeps nobody else.
func TestOneAccountDoesNotKeepOthersOut(t *testing.T) {
	s := newStack(t, func(o *options) { o.requests, o.stall = 2, 5*time.Minute })
	patient := s.consented()
	_, greedy := s.account("provider")
	var held []*wire
	for range 2 { // a body that does not come keeps its request in work
		w := s.dial(0)
		w.send(strings.Repeat(" ", 20_000), "POST /v1/patients HTTP/1.1", "Host: "+s.address, "Authorization: Bearer "+greedy, "Content-Type: application/json", "Content-Length: 60000")
		held = append(held, w)
	}
	whole := func() answer { return s.ask("GET", "/v1/upload-keys", greedy, nil) }
	s.eventually("the places are taken", func() bool {
		began := time.Now()
		a := whole()
		if a.status != http.StatusTooManyRequests {
			return false
		}
		a.problem(429, "too_many_requests")
		if a.header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		if took := time.Since(began); took < 4*time.Second || took > 30*time.Second {
			t.Errorf("told after %v", took)
		}
		return true
	})
	s.ask("GET", "/v1/photos?patient="+string(patient), s.token("provider"), nil).ok(200)

	answered := make(chan answer, 1)
	go func() { answered <- whole() }()
	select {
	case a := <-answered:
		t.Errorf("it did not wait: %d", a.status)
	case <-time.After(300 * time.Millisecond):
	}
	held[0].abort()
	(<-answered).ok(200)
	// An upload has places of its own.
	x := s.declareAs(s.token("provider"), patient)
	up := s.create(x.Grant, 1000)
	s.patch(up, x.Grant, 0, make([]byte, 1000)).ok(204)
	held[1].abort()
	for range 4 {
		whole().ok(200)
	}
}
