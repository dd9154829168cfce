package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
)

// Prepare comes before the first request and before Run: it refuses a database
// or an object store that is not this installation's, or a database that is behind
// its checkpoint, and makes upload keys if they are due. A database that was lost is opened
// as an empty one, which is behind nothing: a vault without its practice must not look ready.
func (s *Service) Prepare(ctx context.Context) error {
	if err := CheckPlace(ctx, s.Catalogs, s.Blobs, s.Practice); err != nil {
		return err
	}
	if err := s.practices(ctx, s.CheckNotBehind); err != nil {
		return err
	}
	return s.practices(ctx, s.renewUploadKeys)
}

// Run does the background work until ctx ends: ingest, chaining the audit log,
// sweeping, re-checking running deliveries, renewing upload keys, telling receivers.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range s.Ingests {
		s.ingests.Add(1)
		wg.Go(func() { defer s.ingests.Done(); s.ingestLoop(ctx) })
	}
	wg.Go(func() { s.streams.run(ctx) })
	wg.Go(func() { s.every(ctx, s.CheckpointAt, "audit chain", soon(s.chainAll)) })
	wg.Go(func() {
		s.every(ctx, time.Minute, "sweep", func(ctx context.Context) error { _, err := s.Sweep(ctx); return err })
	})
	for to, receiver := range s.Receivers {
		wg.Go(func() { s.tell(ctx, to, receiver) })
	}
	wg.Go(func() { s.every(ctx, 5*time.Minute, "takedowns", s.SweepTakedowns) })
	wg.Go(func() {
		s.every(ctx, time.Hour, "upload keys", func(ctx context.Context) error { return s.practices(ctx, s.renewUploadKeys) })
	})
	wg.Go(func() { s.every(ctx, 3*time.Second, "practice keys", soon(s.Catalogs.RefreshKeys)) })
	wg.Go(func() {
		s.every(ctx, time.Hour, "rows against the log", func(ctx context.Context) error { return s.practices(ctx, s.review) })
	})
	wg.Go(func() {
		s.every(ctx, time.Hour, "copies for marketing", func(ctx context.Context) error { _, err := s.sweepCopies(ctx, true); return err })
	})
	wg.Wait()
	// What was written last is chained too, if the database still answers.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	return s.chainAll(last)
}

// Drain lets no further ingest begin here and waits until those in work are
// done, or ctx ends; what then still runs is given back when Run's context
// ends. It comes after Run.
func (s *Service) Drain(ctx context.Context) {
	s.drain.Do(func() { close(s.leaving) })
	idle := make(chan struct{})
	go func() { s.ingests.Wait(); close(idle) }()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

func (s *Service) ingestLoop(ctx context.Context) {
	idle := time.NewTicker(time.Second)
	defer idle.Stop()
	for ctx.Err() == nil {
		select {
		case <-s.leaving:
			return
		default:
		}
		worked, err := s.ingestNext(ctx)
		if err != nil && ctx.Err() == nil {
			s.Logger.Error("ingest", "error", err)
		}
		if worked && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-s.leaving:
		case <-idle.C:
		case <-s.wake:
		}
		idle.Reset(time.Second) // one look answers both
		select {
		case <-s.wake:
		default:
		}
	}
}

// soon bounds what others wait for: a database that says nothing any more is
// asked again on another connection.
func soon(f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, soonWithin)
		defer cancel()
		return f(ctx)
	}
}

const soonWithin = 10 * time.Second

// every calls f at once and then in each interval; errors are logged and the
// next call tries again.
func (s *Service) every(ctx context.Context, interval time.Duration, what string, f func(context.Context) error) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			s.Logger.Error(what, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// review compares rows with the log, at the start and every hour: an older
// state of a patient, an account or a photo that was put back while the service
// was down shows there. It reports, and leaves what to do to a person.
func (s *Service) review(ctx context.Context, p id.Practice) error {
	report, err := (&Fsck{Catalogs: s.Catalogs, Keys: s.Keys, Blobs: s.Blobs, Checkpoints: s.Checkpoints, Practice: p, LogOnly: true}).Run(ctx)
	if err != nil {
		return err
	}
	for _, f := range report.Findings {
		s.Logger.Error("integrity finding", "code", f.Code, "where", f.Where)
	}
	return nil
}

// Swept is what one sweep did.
type Swept struct {
	Uploads int // expired and ended
	Objects int // removed from the blob store
	Copies  int // keys of copies whose authorization has ended by date
}

// Sweep ends expired uploads and the copies under expired authorizations, and
// removes dead objects: those of ended uploads and copies, of deleted photos,
// and those that were planned but never committed.
func (s *Service) Sweep(ctx context.Context) (Swept, error) {
	var (
		done Swept
		errs error
	)
	expired, err := s.Catalogs.Expired(ctx, s.now(), 1000)
	errs = errors.Join(errs, err)
	for _, u := range expired {
		e := &audit.Entry{Action: audit.PhotoUploadCancel, Outcome: audit.Allowed, Reason: "expired", Patient: u.Patient, Photo: u.Photo, Subject: string(u.ID)}
		switch err := s.Catalogs.ForPractice(u.Practice).EndUpload(ctx, u.ID, e); {
		case err == nil:
			done.Uploads++
		case !errors.Is(err, ErrNotFound): // not received or ended meanwhile
			errs = errors.Join(errs, err)
		}
	}
	done.Copies, err = s.sweepCopies(ctx, false)
	errs = errors.Join(errs, err)
	for {
		dead, err := s.Catalogs.TakeDead(ctx, s.now().Add(-s.SweepAge), 200)
		errs = errors.Join(errs, err)
		buried := 0
		for _, o := range dead {
			if err := s.bury(ctx, o); err != nil {
				errs = errors.Join(errs, err)
				continue
			}
			buried++
		}
		done.Objects += buried
		if buried == 0 {
			return done, errs
		}
	}
}

// abandon removes objects that this process put and could not commit, such as
// those of an ingest that another process took over: a process that was frozen
// for long may put one after the sweep has removed it and its row, and then
// nobody else knows of it.
func (s *Service) abandon(ctx context.Context, p id.Practice, area blobs.Area, objects ...id.Object) error {
	var errs error
	for _, o := range objects {
		switch abandoned, err := s.Catalogs.ForPractice(p).AbandonObject(ctx, o); {
		case err != nil:
			errs = errors.Join(errs, err)
		case abandoned:
			errs = errors.Join(errs, s.bury(ctx, DeadObject{Practice: p, Object: Object{ID: o, Area: string(area)}}))
		}
	}
	return errs
}

// bury removes a dead object from the store, then its row.
func (s *Service) bury(ctx context.Context, o DeadObject) error {
	name := blobs.Name{Practice: o.Practice, Area: blobs.Area(o.Area), Object: o.ID}
	if err := s.Blobs.Delete(ctx, name); err != nil {
		return fmt.Errorf("%w: delete object: %w", ErrUnavailable, err)
	}
	return s.Catalogs.ForPractice(o.Practice).ForgetObject(ctx, o.ID)
}
