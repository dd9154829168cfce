package vault

import (
	"context"
	"slices"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// Concatenate puts complete partial uploads of the photo together, in the
// order given. Their bytes are neither read nor copied: the final upload takes
// over their segments in one transaction, and the photo is received. Asked
// again for the same parts it returns the same upload.
// Errors: ErrNotFound, ErrGone, ErrInvalid, ErrTooLarge, ConflictError
// upload_unfinished, part_used, already_received.
func (s *Service) Concatenate(ctx context.Context, who consent.Principal, p id.Photo, parts []id.Upload, asked Asked) (*Upload, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	e := entry(who, audit.PhotoUpload, audit.Complete)
	e.Photo = p
	photo, err := s.ownPhoto(ctx, who, p)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	e.Patient = photo.Patient
	if len(parts) == 0 || len(parts) > MaxParts {
		return nil, s.failed(ctx, who, e, invalid("Upload-Concat", "Name one to sixteen partial uploads."))
	}
	now := s.now()
	u := &Upload{ID: id.New[id.Upload](), Practice: who.Practice, Photo: p, Patient: photo.Patient, Owner: photo.DeclaredBy,
		CreatedAt: now, ExpiresAt: now.Add(s.UploadLife), Parts: parts, Asked: asked}
	for i, part := range parts {
		if slices.Contains(parts[:i], part) {
			return nil, s.failed(ctx, who, e, invalid("Upload-Concat", "Name each partial upload once."))
		}
		up, _, err := s.ownUpload(ctx, who, part)
		switch {
		case err != nil:
			return nil, err
		case up.Photo != p || !up.Partial:
			e.Subject = string(part)
			return nil, s.failed(ctx, who, e, ErrNotFound)
		}
		u.Length += up.Length
	}
	u.Offset = u.Length
	if u.Length > s.MaxUpload {
		return nil, s.failed(ctx, who, e, ErrTooLarge)
	}
	e.Subject = string(u.ID)
	u, err = s.Catalogs.ForPractice(who.Practice).Concatenate(ctx, u, e)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	s.awake()
	return u, nil
}
