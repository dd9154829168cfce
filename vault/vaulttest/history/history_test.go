package history

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// What the service must never do is found, and what it may do is not.
func TestHistoriesAreToldApart(t *testing.T) {
	at := func(from, to int, outcome Outcome) call {
		return call{from: time.Duration(from), to: time.Duration(to), outcome: outcome}
	}
	revoked := func(from, to int) call { return call{revoke: true, from: time.Duration(from), to: time.Duration(to)} }
	for name, c := range map[string]struct {
		uses    int
		history []call
		good    bool
	}{
		"released before":                         {1, []call{at(1, 2, Released), revoked(3, 4), at(5, 6, Refused)}, true},
		"released after":                          {1, []call{revoked(3, 4), at(5, 6, Released)}, false},
		"released beside it":                      {2, []call{at(1, 9, Released), revoked(3, 4), at(2, 8, Refused)}, true},
		"refused beside it, then released":        {2, []call{revoked(3, 9), at(4, 5, Refused), at(6, 7, Released)}, false},
		"released twice":                          {1, []call{at(1, 4, Released), at(2, 3, Released), revoked(5, 6)}, false},
		"two at once, one of them":                {1, []call{at(1, 4, Released), at(2, 3, Refused), revoked(5, 6)}, true},
		"refused with a use left":                 {2, []call{at(1, 2, Released), at(3, 4, Refused), revoked(5, 6)}, false},
		"broke off, and was given back":           {1, []call{at(1, 2, Broken), at(3, 4, Released), revoked(5, 6)}, true},
		"broke off, and counts":                   {1, []call{at(1, 2, Broken), at(3, 4, Refused), revoked(5, 6)}, true},
		"turned away counts for nothing":          {1, []call{at(1, 2, Busy), at(3, 4, Released), revoked(5, 6), at(7, 8, Busy)}, true},
		"broke off twice, and was released twice": {1, []call{at(1, 2, Broken), at(3, 4, Released), at(5, 6, Released), revoked(7, 8)}, false},
	} {
		r := &Round{Uses: []int{c.uses}}
		if err := r.check(c.history, Seen{}); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// service is a token service in memory, which may have a fault.
type service struct {
	mu      sync.Mutex
	all     *sync.Cond
	taken   []int
	uses    []int
	looked  int // fetches of the first token that found it good
	revoked bool
	fault   string
}

const (
	takesLater = "looks, and takes later"
	forgets    = "forgets a revocation"
)

// both waits until two fetches found the first token, of one use, good.
func (s *service) both() {
	for s.fault == takesLater && s.looked < 2 {
		s.all.Wait()
	}
}

func (s *service) fetch(_, token int) (Outcome, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revoked && s.fault != forgets || !s.revoked && s.taken[token] >= s.uses[token] {
		return Refused, 0, nil
	}
	if token == 0 {
		s.looked++
		s.all.Broadcast()
		s.both()
	}
	s.taken[token]++
	return Released, 100, nil
}

func (s *service) revoke() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.both()
	s.revoked = true
	return nil
}

func TestARoundTellsACarefulServiceFromACarelessOne(t *testing.T) {
	for fault, want := range map[string]Seen{"": {}, takesLater: {Twice: 1}, forgets: {LateBytes: 16 * 100}} {
		s := &service{taken: make([]int, 4), uses: []int{1, 1, 3, 100}, fault: fault}
		s.all = sync.NewCond(&s.mu)
		r := &Round{Uses: s.uses, Fetchers: 16, Fetch: s.fetch, Revoke: s.revoke}
		seen, err := r.Run()
		if (err == nil) != (fault == "") || seen.Late < 16 || seen.Raced != 1 && fault == "" || seen.LateBytes < want.LateBytes || seen.Twice < want.Twice ||
			fault == "" && (seen.LateBytes != 0 || seen.Twice != 0) {
			text := ""
			if err != nil {
				text, _, _ = strings.Cut(err.Error(), "\n")
			}
			t.Errorf("%q: %v, %.200s", fault, seen, text)
		}
	}
}
