package consent

import (
	"slices"
	"time"

	"photovault/vault/id"
)

// Against is something that speaks against a release that was made, and the
// record that says so: "event/ID", "authorization/ID", "clinical/ID".
type Against struct {
	Refusal
	Cause string
}

var (
	photoDeleted = Refusal{"photo_deleted", "", "The photo was deleted."}
	unknownBasis = Refusal{"authorization_unknown", "164.508(a)(3)(i)", "The record does not know the authorization that the release names."}
)

// Withdraws reports whether what was just added to the record may end what an
// earlier release stands on: whether it is worth looking at them.
func (r *Record) Withdraws(added any) bool {
	switch v := added.(type) {
	case *Event:
		switch v.Kind {
		case Expired, FoundFalse, Deleted, CopyGiven: // a copy can make a draft whole, which then supersedes
			return true
		case Revoked:
			return r.authorization(v.Subject) != nil
		case Restricted:
			return slices.Contains(v.Purposes, ForMarketing)
		}
	case *Authorization:
		return v.Supersedes != ""
	case *Clinical:
		return v.Document != "" // it may make an authorization compound
	}
	return false
}

// Withdrawn says why a release for marketing must come down, or nil where it may
// stand. What expired or was superseded may stand while another authorization
// in force would allow the same; what was revoked or is defective may not:
// the patient, or the law, spoke about it. c is the release's campaign.
func (r *Record) Withdrawn(rel *Released, photo *Photo, c *Campaign, now time.Time) *Against {
	for _, p := range rel.shown() {
		if e := r.event(Deleted, string(p)); e != nil {
			return &Against{photoDeleted, "event/" + string(e.ID)}
		}
		if e := r.restricted(p, ForMarketing); e != nil {
			return &Against{photoRestricted, "event/" + string(e.ID)}
		}
	}
	a := r.authorization(string(rel.Authorization))
	if a == nil {
		return &Against{unknownBasis, "authorization/" + string(rel.Authorization)}
	}
	if e := r.event(Revoked, string(a.ID)); e != nil {
		return &Against{revoked, "event/" + string(e.ID)}
	}
	if e := r.event(FoundFalse, string(a.ID)); e != nil {
		return &Against{foundFalse, "event/" + string(e.ID)}
	}
	if c := r.compoundWith(a); c != nil {
		return &Against{compound, "clinical/" + string(c.ID)}
	}
	if a.Conditioned {
		return &Against{conditioned, "authorization/" + string(a.ID)}
	}
	var why *Against
	h := r.happenings()
	if e := r.event(Expired, string(a.ID)); e != nil {
		why = &Against{expired, "event/" + string(e.ID)}
	} else if a.expired(now) {
		why = &Against{expired, "authorization/" + string(a.ID)}
	} else if newer := h.supersededBy(a, now); newer != nil {
		why = &Against{superseded, "authorization/" + string(newer.ID)}
	}
	if why == nil || photo != nil && c != nil && r.covers(rel, photo, c, now, h) {
		return nil
	}
	return why
}

// covers reports whether another authorization in force would allow what was
// released. Of a comparison that was made anew with another photo since, nobody asks.
func (r *Record) covers(rel *Released, photo *Photo, c *Campaign, now time.Time, h happenings) bool {
	if other, _ := photo.beside(rel.Rendition); rel.Beside != "" && (other == nil || other.ID != rel.Beside) {
		return false
	}
	q := Question{Now: now, Photo: *photo, Rendition: rel.Rendition, Recipient: rel.Recipient, Channel: rel.Channel, Campaign: c, Record: r}
	return slices.ContainsFunc(r.Authorizations, func(b Authorization) bool { return b.ID != rel.Authorization && len(q.against(nil, &b, h)) == 0 })
}

// Flaws says what, as is known now, was wrong with a release for marketing when
// it was made: such a release was not made under a valid authorization
// (164.508(b)(2)), whatever was known at the time.
func (r *Record) Flaws(rel *Released) []Against {
	a := r.authorization(string(rel.Authorization))
	if a == nil {
		return []Against{{unknownBasis, "authorization/" + string(rel.Authorization)}}
	}
	var out []Against
	for i := range r.Events {
		e := &r.Events[i]
		// The practice had been told, and photovault had not.
		late := e.ReceivedAt.Before(e.EnteredAt) && !rel.At.Before(e.ReceivedAt)
		var why Refusal
		switch {
		case e.Subject == string(a.ID) && e.Kind == FoundFalse:
			why = foundFalse
		case e.Subject == string(a.ID) && e.Kind == Revoked && late:
			why = revoked
		case e.Subject == string(a.ID) && e.Kind == Expired && late:
			why = expired
		case e.Kind == Restricted && late && rel.At.Before(e.EnteredAt) && slices.Contains(e.Purposes, ForMarketing) &&
			(e.Subject == string(r.Patient) || slices.Contains(rel.shown(), id.Photo(e.Subject))):
			why = photoRestricted
		default:
			continue
		}
		out = append(out, Against{why, "event/" + string(e.ID)})
	}
	if c := r.compoundWith(a); c != nil {
		out = append(out, Against{compound, "clinical/" + string(c.ID)})
	}
	self := "authorization/" + string(a.ID)
	if a.Conditioned {
		out = append(out, Against{conditioned, self})
	}
	if a.expired(rel.At) && r.event(Expired, string(a.ID)) == nil {
		out = append(out, Against{expired, self})
	}
	return out
}

// Lapsed returns the authorizations whose date of expiry has come and of which
// the record does not say so yet. Drafts and what was revoked are left out:
// nothing can have been released under them since.
func (r *Record) Lapsed(now time.Time) []*Authorization {
	var out []*Authorization
	h := r.happenings()
	for i := range r.Authorizations {
		a := &r.Authorizations[i]
		of := h.of[string(a.ID)]
		if a.expired(now) && !of.expired && !of.revoked && len(a.with(of).Defects(now)) == 0 {
			out = append(out, a)
		}
	}
	return out
}

// event returns the first of the kind about the subject, or nil.
func (r *Record) event(kind EventKind, subject string) *Event {
	for i := range r.Events {
		if e := &r.Events[i]; e.Kind == kind && e.Subject == subject {
			return e
		}
	}
	return nil
}
