package consent

import (
	"slices"
	"time"

	"photovault/vault/id"
)

// Purpose is what a photo is opened for.
type Purpose string

// Purposes of a release.
const (
	ForCare      Purpose = "clinical"
	ForMarketing Purpose = "marketing"
)

// Question is everything a release is decided on.
type Question struct {
	Now       time.Time // UTC
	Who       Principal
	Purpose   Purpose
	Patient   id.Patient // whose photo it is
	Photo     id.Photo
	Ready     bool   // its renditions are stored
	Rendition string // "original", "web" or "thumb"
	Recipient string // marketing: who receives it, as named in the authorization
	Channel   string // marketing: where it will appear
	Record    *Record
}

// Refusal is one reason against.
type Refusal struct {
	Code      string `json:"code"`                // stable
	Paragraph string `json:"paragraph,omitempty"` // of 45 CFR
	Sentence  string `json:"sentence"`            // for the person at the front desk
}

// Decision is the answer to a Question. The zero Decision is a refusal.
type Decision struct {
	Allowed  bool
	Basis    []string  // "authorization/ID": the records that allow it
	Refusals []Refusal // when not allowed: at least one
}

// Refusals outside any single authorization.
var (
	refuseRole        = Refusal{"role_not_allowed", "164.312(a)(1)", "Your role may not open photos for this purpose."}
	refusePurpose     = Refusal{"purpose_unknown", "164.508(a)(1)", "Say what the photo is for: clinical or marketing."}
	refusePractice    = Refusal{"not_found", "", "There is no such photo."}
	refuseDeleted     = Refusal{"not_found", "", "There is no such photo."}
	refuseNotReady    = Refusal{"photo_not_ready", "", "The photo has not finished processing, or was rejected."}
	refuseNoConsent   = Refusal{"no_clinical_consent", "164.506(b)", "Record the patient's clinical consent before taking a photo."}
	refuseNoAuthority = Refusal{"no_authorization", "164.508(a)(3)(i)", "The patient has signed no marketing authorization."}
)

// DecideCapture decides whether a photo of the patient may be added.
func DecideCapture(now time.Time, who Principal, r *Record) Decision {
	switch c := r.ActiveClinical(now); {
	case who.Practice != r.Practice:
		return refuse(refusePractice)
	case !who.May(CapturePhoto):
		return refuse(refuseRole)
	case c == nil:
		return refuse(refuseNoConsent)
	default:
		return Decision{Allowed: true, Basis: []string{"clinical/" + string(c.ID)}}
	}
}

// DecideRelease decides whether one rendition may be released. It is pure and
// total: the same question has the same answer, and what is not allowed by a
// rule below is refused.
func DecideRelease(q Question) Decision {
	switch {
	case q.Record == nil, q.Who.Practice != q.Record.Practice, q.Patient != q.Record.Patient:
		return refuse(refusePractice)
	case q.Record.has(Deleted, string(q.Photo)):
		return refuse(refuseDeleted)
	case q.Purpose == ForCare && !q.Who.May(ReleaseClinical), q.Purpose == ForMarketing && !q.Who.May(ReleaseMarketing):
		return refuse(refuseRole)
	case q.Purpose != ForCare && q.Purpose != ForMarketing:
		return refuse(refusePurpose)
	case !q.Ready:
		return refuse(refuseNotReady)
	case q.Purpose == ForCare:
		// Treatment needs no authorization, and a withdrawn clinical consent
		// stops capture but never hides the chart (164.506(c), 164.524).
		return Decision{Allowed: true, Basis: []string{"rule/164.506(c)"}}
	default:
		return decideMarketing(q)
	}
}

// decideMarketing looks for an authorization that allows the release whole;
// two that each allow a part do not add up. Refusals are those of the
// authorization that comes closest.
func decideMarketing(q Question) Decision {
	best := []Refusal{refuseNoAuthority}
	for i := range q.Record.Authorizations {
		a := &q.Record.Authorizations[i]
		against := q.against(a)
		if len(against) == 0 {
			return Decision{Allowed: true, Basis: []string{"authorization/" + string(a.ID)}}
		}
		if i == 0 || len(against) < len(best) {
			best = against
		}
	}
	return refuse(best...)
}

// against lists what speaks against the release under one authorization.
func (q Question) against(a *Authorization) []Refusal {
	var out []Refusal
	check := func(ok bool, code, paragraph, sentence string) {
		if !ok {
			out = append(out, Refusal{code, paragraph, sentence})
		}
	}
	check(len(a.Defects(q.Now)) == 0, "authorization_incomplete", "164.508(b)(2)(ii)",
		"The authorization is not complete; record a complete one.")
	check(!q.Record.has(Revoked, string(a.ID)), "authorization_revoked", "164.508(b)(2)(iii)",
		"The patient has revoked the authorization.")
	check(!q.Record.expired(a, q.Now), "authorization_expired", "164.508(b)(2)(i)",
		"The authorization has expired.")
	check(a.Scope.Covers(q.Photo), "photo_not_in_scope", "164.508(c)(1)(i)",
		"The authorization does not cover this photo.")
	check(q.Rendition != "original" || a.Scope.Original, "rendition_not_authorized", "164.502(b)",
		"The authorization does not allow the full-size original; use the web rendition.")
	check(q.Recipient != "" && slices.Contains(a.Recipients, q.Recipient), "recipient_not_named", "164.508(c)(1)(iii)",
		"The authorization does not name this recipient.")
	check(q.Channel != "" && slices.Contains(a.Channels, q.Channel), "channel_not_named", "164.508(c)(1)(iv)",
		"The authorization does not allow this channel.")
	return out
}

// Usable is what one authorization allows marketing to do with a photo now.
type Usable struct {
	Authorization id.Authorization `json:"authorization"`
	Renditions    []string         `json:"renditions"`
	Recipients    []string         `json:"recipients"`
	Channels      []string         `json:"channels"`
	Purposes      []string         `json:"purposes"`
	Until         time.Time        `json:"until,omitzero"`        // first instant at which it is no longer valid
	UntilEvent    string           `json:"until_event,omitempty"` // or the event that ends it
}

// UsableNow lists, by asking DecideRelease, under which authorizations the
// photo may be used for marketing now.
func UsableNow(now time.Time, who Principal, r *Record, photo id.Photo) []Usable {
	var out []Usable
	for i := range r.Authorizations {
		a := &r.Authorizations[i]
		one := *r
		one.Authorizations = []Authorization{*a}
		u := Usable{Authorization: a.ID, Recipients: a.Recipients, Channels: a.Channels, Purposes: a.Purposes,
			Until: a.ExpiresAt, UntilEvent: a.ExpiryEvent}
		for _, rendition := range []string{"original", "web", "thumb"} {
			q := Question{Now: now, Who: who, Purpose: ForMarketing, Patient: r.Patient, Photo: photo, Ready: true,
				Rendition: rendition, Recipient: first(a.Recipients), Channel: first(a.Channels), Record: &one}
			if DecideRelease(q).Allowed {
				u.Renditions = append(u.Renditions, rendition)
			}
		}
		if len(u.Renditions) > 0 {
			out = append(out, u)
		}
	}
	return out
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}

func refuse(r ...Refusal) Decision { return Decision{Refusals: r} }
