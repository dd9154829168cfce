package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"photovault/vault/id"
)

// How many requests of one account are in work at once in this process; those
// beyond wait, and are then told to come again. Bodies of uploads are counted
// by the domain, which knows whose memory they take. The work of a page that
// shows a chart is a few at a time: what needs more is a loop gone wild, or
// somebody who walks through the album.
const (
	accountRequests = 32
	shareWait       = 5 * time.Second
)

// errShare: an account asks more at once than its share.
var errShare = errors.New("api: too many requests of one account at once")

// shares keeps one account from taking all that others need: places at the
// database, connections to the stores, and time of the processor.
type shares struct {
	most int
	wait time.Duration

	mu      sync.Mutex
	running map[id.Account]int
	waiting map[id.Account][]chan struct{} // first come, first served; closed when the place is handed over
}

func newShares(most int, wait time.Duration) *shares {
	return &shares{most: most, wait: wait, running: map[id.Account]int{}, waiting: map[id.Account][]chan struct{}{}}
}

// enter takes a place for as long as leave is not called. Errors: errShare.
func (s *shares) enter(ctx context.Context, a id.Account) (leave func(), err error) {
	turn := s.take(a)
	if turn == nil {
		return func() { s.leave(a) }, nil
	}
	limit := time.NewTimer(s.wait)
	defer limit.Stop()
	select {
	case <-turn:
		return func() { s.leave(a) }, nil
	case <-limit.C:
	case <-ctx.Done():
	}
	if !s.forget(a, turn) { // it came at the last moment
		s.leave(a)
	}
	return nil, fmt.Errorf("%w: %d", errShare, s.most)
}

// take returns nil where there is a place, or what is closed when there is.
func (s *shares) take(a id.Account) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[a] < s.most {
		s.running[a]++
		return nil
	}
	turn := make(chan struct{})
	s.waiting[a] = append(s.waiting[a], turn)
	return turn
}

// leave hands the place to whoever waits longest.
func (s *shares) leave(a id.Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list := s.waiting[a]; len(list) > 0 {
		close(list[0])
		s.setWaiting(a, list[1:])
		return
	}
	if s.running[a]--; s.running[a] == 0 {
		delete(s.running, a)
	}
}

// forget reports whether turn was still waiting.
func (s *shares) forget(a id.Account, turn chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range s.waiting[a] {
		if w == turn {
			s.setWaiting(a, append(s.waiting[a][:i:i], s.waiting[a][i+1:]...))
			return true
		}
	}
	return false
}

func (s *shares) setWaiting(a id.Account, list []chan struct{}) {
	if len(list) == 0 {
		delete(s.waiting, a)
		return
	}
	s.waiting[a] = list
}
