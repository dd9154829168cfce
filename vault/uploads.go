package vault

import (
	"context"
	"errors"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// Bounds of a photo's uploads.
const (
	MaxParts    = 16   // partial uploads of a photo at once
	maxSegments = 4096 // an upload sent in smaller pieces than this allows is refused
)

// CreateUpload begins the upload of a declared photo's envelope, length bytes,
// or of a part of it. Older uploads of the same photo end, as Uploads.AddUpload
// says, and with them what is still being sent to them. A photo that was
// rejected can be uploaded anew: what it is decided on is the envelope, which
// is bound to the capture.
// Errors: ErrDenied, ErrInvalid, ErrTooLarge, ErrNotFound, ConflictError already_received.
func (s *Service) CreateUpload(ctx context.Context, who consent.Principal, p id.Photo, length int64, partial bool, asked Asked) (*Upload, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin) // a body that comes along may take long, this may not
	defer cancel()
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
		Length: length, Partial: partial, Asked: asked,
		CreatedAt: now, ExpiresAt: now.Add(s.UploadLife)}
	e.Patient, e.Subject = photo.Patient, string(u.ID)
	if err := s.Catalogs.ForPractice(who.Practice).AddUpload(ctx, u, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	s.uploads.endOlder(u)
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

// CancelUpload ends an upload; the photo can be uploaded anew.
// Errors: ErrNotFound, ErrGone, ErrLocked.
func (s *Service) CancelUpload(ctx context.Context, who consent.Principal, u id.Upload) error {
	e := entry(who, audit.PhotoUploadCancel, audit.Allowed)
	e.Subject = string(u)
	up, _, err := s.ownUpload(ctx, who, u)
	if err != nil {
		return err
	}
	turn, err := s.uploads.take(ctx, u, ErrGone)
	if err != nil {
		return err
	}
	defer turn.end()
	e.Patient, e.Photo = up.Patient, up.Photo
	if err := s.Catalogs.ForPractice(who.Practice).EndUpload(ctx, u, e); err != nil {
		return err
	}
	if err := s.purge(ctx, who.Practice, string(u)); err != nil {
		s.Logger.Warn("segments of a cancelled upload remain; the sweep will retry", "upload", u, "error", err)
	}
	return nil
}
