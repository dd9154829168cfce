package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/keys"
)

// logs are the audit logs of the installation's practices, as far as this
// process has chained them and kept their checkpoints outside the database.
type logs struct {
	mu   sync.Mutex
	each map[id.Practice]*practiceLog
}

type practiceLog struct {
	chaining *semaphore.Weighted // of one: a later checkpoint is not overwritten by an earlier one
	saved    int64               // size of the newest checkpoint outside; with chaining

	mu    sync.Mutex
	whole time.Time // when the log was last chained and kept; zero: never
}

func (l *logs) of(p id.Practice) *practiceLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.each[p] == nil {
		if l.each == nil {
			l.each = map[id.Practice]*practiceLog{}
		}
		l.each[p] = &practiceLog{chaining: semaphore.NewWeighted(1)}
	}
	return l.each[p]
}

// practices calls f for every practice of the installation. One that fails
// stops none of the others.
func (s *Service) practices(ctx context.Context, f func(context.Context, id.Practice) error) error {
	list, err := s.Catalogs.Practices(ctx)
	if err != nil {
		return err
	}
	var errs error
	for _, p := range list {
		if err := f(ctx, p); err != nil {
			errs = errors.Join(errs, fmt.Errorf("practice %s: %w", p, err))
		}
	}
	return errs
}

// chainAll chains the log of every practice.
func (s *Service) chainAll(ctx context.Context) error { return s.practices(ctx, s.chain) }

// chain numbers what was written since, signs a checkpoint and keeps it
// outside the database.
func (s *Service) chain(ctx context.Context, p id.Practice) error {
	l := s.logs.of(p)
	if err := l.chaining.Acquire(ctx, 1); err != nil {
		return err
	}
	defer l.chaining.Release(1)
	catalog := s.Catalogs.ForPractice(p)
	for {
		n, c, aside := catalog.Integrate(ctx, 1000)
		if aside != nil && !errors.Is(aside, audit.ErrAside) {
			return aside
		}
		if n == 0 && c.Size <= l.saved { // what another replica numbered is kept here, too
			l.mu.Lock()
			l.whole = time.Now()
			l.mu.Unlock()
			return aside
		}
		key, err := s.signingKey(ctx, p, keys.Checkpoint)
		if err != nil {
			return err
		}
		c.At = s.now()
		c.Sign(key)
		if err := s.Checkpoints.Save(c); err != nil {
			return fmt.Errorf("keep the checkpoint outside: %w", err)
		}
		l.saved = c.Size
	}
}

// stallsAfter is how long the log may go without being chained and kept
// outside before nothing is released any more: what is released must not be
// deniable by whoever owns the database.
const stallsAfter = 10 * time.Second

// errStalled: the audit log is not being chained.
var errStalled = fmt.Errorf("%w: the audit log has not been chained, or its checkpoint not been kept, for %v", ErrUnavailable, stallsAfter)

// stalled reports that of the practice's log. A service whose Run was not
// called chains nothing.
func (s *Service) stalled(p id.Practice) error {
	l := s.logs.of(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.whole.IsZero() && time.Since(l.whole) > stallsAfter {
		return errStalled
	}
	return nil
}

// allStalled reports that no practice's log moves: where one stands still, it
// is that practice's trouble, and the others are served.
func (s *Service) allStalled(ctx context.Context) error {
	n, still := 0, 0
	err := s.practices(ctx, func(_ context.Context, p id.Practice) error {
		n++
		if s.stalled(p) != nil {
			still++
		}
		return nil
	})
	if err == nil && n > 0 && n == still {
		err = errStalled
	}
	return err
}

// CheckNotBehind refuses a database that is older than the newest checkpoint
// of the practice outside it. It reads one entry.
func (s *Service) CheckNotBehind(ctx context.Context, p id.Practice) error {
	newest, err := s.Checkpoints.Newest(p)
	if err != nil || newest == nil || newest.Size == 0 {
		return err
	}
	seeds, err := s.Catalogs.PracticeKeys(ctx, p, keys.Checkpoint)
	if err != nil {
		return err
	}
	if err := verifyCheckpoint(newest, seeds); err != nil {
		return err
	}
	found := false
	err = s.Catalogs.ForPractice(p).AuditRecords(ctx, newest.Size-1, func(r audit.Record) error {
		found = r.Seq == newest.Size && r.Head == newest.Head
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if !found {
		return fmt.Errorf("%w: the database is behind, or differs from, the checkpoint of %d entries kept outside it",
			audit.ErrTampered, newest.Size)
	}
	return nil
}
