package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"photovault/imaging"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/envelope"
	"photovault/vault/id"
)

const (
	jobLease   = 6 * time.Second // renewed while the job is worked on; what a killed process held is free soon
	renewEvery = 2 * time.Second
	jobLimit   = 2 * time.Minute
	maxBackoff = 5 * time.Minute
	maxDecodes = 5 // attempts within an hour, by this process, at a photo that the machine's load may have failed
)

// ingestNext claims one received upload and turns it into a photo. It reports
// whether there was one. A job that could not be finished stays durable and is
// retried, here or by another process.
func (s *Service) ingestNext(ctx context.Context) (bool, error) {
	j, err := s.Catalogs.ClaimJob(ctx, s.now(), jobLease)
	if err != nil || j == nil {
		return false, err
	}
	work, cancel := context.WithTimeout(ctx, jobLimit)
	defer cancel()
	l := &lease{service: s, job: j, stop: cancel}
	if err = s.ingest(work, l); err == nil {
		return true, nil
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	catalog := s.Catalogs.ForPractice(j.Practice)
	switch {
	case errors.Is(err, ErrGone), l.lost.Load(): // deleted meanwhile, or another process has it
		return true, s.abandon(after, j.Practice, blobs.Photos, l.put...)
	case ctx.Err() != nil: // this process ends; another begins anew at once
		if err = catalog.ReturnJob(after, j); errors.Is(err, ErrGone) {
			err = nil
		}
		return true, errors.Join(err, s.abandon(after, j.Practice, blobs.Photos, l.put...))
	}
	if errors.Is(err, ErrBroken) {
		if err := s.markDamaged(after, j, err); err != nil {
			s.Logger.Error("ingest: damage could not be written down", "photo", j.Photo, "error", err)
		}
	}
	s.Logger.Warn("ingest will be retried", "photo", j.Photo, "attempt", j.Attempts, "error", err)
	back := min(maxBackoff, time.Second<<min(j.Attempts, 9))
	return true, catalog.RetryJob(after, j, s.now().Add(back))
}

// markDamaged raises the alarm, once for each job: what is stored is not what
// arrived. The job stays; when what was damaged is put back, it is done.
func (s *Service) markDamaged(ctx context.Context, j *Job, why error) error {
	e := &audit.Entry{Action: audit.PhotoIngest, Outcome: audit.Failed, Reason: Code(ErrBroken), Photo: j.Photo}
	if photo, err := s.Catalogs.ForPractice(j.Practice).Photo(ctx, j.Photo); err == nil { // whose it is, if that can be known
		e.Patient = photo.Patient
	}
	first, err := s.Catalogs.ForPractice(j.Practice).MarkDamaged(ctx, j, e)
	if first {
		s.Logger.Error("a received photo cannot be taken in: what is stored of it is damaged; see fsck", "photo", j.Photo, "error", why)
	}
	return err
}

// DamagedUploads counts received photos that wait because what is stored of
// them is damaged.
func (s *Service) DamagedUploads(ctx context.Context) (n int, err error) {
	err = s.practices(ctx, func(ctx context.Context, p id.Practice) error {
		list, err := s.Catalogs.ForPractice(p).Damaged(ctx)
		n += len(list)
		return err
	})
	return n, err
}

// lease keeps a job while it is worked on.
type lease struct {
	service *Service
	job     *Job
	stop    context.CancelFunc // ends the work when the lease is lost
	lost    atomic.Bool
	put     []id.Object // what the work has put, or tried to
}

// hold renews the lease until release is called, which must be before the job
// is used to commit.
func (l *lease) hold(ctx context.Context) (release func()) {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(renewEvery)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			err := l.service.Catalogs.ForPractice(l.job.Practice).RenewJob(ctx, l.job, l.service.now().Add(jobLease))
			if errors.Is(err, ErrGone) {
				l.lost.Store(true)
				l.stop()
				return
			}
		}
	}()
	return func() { stop(); <-done }
}

// ingest opens the envelope, has the photo sanitised, seals and stores every
// rendition, and commits. An error means: try again later.
func (s *Service) ingest(ctx context.Context, l *lease) error {
	release := sync.OnceFunc(l.hold(ctx))
	defer release()
	j := l.job
	catalog := s.Catalogs.ForPractice(j.Practice)
	photo, err := catalog.Photo(ctx, j.Photo)
	if err != nil {
		return err
	}
	upload, segments, err := catalog.UploadOf(ctx, j.Photo)
	if err != nil {
		return err
	}
	plain, code, err := s.openEnvelope(ctx, photo, upload, segments)
	if err != nil {
		return err
	}
	var result *imaging.Result
	if code == "" {
		result, err = s.Media.Process(ctx, plain)
		wipe(plain)
		var refusal *imaging.Refusal
		// Attempts that failed at a store say nothing about the photo: only the workers' count.
		if errors.As(err, &refusal) && (!refusal.MayRetry() || s.decodes.again(string(photo.ID), s.now()) >= maxDecodes-1) {
			code, err = string(refusal.Code), nil
		}
		if err != nil {
			return err
		}
	}
	e := &audit.Entry{Action: audit.PhotoIngest, Actor: photo.DeclaredBy, Patient: photo.Patient, Photo: photo.ID}
	if code != "" {
		e.Outcome, e.Reason = audit.Denied, code
		release()
		if err := catalog.RejectPhoto(ctx, j, code, e); err != nil {
			return err
		}
	} else {
		e.Outcome = audit.Complete
		ready, key, err := s.store(ctx, l, photo, result)
		if err != nil {
			return err
		}
		release()
		if err := catalog.CommitPhoto(ctx, j, ready, key, e); err != nil {
			return err
		}
	}
	if err := s.purge(ctx, j.Practice, string(upload.ID)); err != nil {
		s.Logger.Warn("segments remain; the sweep will retry", "upload", upload.ID, "error", err)
	}
	return nil
}

// keyPatience is how long a received photo waits for an upload key that the
// catalog never had: a database that was put back may have lost it.
const keyPatience = 72 * time.Hour

// openEnvelope returns the photo as the tablet sealed it, or the stable code
// of why it cannot be accepted. The caller wipes it. A code is a fact of the
// bytes that arrived; what was damaged since is ErrBroken.
func (s *Service) openEnvelope(ctx context.Context, p *Photo, up *Upload, segments []Segment) (plain []byte, code string, err error) {
	if n := len(segments); n == 0 || segments[n-1].Start+segments[n-1].Size != up.Length {
		return nil, "", fmt.Errorf("vault: segments of a received photo are missing: %w", ErrBroken)
	}
	src := &staged{ctx: ctx, blobs: s.Blobs, practice: p.Practice, left: segments}
	defer func() { _ = src.Close() }() // read only
	var keyErr error
	find := func(k id.UploadKey) (*envelope.PrivateKey, error) {
		key, err := s.uploadPrivateKey(ctx, p.Practice, k)
		keyErr = err
		return key, err
	}
	body, err := envelope.Open(src, find, p.Practice, p.Capture)
	if err == nil {
		plain, err = readAll(body, s.MaxUpload)
	}
	if err == nil {
		return plain, "", nil
	}
	if keyErr != nil && !errors.Is(keyErr, envelope.ErrUnknownKey) {
		return nil, "", keyErr
	}
	if broken := src.intact(); broken != nil {
		return nil, "", broken
	}
	switch {
	case errors.Is(err, errKeyExpired):
		return nil, "upload_key_unknown", nil
	case errors.Is(err, envelope.ErrUnknownKey):
		if s.now().Before(up.ExpiresAt.Add(keyPatience - s.UploadLife)) {
			return nil, "", fmt.Errorf("vault: upload key is not in the catalog: %w", ErrBroken)
		}
		return nil, "upload_key_unknown", nil
	case errors.Is(err, envelope.ErrFormat):
		return nil, "envelope_malformed", nil
	case errors.Is(err, envelope.ErrRefused):
		return nil, "envelope_refused", nil
	default:
		return nil, "", err
	}
}

// store seals and puts every rendition, and returns what there is to commit.
func (s *Service) store(ctx context.Context, l *lease, p *Photo, result *imaging.Result) (*Photo, *PhotoKey, error) {
	key, wrapped, err := s.Keys.NewDataKey(ctx, PhotoKeyContext(p.Practice, p.ID, ""))
	if err != nil {
		return nil, nil, translate(err)
	}
	defer key.Destroy()
	ready := *p
	ready.Renditions = nil
	for i := range result.Renditions {
		r := &result.Renditions[i]
		stored, err := s.put(ctx, key, p, "", r)
		wipe(r.Data)
		r.Data = nil
		if stored != nil {
			l.put = append(l.put, stored.Object)
		}
		if err != nil {
			return nil, nil, err
		}
		ready.Renditions = append(ready.Renditions, *stored)
	}
	now := s.now()
	ready.State, ready.ReadyAt = Ready, now
	ready.Receipt = &Receipt{Photo: p.ID, Practice: p.Practice, IssuedAt: now, Software: s.Software,
		Findings: findings(&result.Findings, &result.Renditions[0])}
	if err := s.signReceipt(ctx, ready.Receipt); err != nil {
		return nil, nil, err
	}
	return &ready, &PhotoKey{Photo: p.ID, Wrapped: wrapped}, nil
}

// readAll reads r to its end, at most limit bytes; what it outgrows is wiped.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b := make([]byte, 0, 1<<20)
	for {
		if len(b) == cap(b) {
			grown := append(make([]byte, 0, 2*cap(b)), b...)
			wipe(b)
			b = grown
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err == nil && int64(len(b)) > limit {
			err = fmt.Errorf("vault: photo: %w", ErrTooLarge)
		}
		if err != nil {
			wipe(b)
			return nil, err
		}
	}
}

// wipe overwrites plaintext, best effort.
func wipe(b []byte) { clear(b[:cap(b)]) }
