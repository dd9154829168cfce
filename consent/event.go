package consent

import (
	"slices"
	"time"

	"photovault/vault/id"
)

// EventKind is what happened to a consent, an authorization, a photo or the
// relation to a provider.
type EventKind string

// Event kinds and what their Subject is.
const (
	Revoked    EventKind = "revoked"     // a consent or authorization, 164.508(b)(5)
	Expired    EventKind = "expired"     // an authorization whose expiry event has happened, 164.508(c)(1)(v)
	FoundFalse EventKind = "found-false" // an authorization with something material known to be false, 164.508(b)(2)(v)
	CopyGiven  EventKind = "copy-given"  // an authorization whose signed copy the patient was given, 164.508(c)(4)
	Deleted    EventKind = "deleted"     // a photo
	Restricted EventKind = "restricted"  // a photo, or the patient for all of them, 164.522(a)
	Assigned   EventKind = "assigned"    // a provider's account, who treats the patient from here on
	Emergency  EventKind = "emergency"   // a provider's account, who opened the record without treating the patient, 164.312(a)(2)(ii)
	Ended      EventKind = "ended"       // an event of kind Restricted or Assigned
	Questioned EventKind = "questioned"  // what shows that releases were not allowed when they were made, as the log has them: a review is owed
	Marked     EventKind = "marked"      // a photo, whose regions are blacked out in its masked rendition
	Compared   EventKind = "compared"    // a photo that is shown beside another, and which part of each
	Recognised EventKind = "recognised"  // a photo, of which a person said whether it shows who it is, 164.514(b)(2)(i)(Q)
	Reviewed   EventKind = "reviewed"    // an event of kind Emergency or Questioned that the privacy officer has looked at
)

// EmergencyLife is how long an emergency opens a patient's record.
const EmergencyLife = time.Hour

// Event is appended to a patient's record and never changed.
type Event struct {
	ID         id.Event    `json:"id"`
	Practice   id.Practice `json:"practice"`
	Patient    id.Patient  `json:"patient"`
	Kind       EventKind   `json:"kind"`
	Subject    string      `json:"subject"`     // id of what Kind says
	ReceivedAt time.Time   `json:"received_at"` // when the practice was told
	EnteredAt  time.Time   `json:"entered_at"`  // when photovault was told: from here on it is obeyed
	EnteredBy  id.Account  `json:"entered_by"`
	Purposes   []Purpose   `json:"purposes,omitempty"` // of a restriction: what it forbids
	Reason     string      `json:"reason,omitempty"`   // of a restriction or an emergency

	Regions      []Region `json:"regions,omitempty"`      // of a marking: what is hidden; of a comparison: what is shown of the other, and of this
	With         id.Photo `json:"with,omitempty"`         // of a comparison: the other photo, from before
	Masked       bool     `json:"masked,omitempty"`       // of a comparison: what is marked in either is hidden in it
	Recognisable *bool    `json:"recognisable,omitempty"` // of kind Recognised
}

// Region is a part of an upright photo, in ten thousandths of its width and
// height from its left and upper edge.
type Region struct {
	Shape  string `json:"shape"` // rectangle, or ellipse for the one inscribed
	X      int    `json:"x"`
	Y      int    `json:"y"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	// Unit of the four numbers: ten thousandths of the photo's width and height when empty, which is how they
	// are recorded, or pixels of its web rendition.
	Unit string `json:"unit,omitempty"`
}

// Pixels is the unit of regions that are given in pixels of the web rendition.
const Pixels = "pixels"

// Of is the region of a photo whose web rendition has so many pixels, in ten thousandths. It grows to
// whole ones: what was to be hidden is.
func (r Region) Of(width, height int) Region {
	if r.Unit != Pixels || width < 1 || height < 1 || r.X < 0 || r.Y < 0 || r.Width < 1 || r.Height < 1 ||
		r.X > width-r.Width || r.Y > height-r.Height {
		return r // which is not valid as long as it has a unit
	}
	side := func(at, size, whole int) (int, int) {
		from := at * RegionUnit / whole
		return from, (at+size)*RegionUnit/whole + min(1, (at+size)*RegionUnit%whole) - from
	}
	r.X, r.Width = side(r.X, r.Width, width)
	r.Y, r.Height = side(r.Y, r.Height, height)
	r.Unit = ""
	return r
}

// Bounds of regions.
const (
	RegionUnit = 10000
	MaxRegions = 32
)

// Valid reports that the region has an area and lies within the photo.
func (r Region) Valid() bool {
	side := func(at, size int) bool { return at >= 0 && size > 0 && size <= RegionUnit && at <= RegionUnit-size }
	return r.Unit == "" && (r.Shape == "rectangle" || r.Shape == "ellipse") && side(r.X, r.Width) && side(r.Y, r.Height)
}

// marking returns the newest event that marked regions of the photo; empty:
// nobody did.
func (r *Record) marking(p id.Photo) id.Event {
	for i := len(r.Events) - 1; i >= 0; i-- {
		if e := &r.Events[i]; e.Kind == Marked && e.Subject == string(p) {
			return e.ID
		}
	}
	return ""
}

// Recognisable reports whether the photo may show who it is. What nobody has
// said anything of counts as recognisable, and a mask changes nothing about
// it: nothing is called de-identified by photovault.
func (r *Record) Recognisable(p id.Photo) bool {
	for i := len(r.Events) - 1; i >= 0; i-- {
		if e := &r.Events[i]; e.Kind == Recognised && e.Subject == string(p) && e.Recognisable != nil {
			return *e.Recognisable
		}
	}
	return true
}

// EventRefusal is why an event cannot be appended to a record.
type EventRefusal string

// Why an event is not accepted.
const (
	EventSubjectUnknown EventRefusal = "subject_unknown"
	EventTwice          EventRefusal = "already_recorded"
	EventIncomplete     EventRefusal = "event_incomplete"
	EventTooEarly       EventRefusal = "event_too_early" // before what it is about was signed
)

// Accepts decides whether the event may follow on what the record holds; an
// empty answer means that it may. That a photo or an account exists, the
// record does not know.
func (r *Record) Accepts(e *Event) EventRefusal {
	switch e.Kind {
	case Revoked:
		if r.authorization(e.Subject) == nil && !slices.ContainsFunc(r.Clinicals, func(c Clinical) bool { return string(c.ID) == e.Subject }) {
			return EventSubjectUnknown
		}
	case Expired, FoundFalse, CopyGiven:
		a := r.authorization(e.Subject)
		if a == nil {
			return EventSubjectUnknown
		}
		if e.Kind == CopyGiven && !a.CopyGivenAt.IsZero() {
			return EventTwice
		}
		if e.Kind == CopyGiven && a.copyTooEarly(e.ReceivedAt) {
			return EventTooEarly
		}
	case Ended:
		if !r.hasEvent(e.Subject, Restricted, Assigned) {
			return EventSubjectUnknown
		}
	case Reviewed:
		if !r.hasEvent(e.Subject, Emergency, Questioned) {
			return EventSubjectUnknown
		}
	case Restricted:
		if len(e.Purposes) == 0 || Blank(e.Reason) || slices.ContainsFunc(e.Purposes, func(p Purpose) bool { return !slices.Contains(Purposes, p) }) {
			return EventIncomplete
		}
		return "" // several may stand beside each other
	case Marked, Compared:
		n := len(e.Regions)
		if n == 0 || n > MaxRegions || e.Kind == Compared && (n != 2 || e.With == "" || string(e.With) == e.Subject) ||
			slices.ContainsFunc(e.Regions, func(g Region) bool { return !g.Valid() }) {
			return EventIncomplete
		}
		return "" // the newest counts
	case Recognised:
		if e.Recognisable == nil {
			return EventIncomplete
		}
		return ""
	case Emergency:
		if Blank(e.Reason) {
			return EventIncomplete
		}
		return ""
	case Assigned:
		if r.assigned(id.Account(e.Subject)) != nil {
			return EventTwice
		}
		return ""
	case Deleted:
	default:
		return EventIncomplete
	}
	if r.has(e.Kind, e.Subject) {
		return EventTwice
	}
	return ""
}

func (r *Record) has(kind EventKind, subject string) bool {
	return slices.ContainsFunc(r.Events, func(e Event) bool { return e.Kind == kind && e.Subject == subject })
}

// happenings are the events of a record by subject, and its authorizations that
// would take the place of others, read once for a decision that asks for many.
type happenings struct {
	of    map[string]happening
	newer []*Authorization
}

type happening struct {
	revoked, expired, foundFalse bool
	copyGiven                    time.Time
}

func (r *Record) happenings() happenings {
	h := happenings{of: make(map[string]happening, len(r.Events))}
	for i := range r.Events {
		e := &r.Events[i]
		of := h.of[e.Subject]
		switch e.Kind {
		case Revoked:
			of.revoked = true
		case Expired:
			of.expired = true
		case FoundFalse:
			of.foundFalse = true
		case CopyGiven:
			of.copyGiven = e.ReceivedAt
		default:
			continue
		}
		h.of[e.Subject] = of
	}
	for i := range r.Authorizations {
		if a := &r.Authorizations[i]; a.Supersedes != "" && a.Supersedes != a.ID {
			h.newer = append(h.newer, a)
		}
	}
	return h
}

func (r *Record) hasEvent(event string, kinds ...EventKind) bool {
	return slices.ContainsFunc(r.Events, func(e Event) bool { return string(e.ID) == event && slices.Contains(kinds, e.Kind) })
}

// standing returns the first event for which f holds and that has not ended.
func (r *Record) standing(f func(*Event) bool) *Event {
	for i := range r.Events {
		if e := &r.Events[i]; f(e) && !r.has(Ended, string(e.ID)) {
			return e
		}
	}
	return nil
}

func (r *Record) assigned(a id.Account) *Event {
	return r.standing(func(e *Event) bool { return e.Kind == Assigned && e.Subject == string(a) })
}

// emergency returns the account's emergency that is open at now.
func (r *Record) emergency(a id.Account, now time.Time) *Event {
	return r.standing(func(e *Event) bool {
		return e.Kind == Emergency && e.Subject == string(a) && !now.Before(e.EnteredAt) && now.Before(e.EnteredAt.Add(EmergencyLife))
	})
}

// restricted returns a restriction of the photo, or of all the patient's, for
// the purpose.
func (r *Record) restricted(p id.Photo, purpose Purpose) *Event {
	return r.standing(func(e *Event) bool {
		return e.Kind == Restricted && (e.Subject == string(p) || e.Subject == string(r.Patient)) && slices.Contains(e.Purposes, purpose)
	})
}

// Owed returns what asks for a review, and nobody has reviewed yet.
func (r *Record) Owed() []Event {
	var out []Event
	for _, e := range r.Events {
		if (e.Kind == Emergency || e.Kind == Questioned) && !r.has(Reviewed, string(e.ID)) {
			out = append(out, e)
		}
	}
	return out
}
