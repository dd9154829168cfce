package consent

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"photovault/vault/canon"
	"photovault/vault/id"
)

// Signer is who signed a consent or authorization. Where a representative
// signs for the patient, Authority describes the right to do so
// (164.508(c)(1)(vi)).
type Signer struct {
	Name             string `json:"name"`
	IsRepresentative bool   `json:"is_representative,omitempty"`
	Authority        string `json:"authority,omitempty"`
}

// Clinical is a consent to photograph for care (164.506(b)). It governs new
// capture; withdrawing it never hides the chart from those who treat.
type Clinical struct {
	ID         id.Consent  `json:"id"`
	Practice   id.Practice `json:"practice"`
	Patient    id.Patient  `json:"patient"`
	Signer     Signer      `json:"signer"`
	SignedAt   time.Time   `json:"signed_at"`
	RecordedAt time.Time   `json:"recorded_at"`
	RecordedBy id.Account  `json:"recorded_by"`
}

// Statements are the mandatory statements of an authorization, each true
// when the signed document contains it.
type Statements struct {
	RightToRevoke bool `json:"right_to_revoke"` // 164.508(c)(2)(i)
	Conditioning  bool `json:"conditioning"`    // 164.508(c)(2)(ii)
	Redisclosure  bool `json:"redisclosure"`    // 164.508(c)(2)(iii)
}

// Scope says which photos an authorization covers: those named, or all.
type Scope struct {
	AllPhotos bool       `json:"all_photos,omitempty"`
	Photos    []id.Photo `json:"photos,omitempty"`
	Original  bool       `json:"original,omitempty"` // also the full-size rendition (164.502(b))
}

// Covers reports whether the photo is within the scope.
func (s Scope) Covers(p id.Photo) bool { return s.AllPhotos || slices.Contains(s.Photos, p) }

// Authorization is a patient's permission to use photos for marketing
// (164.508). It is complete or it is not recorded.
type Authorization struct {
	ID          id.Authorization `json:"id"`
	Practice    id.Practice      `json:"practice"`
	Patient     id.Patient       `json:"patient"`
	Description string           `json:"description"`            // (c)(1)(i)
	Scope       Scope            `json:"scope"`                  // (c)(1)(i), for machines
	Discloser   string           `json:"discloser"`              // (c)(1)(ii)
	Recipients  []string         `json:"recipients"`             // (c)(1)(iii)
	Purposes    []string         `json:"purposes"`               // (c)(1)(iv)
	Channels    []string         `json:"channels"`               // where it may appear: website, social, print, in-office
	ExpiresAt   time.Time        `json:"expires_at,omitzero"`    // (c)(1)(v): first instant at which it is no longer valid
	ExpiryEvent string           `json:"expiry_event,omitempty"` // (c)(1)(v): or an event, recorded when it happens
	Signer      Signer           `json:"signer"`                 // (c)(1)(vi)
	SignedAt    time.Time        `json:"signed_at"`              // (c)(1)(vi)
	Statements  Statements       `json:"statements"`             // (c)(2)
	CopyGivenAt time.Time        `json:"copy_given_at,omitzero"` // (c)(4)
	RecordedAt  time.Time        `json:"recorded_at"`
	RecordedBy  id.Account       `json:"recorded_by"`
}

// Channels an authorization can name.
var Channels = []string{"website", "social", "print", "in-office"}

// EventKind is what happened to a consent, an authorization or a photo.
type EventKind string

// Event kinds. Revoked ends a consent or authorization (164.508(b)(5));
// Expired records that its expiry event happened; Deleted ends a photo.
const (
	Revoked EventKind = "revoked"
	Expired EventKind = "expired"
	Deleted EventKind = "deleted"
)

// Event is appended to a patient's record and never changed.
type Event struct {
	ID         id.Event    `json:"id"`
	Practice   id.Practice `json:"practice"`
	Patient    id.Patient  `json:"patient"`
	Kind       EventKind   `json:"kind"`
	Subject    string      `json:"subject"`     // id of the consent, authorization or photo
	ReceivedAt time.Time   `json:"received_at"` // when the practice was told
	EnteredAt  time.Time   `json:"entered_at"`  // when photovault was told: from here on it is obeyed
	EnteredBy  id.Account  `json:"entered_by"`
}

// Record is all that decides about one patient's photos. Its rows are
// append-only; Epoch grows by one with each.
type Record struct {
	Practice       id.Practice
	Patient        id.Patient
	Epoch          int64
	Clinicals      []Clinical
	Authorizations []Authorization
	Events         []Event
}

// Digest commits to which rows the record has. The patient's sealed head
// holds it, so that a row taken out of the database, or put back in, shows.
func (r *Record) Digest() [sha256.Size]byte {
	var rows []string
	for _, c := range r.Clinicals {
		rows = append(rows, "clinical/"+string(c.ID))
	}
	for _, a := range r.Authorizations {
		rows = append(rows, "authorization/"+string(a.ID))
	}
	for _, e := range r.Events {
		rows = append(rows, "event/"+string(e.ID))
	}
	slices.Sort(rows)
	return sha256.Sum256(canon.Encode("photovault/patient-head/v1",
		append([]string{string(r.Practice), string(r.Patient)}, rows...)...))
}

func (r *Record) has(kind EventKind, subject string) bool {
	return slices.ContainsFunc(r.Events, func(e Event) bool { return e.Kind == kind && e.Subject == subject })
}

// ActiveClinical returns a clinical consent in force at now, or nil.
func (r *Record) ActiveClinical(now time.Time) *Clinical {
	for i := range r.Clinicals {
		c := &r.Clinicals[i]
		if !c.SignedAt.After(now) && !r.has(Revoked, string(c.ID)) {
			return c
		}
	}
	return nil
}

// Status of a consent or authorization at now: "active", "revoked",
// "expired" or "not yet signed".
func (r *Record) Status(subject string, now time.Time) string {
	if r.has(Revoked, subject) {
		return "revoked"
	}
	for _, a := range r.Authorizations {
		switch {
		case string(a.ID) != subject:
		case r.expired(&a, now):
			return "expired"
		case a.SignedAt.After(now):
			return "not yet signed"
		}
	}
	return "active"
}

func (r *Record) expired(a *Authorization, now time.Time) bool {
	return (!a.ExpiresAt.IsZero() && !now.Before(a.ExpiresAt)) || r.has(Expired, string(a.ID))
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
