package vault

import (
	"context"
	"fmt"
	"sync"
	"time"

	"photovault/consent"
)

// How many requests may send at once: one grant as many as a client that
// uploads a photo in parallel needs, one account with all its grants a third
// of the buffers. Who wants more waits, and is then told to come again.
const (
	grantAppends   = 4
	accountAppends = 16
)

// fair counts the appends of each grant and account in this process.
type fair struct {
	mu      sync.Mutex
	running map[string]int
	left    chan struct{} // closed when one ends, if somebody waits; with mu
}

// enter waits for a place, at most as long as wait. Errors: ErrUnavailable.
func (f *fair) enter(ctx context.Context, wait time.Duration, who consent.Principal) (leave func(), err error) {
	limits := map[string]int{"account " + string(who.Account): accountAppends}
	if who.Grant != "" {
		limits["photo "+string(who.Grant)] = grantAppends
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	for {
		changed := f.tryEnter(limits)
		if changed == nil {
			return func() { f.leave(limits) }, nil
		}
		select {
		case <-changed:
		case <-limit.C:
			return nil, fmt.Errorf("%w: too many uploads of one grant or account at once", ErrUnavailable)
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: too many uploads of one grant or account at once", ErrUnavailable)
		}
	}
}

// tryEnter counts the caller in and returns nil, or returns what is closed
// when it may try again.
func (f *fair) tryEnter(limits map[string]int) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, most := range limits {
		if f.running[key] >= most {
			if f.left == nil {
				f.left = make(chan struct{})
			}
			return f.left
		}
	}
	if f.running == nil {
		f.running = map[string]int{}
	}
	for key := range limits {
		f.running[key]++
	}
	return nil
}

func (f *fair) leave(limits map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range limits {
		if f.running[key]--; f.running[key] == 0 {
			delete(f.running, key)
		}
	}
	if f.left != nil {
		close(f.left)
		f.left = nil
	}
}

// buffer lends one segment's memory, waiting for it no longer than UploadWait.
// Errors: ErrUnavailable, or why ctx ended.
func (s *Service) buffer(ctx context.Context) ([]byte, error) {
	limit := time.NewTimer(s.UploadWait)
	defer limit.Stop()
	select {
	case b := <-s.segments:
		if b == nil {
			b = make([]byte, SegmentSize)
		}
		return b, nil
	case <-limit.C:
		return nil, fmt.Errorf("%w: too many uploads at once", ErrUnavailable)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
