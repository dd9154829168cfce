package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// GrantLife is how long an upload grant can add its photo: as long as an
// offline tablet may need to come back.
const GrantLife = 30 * 24 * time.Hour

// Declaration announces a photo before its bytes come.
type Declaration struct {
	Patient  id.Patient
	Device   id.Device
	Capture  id.Capture // made on the tablet; the sealed envelope is bound to it
	Kind     string     // "before", "after", "progress" or empty
	View     string     // "frontal", …; free text
	BodySite string     // free text

	Set       id.Set       // photos that belong together, such as before and after; optional
	Treatment id.Treatment // the course of treatment it shows; optional
}

// Declare makes the photo's id and an upload grant for it. It needs an active
// clinical consent. It is idempotent on practice, device and capture: asked
// again it returns the photo as it is now, and a further grant.
// Errors: ErrDenied, ErrInvalid, ErrNotFound, ConflictError capture_differs.
func (s *Service) Declare(ctx context.Context, who consent.Principal, d Declaration) (*Photo, consent.Bearer, error) {
	e := entry(who, audit.PhotoDeclare, audit.Allowed)
	e.Patient = d.Patient
	if err := s.allow(ctx, who, consent.CapturePhoto, e); err != nil {
		return nil, "", err
	}
	switch {
	case d.Kind != "" && !slices.Contains(Kinds, d.Kind):
		return nil, "", s.failed(ctx, who, e, invalid("kind", "Choose before, after or progress."))
	case len(d.View) > 100 || len(d.BodySite) > 100:
		return nil, "", s.failed(ctx, who, e, invalid("view", "View and body site have at most 100 bytes each."))
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	record, err := catalog.Record(ctx, d.Patient)
	if err != nil {
		return nil, "", s.failed(ctx, who, e, err)
	}
	now := s.now()
	decision := consent.DecideCapture(now, who, record)
	if !decision.Allowed {
		return nil, "", s.deny(ctx, who, e, decision.Refusals...)
	}
	p := &Photo{ID: id.New[id.Photo](), Practice: who.Practice, Patient: d.Patient, Device: d.Device, Capture: d.Capture,
		State: Declared, Version: 1, Kind: d.Kind, View: d.View, BodySite: d.BodySite, Set: d.Set, Treatment: d.Treatment, DeclaredBy: who.Account, DeclaredAt: now}
	grant := consent.NewBearer(consent.GrantPrefix)
	e.Photo, e.Records = p.ID, decision.Basis
	g := &Grant{Practice: who.Practice, Photo: p.ID, Account: who.Account, Hash: grant.Hash(), ExpiresAt: now.Add(GrantLife)}
	if p, err = catalog.DeclarePhoto(ctx, p, g, e); err != nil {
		return nil, "", s.failed(ctx, who, e, err)
	}
	return p, grant, nil
}

// Photo returns one photo's facts; it opens nothing. An upload grant sees its
// own photo's state. Errors: ErrDenied, ErrNotFound.
func (s *Service) Photo(ctx context.Context, who consent.Principal, p id.Photo) (*Photo, error) {
	e := entry(who, audit.PhotoShow, audit.Allowed)
	e.Photo = p
	if who.Grant != p || p == "" {
		if err := s.allow(ctx, who, consent.SeePhotoExists, e); err != nil {
			return nil, err
		}
	}
	photo, err := s.photo(ctx, who, p)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	e.Patient = photo.Patient
	if who.Grant != p {
		if err := s.open(ctx, who, consent.SeePhotoExists, photo.Patient, photo, e); err != nil {
			return nil, err
		}
	}
	if photo.State == Ready {
		record, err := s.Catalogs.ForPractice(who.Practice).Record(ctx, photo.Patient)
		if err != nil {
			return nil, s.failed(ctx, who, e, err)
		}
		recognisable := record.Recognisable(p)
		photo.Recognisable = &recognisable
	}
	if photo.DeclaredBy == who.Account && photo.State != Ready {
		return photo, nil // waiting for one's own upload is no reading of a record
	}
	return photo, s.log(ctx, who, e)
}

// photo reads a photo that is not deleted.
func (s *Service) photo(ctx context.Context, who consent.Principal, p id.Photo) (*Photo, error) {
	photo, err := s.Catalogs.ForPractice(who.Practice).Photo(ctx, p)
	if err == nil && photo.State == Removed {
		return nil, ErrNotFound
	}
	return photo, err
}

// PhotosOf lists a patient's photos that are not deleted, oldest first.
// Errors: ErrDenied, ErrNotFound.
func (s *Service) PhotosOf(ctx context.Context, who consent.Principal, p id.Patient) ([]*Photo, error) {
	e := entry(who, audit.PhotoList, audit.Allowed)
	e.Patient = p
	if err := s.allow(ctx, who, consent.SeePhotoExists, e); err != nil {
		return nil, err
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	if _, err := catalog.Patient(ctx, p); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	list, err := catalog.PhotosOf(ctx, p)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	list = slices.DeleteFunc(list, func(p *Photo) bool { return p.State == Removed })
	if list, err = s.own(ctx, who, consent.SeePhotoExists, p, list, e); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b *Photo) int { return a.DeclaredAt.Compare(b.DeclaredAt) })
	return list, s.log(ctx, who, e)
}

// Receipt returns what sanitising found, removed and made, signed.
// Errors: ErrDenied, ErrNotFound (also while the photo is not ready).
func (s *Service) Receipt(ctx context.Context, who consent.Principal, p id.Photo) (*Receipt, error) {
	e := entry(who, audit.PhotoReceipt, audit.Allowed)
	e.Photo = p
	if err := s.allow(ctx, who, consent.ReadReceipt, e); err != nil {
		return nil, err
	}
	photo, err := s.photo(ctx, who, p)
	if err == nil && photo.Receipt == nil {
		err = ErrNotFound
	}
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	e.Patient = photo.Patient
	if err := s.open(ctx, who, consent.ReadReceipt, photo.Patient, photo, e); err != nil {
		return nil, err
	}
	return photo.Receipt, s.log(ctx, who, e)
}

// UsablePhoto is a photo that marketing may use now, and under what. It names
// no patient: marketing has no need to know (164.502(b)).
type UsablePhoto struct {
	Photo  id.Photo
	Kind   string
	View   string
	Usable []consent.Usable
}

// Usable lists what marketing may use now. Errors: ErrDenied.
func (s *Service) Usable(ctx context.Context, who consent.Principal) ([]UsablePhoto, error) {
	e := entry(who, audit.PhotoList, audit.Allowed)
	e.Purpose = string(consent.ForMarketing)
	if err := s.allow(ctx, who, consent.ReleaseMarketing, e); err != nil {
		return nil, err
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	patients, err := catalog.Authorized(ctx)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	campaigns, err := catalog.Campaigns(ctx)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	now, out := s.now(), []UsablePhoto{}
	for _, p := range patients {
		record, err := catalog.Record(ctx, p)
		if err != nil {
			return nil, s.failed(ctx, who, e, err)
		}
		photos, err := catalog.PhotosOf(ctx, p)
		if err != nil {
			return nil, s.failed(ctx, who, e, err)
		}
		for _, photo := range photos {
			if err := ctx.Err(); err != nil { // deciding asks nobody who would notice
				return nil, s.failed(ctx, who, e, fmt.Errorf("%w: %w", ErrUnavailable, err))
			}
			q := consent.Question{Now: now, Who: who, Photo: photo.Subject(), Record: record, Policies: s.Policies}
			if u := consent.UsableNow(q, names(photo.Renditions), campaigns); u != nil {
				out = append(out, UsablePhoto{Photo: photo.ID, Kind: photo.Kind, View: photo.View, Usable: u})
			}
		}
	}
	return out, s.log(ctx, who, e)
}

func names(list []Rendition) []string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = r.Name
	}
	return out
}

// Deletion is what became of a deleted photo.
type Deletion struct {
	Photo id.Photo `json:"photo"`
	// State is "revoked": the wrapped key is removed, and the running system
	// can never open the photo again. Copies of the database from before
	// still hold the wrapped key until it is erased at the key service.
	State     string    `json:"state"`
	DeletedAt time.Time `json:"deleted_at"`
	// ObjectsGone is true when every stored object was removed and verified;
	// otherwise the sweep goes on trying.
	ObjectsGone bool `json:"objects_gone"`
}

// Delete revokes a photo: its key goes in one transaction with the event that
// says so, then its objects. Deleting twice is no error.
// Errors: ErrDenied, ErrNotFound.
func (s *Service) Delete(ctx context.Context, who consent.Principal, p id.Photo) (*Deletion, error) {
	e := entry(who, audit.PhotoDelete, audit.Allowed)
	e.Photo = p
	if err := s.allow(ctx, who, consent.DeletePhoto, e); err != nil {
		return nil, err
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	photo, err := catalog.Photo(ctx, p)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	now := s.now()
	e.Patient = photo.Patient
	if err := s.open(ctx, who, consent.DeletePhoto, photo.Patient, photo, e); err != nil {
		return nil, err
	}
	ev := &consent.Event{ID: id.New[id.Event](), Practice: who.Practice, Patient: photo.Patient, Kind: consent.Deleted,
		Subject: string(p), ReceivedAt: now, EnteredAt: now, EnteredBy: who.Account}
	if photo, err = catalog.DeletePhoto(ctx, p, ev, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	s.streams.recheck()
	s.wakeTellers()
	gone := true
	if err := s.purge(ctx, who.Practice, string(p)); err != nil {
		s.Logger.Warn("objects of a deleted photo remain; the sweep will retry", "photo", p, "error", err)
		gone = false
	}
	return &Deletion{Photo: p, State: "revoked", DeletedAt: photo.DeletedAt, ObjectsGone: gone}, nil
}

// purge removes the dead objects of one owner from the blob store.
func (s *Service) purge(ctx context.Context, p id.Practice, owner string) error {
	dead, err := s.Catalogs.ForPractice(p).DeadObjects(ctx, owner)
	for _, o := range dead {
		err = errors.Join(err, s.bury(ctx, o))
	}
	return err
}
