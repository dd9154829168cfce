package vault

import (
	"sync"
	"time"
)

// recent counts how often something happened within the last hour, so that
// what is repeated without end does not fill the log. It forgets all
// when it holds too much, which costs a repeated entry.
type recent struct {
	mu   sync.Mutex
	seen map[string]*sightings
}

type sightings struct {
	first time.Time
	n     int
}

const (
	recentFor = time.Hour
	maxRecent = 10_000
)

// again returns how often key happened before, within the hour.
func (r *recent) again(key string, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.seen[key]
	if s == nil || now.Sub(s.first) > recentFor {
		if len(r.seen) >= maxRecent || r.seen == nil {
			r.seen = map[string]*sightings{}
		}
		s = &sightings{first: now}
		r.seen[key] = s
	}
	s.n++
	return s.n - 1
}
