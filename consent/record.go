package consent

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

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
	Teaching   bool        `json:"teaching,omitempty"` // also for teaching inside the practice
	Signer     Signer      `json:"signer"`
	SignedAt   time.Time   `json:"signed_at"`
	Document   string      `json:"document_sha256,omitempty"` // of the signed document, hexadecimal
	DocumentID id.Document `json:"document,omitempty"`        // where the signed document is kept here
	Template   id.Template `json:"template,omitempty"`        // the text that was signed
	RecordedAt time.Time   `json:"recorded_at"`
	RecordedBy id.Account  `json:"recorded_by"`

	TemplateVersion int64 `json:"template_version,omitempty"`
}

// Statements are the mandatory statements of an authorization, each true
// when the signed document contains it.
type Statements struct {
	RightToRevoke bool `json:"right_to_revoke"` // 164.508(c)(2)(i)
	Conditioning  bool `json:"conditioning"`    // 164.508(c)(2)(ii)
	Redisclosure  bool `json:"redisclosure"`    // 164.508(c)(2)(iii)

	Payment bool `json:"payment,omitempty"` // a third party pays for the marketing: 164.508(a)(3)(ii)
	Sale    bool `json:"sale,omitempty"`    // the practice is paid for the photos: 164.508(a)(4)
}

// Scope says which photos an authorization covers: all, or those named by
// themselves, by their set or by their treatment.
type Scope struct {
	AllPhotos  bool           `json:"all_photos,omitempty"`
	Photos     []id.Photo     `json:"photos,omitempty"`
	Sets       []id.Set       `json:"sets,omitempty"`
	Treatments []id.Treatment `json:"treatments,omitempty"`
	Original   bool           `json:"original,omitempty"`    // also the full-size rendition (164.502(b))
	MaskedOnly bool           `json:"masked_only,omitempty"` // only renditions with eyes and marks blacked out
}

// Covers reports whether the photo is within the scope.
func (s Scope) Covers(p *Photo) bool {
	return s.AllPhotos || slices.Contains(s.Photos, p.ID) || p.Set != "" && slices.Contains(s.Sets, p.Set) ||
		p.Treatment != "" && slices.Contains(s.Treatments, p.Treatment)
}

// allows reports whether the scope has the rendition that is asked for. Of a
// photo that nobody marked, nobody said that there is nothing to hide in it:
// under masked only, both photos of a comparison are marked.
func (s Scope) allows(q *Question) bool {
	switch q.Rendition {
	case Masked, MaskedThumb:
		return true
	case MaskedCompare:
		return !s.MaskedOnly || q.all(func(p *Photo) bool { return p.PairMarking != "" })
	case Web, Thumb, Compare:
		return !s.MaskedOnly
	case Original:
		return s.Original && !s.MaskedOnly
	default:
		return false
	}
}

func (s Scope) named() int { return len(s.Photos) + len(s.Sets) + len(s.Treatments) }

// Authorization is a patient's permission to use photos for marketing
// (164.508). While it lacks anything it is a draft, and allows nothing.
type Authorization struct {
	ID              id.Authorization `json:"id"`
	Practice        id.Practice      `json:"practice"`
	Patient         id.Patient       `json:"patient"`
	Description     string           `json:"description"`               // (c)(1)(i)
	Scope           Scope            `json:"scope"`                     // (c)(1)(i), for machines
	Discloser       string           `json:"discloser"`                 // (c)(1)(ii)
	Recipients      []string         `json:"recipients"`                // (c)(1)(iii)
	Purposes        []string         `json:"purposes"`                  // (c)(1)(iv)
	Channels        []string         `json:"channels"`                  // where it may appear: website, social, print, in-office
	ExpiresAt       time.Time        `json:"expires_at,omitzero"`       // (c)(1)(v): first instant at which it is no longer valid
	ExpiryEvent     string           `json:"expiry_event,omitempty"`    // (c)(1)(v): or an event, recorded when it happens
	Signer          Signer           `json:"signer"`                    // (c)(1)(vi)
	SignedAt        time.Time        `json:"signed_at"`                 // (c)(1)(vi)
	Statements      Statements       `json:"statements"`                // (c)(2)
	CopyGivenAt     time.Time        `json:"copy_given_at,omitzero"`    // (c)(4): or an event, when it was given later
	Document        string           `json:"document_sha256,omitempty"` // of the signed document, hexadecimal
	DocumentID      id.Document      `json:"document,omitempty"`        // where the signed document is kept here
	Template        id.Template      `json:"template,omitempty"`        // the text that was signed
	TemplateVersion int64            `json:"template_version,omitempty"`
	Conditioned     bool             `json:"conditioned,omitempty"` // treatment was made to depend on it, (b)(4)
	Supersedes      id.Authorization `json:"supersedes,omitempty"`  // the older one whose place it takes
	RecordedAt      time.Time        `json:"recorded_at"`
	RecordedBy      id.Account       `json:"recorded_by"`
}

// Channels an authorization can name.
var Channels = []string{"website", "social", "print", "in-office"}

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

// Basis names this version of the record in a decision and in the audit log.
func (r *Record) Basis() string {
	return "record/" + string(r.Patient) + "/" + strconv.FormatInt(r.Epoch, 10)
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

// ActiveClinical returns a clinical consent in force at now, or nil.
func (r *Record) ActiveClinical(now time.Time) *Clinical {
	return r.clinical(now, func(*Clinical) bool { return true })
}

func (r *Record) clinical(now time.Time, f func(*Clinical) bool) *Clinical {
	for i := range r.Clinicals {
		c := &r.Clinicals[i]
		if !c.SignedAt.After(now) && !r.has(Revoked, string(c.ID)) && f(c) {
			return c
		}
	}
	return nil
}

// authorization returns the one of that id, or nil.
func (r *Record) authorization(subject string) *Authorization {
	for i := range r.Authorizations {
		if string(r.Authorizations[i].ID) == subject {
			return &r.Authorizations[i]
		}
	}
	return nil
}

// Status is what has become of a consent or an authorization.
type Status string

// Statuses. Where several hold, the first of them is told.
const (
	StatusUnknown    Status = ""
	StatusRevoked    Status = "revoked"
	StatusDefective  Status = "defective" // known to be false, compound or conditioned: 164.508(b)(2) to (4)
	StatusSuperseded Status = "superseded"
	StatusExpired    Status = "expired"
	StatusDraft      Status = "draft" // it lacks something
	StatusUnsigned   Status = "not yet signed"
	StatusActive     Status = "active"
)

// Status of a consent or authorization at now.
func (r *Record) Status(subject string, now time.Time) Status {
	for i := range r.Clinicals {
		switch c := &r.Clinicals[i]; {
		case string(c.ID) != subject:
		case r.has(Revoked, subject):
			return StatusRevoked
		case c.SignedAt.After(now):
			return StatusUnsigned
		default:
			return StatusActive
		}
	}
	a := r.authorization(subject)
	if a == nil {
		return StatusUnknown
	}
	h := r.happenings()
	switch of := h.of[subject]; {
	case of.revoked:
		return StatusRevoked
	case of.foundFalse, r.compound(a), a.Conditioned:
		return StatusDefective
	case h.superseded(a, now):
		return StatusSuperseded
	case of.expired, a.expired(now):
		return StatusExpired
	case len(a.with(of).Defects(now)) > 0:
		return StatusDraft
	default:
		return StatusActive
	}
}

// Lacks returns what an authorization of the record lacks; none means that it
// is no draft.
func (r *Record) Lacks(a *Authorization, now time.Time) []Defect {
	return a.with(r.happenings().of[string(a.ID)]).Defects(now)
}

// with is the authorization with the copy that the patient was given since.
func (a *Authorization) with(of happening) *Authorization {
	if of.copyGiven.IsZero() || !a.CopyGivenAt.IsZero() {
		return a
	}
	whole := *a
	whole.CopyGivenAt = of.copyGiven
	return &whole
}

func (a *Authorization) expired(now time.Time) bool {
	return !a.ExpiresAt.IsZero() && !now.Before(a.ExpiresAt)
}

// superseded: a draft takes nobody's place.
func (h happenings) superseded(a *Authorization, now time.Time) bool {
	return h.supersededBy(a, now) != nil
}

func (h happenings) supersededBy(a *Authorization, now time.Time) *Authorization {
	for _, newer := range h.newer {
		if newer.Supersedes == a.ID && len(newer.with(h.of[string(newer.ID)]).Defects(now)) == 0 {
			return newer
		}
	}
	return nil
}

// compound: one document cannot be a consent for care and an authorization
// (164.508(b)(3)).
func (r *Record) compound(a *Authorization) bool { return r.compoundWith(a) != nil }

func (r *Record) compoundWith(a *Authorization) *Clinical {
	for i := range r.Clinicals {
		if a.Document != "" && r.Clinicals[i].Document == a.Document {
			return &r.Clinicals[i]
		}
	}
	return nil
}

// Blank reports whether a text shows nothing: space, or what is not seen at all.
func Blank(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsPrint(r) && r != ' ' })
}

// Dated reports whether the instant is one that somebody can have meant, and
// that every format of records holds: RFC 3339 has four digits for the year,
// also after the instant was moved to UTC.
func Dated(t time.Time) bool {
	y := t.UTC().Year()
	return 1900 <= y && y <= 9999
}
