package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
)

// SegmentSize is how many bytes of an upload are made durable at once.
const SegmentSize = 1 << 20

const (
	segmentBuffers = 48   // uploads that can receive at once; others wait
	maxSegments    = 4096 // an upload sent in smaller pieces than this allows is refused
)

// CreateUpload begins the upload of a declared photo's envelope, length bytes.
// An unfinished older upload of the same photo ends.
// Errors: ErrDenied, ErrInvalid, ErrTooLarge, ErrNotFound, ConflictError already_received.
func (s *Service) CreateUpload(ctx context.Context, who consent.Principal, p id.Photo, length int64) (*Upload, error) {
	e := entry(who, audit.PhotoUpload, audit.Allowed)
	e.Photo = p
	photo, err := s.ownPhoto(ctx, who, p)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	switch {
	case length <= 0:
		return nil, s.failed(ctx, who, e, invalid("Upload-Length", "Declare the length of the sealed file, in bytes."))
	case length > s.MaxUpload:
		return nil, s.failed(ctx, who, e, ErrTooLarge)
	}
	now := s.now()
	u := &Upload{ID: id.New[id.Upload](), Practice: who.Practice, Photo: p, Patient: photo.Patient, Owner: photo.DeclaredBy,
		Length:    length,
		CreatedAt: now, ExpiresAt: now.Add(s.UploadLife)}
	e.Patient, e.Subject = photo.Patient, string(u.ID)
	if err := s.Catalogs.ForPractice(who.Practice).AddUpload(ctx, u, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	return u, nil
}

// ownPhoto: the provider who declared it, or the holder of its grant.
func (s *Service) ownPhoto(ctx context.Context, who consent.Principal, p id.Photo) (*Photo, error) {
	if !(who.May(consent.CapturePhoto) || who.Role == consent.Tablet && who.Grant == p) {
		return nil, ErrNotFound
	}
	photo, err := s.photo(ctx, who, p)
	if err == nil && photo.DeclaredBy != who.Account {
		return nil, ErrNotFound
	}
	return photo, err
}

// ownUpload: only whoever may add the photo sees its upload. A foreign one
// and a missing one are the same, and trying either is written down.
func (s *Service) ownUpload(ctx context.Context, who consent.Principal, u id.Upload) (*Upload, []Segment, error) {
	up, segments, err := s.findOwnUpload(ctx, who, u)
	if errors.Is(err, ErrNotFound) {
		e := entry(who, audit.PhotoUpload, audit.Failed)
		e.Subject = string(u)
		err = s.failed(ctx, who, e, err)
	}
	return up, segments, err
}

func (s *Service) findOwnUpload(ctx context.Context, who consent.Principal, u id.Upload) (*Upload, []Segment, error) {
	if !who.May(consent.CapturePhoto) && who.Role != consent.Tablet {
		return nil, nil, ErrNotFound
	}
	up, segments, err := s.Catalogs.ForPractice(who.Practice).Upload(ctx, u)
	switch {
	case err != nil:
		return nil, nil, err
	case up.Owner != who.Account, who.Role == consent.Tablet && who.Grant != up.Photo:
		return nil, nil, ErrNotFound
	case !s.now().Before(up.ExpiresAt):
		return nil, nil, ErrGone
	}
	return up, segments, nil
}

// UploadStatus tells how far an upload has come. Errors: ErrNotFound, ErrGone.
func (s *Service) UploadStatus(ctx context.Context, who consent.Principal, u id.Upload) (*Upload, error) {
	up, _, err := s.ownUpload(ctx, who, u)
	return up, err
}

// AppendUpload adds up to n bytes of body at offset. Each segment is durable
// before the offset moves over it, so that a body that breaks off keeps what
// arrived: the returned upload tells how far it came, also beside an error
// of body (ErrShortBody). When the last byte is durable the photo is received.
// Errors: ErrNotFound, ErrGone, ErrLocked, ErrOffset, ErrTooLarge, ErrUnavailable.
func (s *Service) AppendUpload(ctx context.Context, who consent.Principal, u id.Upload, offset int64, body io.Reader, n int64) (*Upload, error) {
	unlock, ok := s.uploads.lock(string(u))
	if !ok {
		return nil, ErrLocked
	}
	defer unlock()
	up, segments, err := s.ownUpload(ctx, who, u)
	switch {
	case err != nil:
		return nil, err
	case up.Offset != offset:
		return up, ErrOffset
	case n < 0 || n > up.Length-offset:
		return up, ErrTooLarge
	case len(segments) >= maxSegments:
		return up, fmt.Errorf("%w: an upload has at most %d pieces; cancel it and send larger ones", ErrTooLarge, maxSegments)
	}
	buffer, err := s.segmentBuffer(ctx)
	if err != nil {
		return up, err
	}
	defer func() { s.segments <- buffer }()

	body = io.LimitReader(body, n)
	for arrived := int64(0); arrived < n && len(segments) < maxSegments; {
		got, readErr := io.ReadFull(body, buffer[:min(SegmentSize, n-arrived)])
		if got > 0 {
			// What arrived is kept even if its sender is gone.
			if err := s.addSegment(context.WithoutCancel(ctx), who, up, buffer[:got]); err != nil {
				return up, err
			}
			segments = append(segments, Segment{})
			arrived += int64(got)
		}
		switch readErr {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return up, ErrShortBody
		default:
			return up, fmt.Errorf("%w: %w", ErrShortBody, readErr)
		}
	}
	return up, nil
}

func (s *Service) segmentBuffer(ctx context.Context) ([]byte, error) {
	select {
	case b := <-s.segments:
		if b == nil {
			b = make([]byte, SegmentSize)
		}
		return b, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: too many uploads at once", ErrUnavailable)
	}
}

// addSegment makes one segment durable: object first, then the offset.
func (s *Service) addSegment(ctx context.Context, who consent.Principal, up *Upload, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	catalog := s.Catalogs.ForPractice(up.Practice)
	seg := Segment{Start: up.Offset, Size: int64(len(data)), Object: id.New[id.Object]()}
	o := Object{ID: seg.Object, Area: string(blobs.Staging), Owner: string(up.ID), Size: seg.Size}
	if err := catalog.PlanObjects(ctx, o); err != nil {
		return err
	}
	name := blobs.Name{Practice: up.Practice, Area: blobs.Staging, Object: seg.Object}
	if err := s.Blobs.Put(ctx, name, bytes.NewReader(data), seg.Size); err != nil {
		return fmt.Errorf("%w: segment: %w", ErrUnavailable, err)
	}
	e := entry(who, audit.PhotoUpload, audit.Complete)
	e.Patient, e.Photo, e.Subject = up.Patient, up.Photo, string(up.ID)
	expires := s.now().Add(s.UploadLife)
	if err := catalog.AddSegment(ctx, up, seg, expires, e); err != nil {
		return err
	}
	up.Offset += seg.Size
	up.ExpiresAt = expires
	if up.Offset == up.Length {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// CancelUpload ends an upload; the photo can be uploaded anew.
// Errors: ErrNotFound, ErrGone, ErrLocked.
func (s *Service) CancelUpload(ctx context.Context, who consent.Principal, u id.Upload) error {
	unlock, ok := s.uploads.lock(string(u))
	if !ok {
		return ErrLocked
	}
	defer unlock()
	e := entry(who, audit.PhotoUploadCancel, audit.Allowed)
	e.Subject = string(u)
	up, _, err := s.ownUpload(ctx, who, u)
	if err != nil {
		return err
	}
	e.Patient, e.Photo = up.Patient, up.Photo
	if err := s.Catalogs.ForPractice(who.Practice).EndUpload(ctx, u, e); err != nil {
		return err
	}
	if err := s.purge(ctx, who.Practice, string(u)); err != nil {
		s.Logger.Warn("segments of a cancelled upload remain; the sweep will retry", "upload", u, "error", err)
	}
	return nil
}

// staged reads an upload's segments end to end.
type staged struct {
	ctx      context.Context
	blobs    blobs.Store
	practice id.Practice
	left     []Segment
	open     io.ReadCloser
}

func (r *staged) Read(p []byte) (int, error) {
	for {
		if r.open == nil {
			if len(r.left) == 0 {
				return 0, io.EOF
			}
			seg := r.left[0]
			body, size, err := r.blobs.Get(r.ctx, blobs.Name{Practice: r.practice, Area: blobs.Staging, Object: seg.Object}, 0, -1)
			if err != nil {
				return 0, fmt.Errorf("vault: segment at %d: %w", seg.Start, err)
			}
			if size != seg.Size {
				return 0, errors.Join(fmt.Errorf("vault: segment at %d: %w", seg.Start, blobs.ErrSize), body.Close())
			}
			r.open, r.left = body, r.left[1:]
		}
		n, err := r.open.Read(p)
		if err == io.EOF {
			err = r.open.Close()
			r.open = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (r *staged) Close() error {
	if r.open == nil {
		return nil
	}
	return r.open.Close()
}

// locks are this process's locks by name; across processes the catalog's
// compare-and-set on the offset decides.
type locks struct {
	mu   sync.Mutex
	held map[string]struct{}
}

func (l *locks) lock(name string) (unlock func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, taken := l.held[name]; taken {
		return nil, false
	}
	if l.held == nil {
		l.held = map[string]struct{}{}
	}
	l.held[name] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.held, name)
	}, true
}
