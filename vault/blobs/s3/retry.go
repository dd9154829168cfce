package s3

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	maxAttempts = 5
	firstDelay  = 100 * time.Millisecond
	lastDelay   = 2 * time.Second
)

// try calls f until it succeeds, fails in a way that another try does not
// mend, or has been called maxAttempts times or until ctx ends. It returns
// f's last error.
func try(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || attempt == maxAttempts || ctx.Err() != nil || !transient(err) {
			return err
		}
		// Full jitter, so that replicas do not come back together.
		delay := time.NewTimer(rand.N(min(lastDelay, firstDelay<<(attempt-1))))
		select {
		case <-ctx.Done():
			delay.Stop()
			return err
		case <-delay.C:
		}
	}
}

// budgeted limits a call with all its attempts.
func (s *Store) budgeted(ctx context.Context, extra time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.o.Budget+extra)
}
