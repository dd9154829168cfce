package vault

import (
	"context"
	"slices"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// Happening is an event to be entered into a patient's record.
type Happening struct {
	Kind     consent.EventKind
	Patient  id.Patient // where Subject does not tell whose record it is
	Subject  string     // id of what Kind says
	Received time.Time  // when the practice was told; zero: now
	Purposes []consent.Purpose
	Reason   string

	Regions      []consent.Region
	With         id.Photo
	Masked       bool
	Recognisable *bool
}

// acts are the events that people enter, and what entering one takes.
var acts = map[consent.EventKind]consent.Act{
	consent.Revoked:    consent.RevokeConsent,
	consent.Expired:    consent.RevokeConsent,
	consent.FoundFalse: consent.RevokeConsent,
	consent.CopyGiven:  consent.RecordConsent,
	consent.Restricted: consent.Restrict,
	consent.Assigned:   consent.AssignProvider,
	consent.Emergency:  consent.DeclareEmergency,
	consent.Reviewed:   consent.ReviewEmergency,
}

// Enter appends an event to a patient's record. From the moment it returns on,
// every decision that begins finds it. Revoking never takes more than
// recording did: no relation to the patient is asked for (164.508(b)(5)).
// Errors: ErrDenied, ErrInvalid, ErrNotFound, ConflictError already_recorded.
func (s *Service) Enter(ctx context.Context, who consent.Principal, h Happening) (*consent.Event, error) {
	action := audit.RecordEvent
	if h.Kind == consent.Revoked || h.Kind == consent.Expired {
		action = audit.ConsentRevoke
	}
	e := entry(who, action, audit.Allowed)
	e.Subject, e.Reason, e.Patient = h.Subject, string(h.Kind), h.Patient
	act, ok := acts[h.Kind]
	if !ok {
		return nil, s.failed(ctx, who, e, invalid("kind", "No such event is entered."))
	}
	if err := s.allow(ctx, who, act, e); err != nil {
		return nil, err
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	err := h.check(s.now())
	switch {
	case err != nil || h.Patient != "":
	case h.Kind == consent.Reviewed:
		h.Patient, _, err = catalog.Event(ctx, id.Event(h.Subject))
	default:
		h.Patient, err = catalog.PatientOf(ctx, h.Subject)
	}
	if err == nil {
		err = s.checkSubject(ctx, who, catalog, &h)
	}
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	e.Patient = h.Patient
	if who.Role == consent.Provider && slices.Contains([]consent.EventKind{consent.Assigned, consent.CopyGiven, consent.Restricted}, h.Kind) {
		if err := s.open(ctx, who, act, h.Patient, nil, e); err != nil {
			return nil, err
		}
	}
	return s.append(ctx, who, h, e)
}

// EndEvent ends a restriction or an assignment. Errors: as Enter's.
func (s *Service) EndEvent(ctx context.Context, who consent.Principal, ev id.Event) (*consent.Event, error) {
	e := entry(who, audit.RecordEvent, audit.Allowed)
	e.Subject, e.Reason = string(ev), string(consent.Ended)
	catalog := s.Catalogs.ForPractice(who.Practice)
	patient, old, err := catalog.Event(ctx, ev)
	if err == nil && old.Kind != consent.Restricted && old.Kind != consent.Assigned {
		err = ErrNotFound
	}
	if err != nil {
		if err := s.allow(ctx, who, consent.Restrict, e); err != nil { // who may end none learns nothing
			return nil, err
		}
		return nil, s.failed(ctx, who, e, err)
	}
	e.Patient = patient
	if err := s.open(ctx, who, acts[old.Kind], patient, nil, e); err != nil {
		return nil, err
	}
	return s.append(ctx, who, Happening{Kind: consent.Ended, Patient: patient, Subject: string(ev)}, e)
}

func (s *Service) append(ctx context.Context, who consent.Principal, h Happening, e *audit.Entry) (*consent.Event, error) {
	now := s.now()
	ev := &consent.Event{ID: id.New[id.Event](), Practice: who.Practice, Patient: h.Patient, Kind: h.Kind, Subject: h.Subject,
		ReceivedAt: or(h.Received, now), EnteredAt: now, EnteredBy: who.Account, Purposes: h.Purposes, Reason: h.Reason,
		Regions: h.Regions, With: h.With, Masked: h.Masked, Recognisable: h.Recognisable}
	e.Records = append(e.Records, "event/"+string(ev.ID))
	if err := s.Catalogs.ForPractice(who.Practice).AddEvent(ctx, ev, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	if h.Kind == consent.Emergency {
		s.Logger.Error("ALERT: a record was opened in an emergency; a review is owed", "event", ev.ID, "account", who.Account)
	}
	s.wakeTellers()
	s.streams.recheck()
	return ev, nil
}

func (h *Happening) check(now time.Time) error {
	switch {
	case !h.Received.IsZero() && !consent.Dated(h.Received):
		return invalid("received_at", "Give a day in four digits of a year, from 1900 on.")
	case h.Received.After(now):
		return invalid("received_at", "It cannot have been received in the future.")
	case len(h.Reason) > consent.MaxText:
		return invalid("reason", "A reason has at most 4,000 bytes.")
	case (h.Kind == consent.Restricted || h.Kind == consent.Emergency) && consent.Blank(h.Reason):
		return invalid("reason", "Give the reason.")
	case h.Kind == consent.Restricted && len(h.Purposes) == 0:
		return invalid("purposes", "Say what the photos may not be used for: clinical, teaching, marketing.")
	case len(h.Purposes) > len(consent.Purposes), slices.ContainsFunc(h.Purposes, func(p consent.Purpose) bool { return !slices.Contains(consent.Purposes, p) }):
		return invalid("purposes", "Choose among clinical, teaching and marketing.")
	}
	return nil
}

// checkSubject: what the record itself cannot know.
func (s *Service) checkSubject(ctx context.Context, who consent.Principal, catalog Catalog, h *Happening) error {
	switch h.Kind {
	case consent.Restricted:
		if h.Subject == string(h.Patient) {
			return nil
		}
		photo, err := s.photo(ctx, who, id.Photo(h.Subject))
		if err == nil && photo.Patient != h.Patient {
			err = ErrNotFound
		}
		return err
	case consent.Emergency:
		h.Subject = string(who.Account)
	case consent.Assigned:
		list, err := catalog.ListAccounts(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list, func(a *Account) bool {
			return string(a.ID) == h.Subject && a.Role == consent.Provider && a.Active()
		}) {
			return invalid("account", "Name a provider's account that is in use.")
		}
	}
	return nil
}
