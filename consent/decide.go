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
	ForTeaching  Purpose = "teaching" // inside the practice
	ForMarketing Purpose = "marketing"
)

// Purposes of a release, all of them.
var Purposes = []Purpose{ForCare, ForTeaching, ForMarketing}

// Renditions that a photo can have.
const (
	Original      = "original"
	Web           = "web"
	Thumb         = "thumb"
	Masked        = "masked"         // eyes and marks blacked out
	MaskedThumb   = "masked-thumb"   // the same, small
	Compare       = "compare"        // the photo beside another of the patient
	MaskedCompare = "masked-compare" // the same, where each of the two that is marked is masked
)

// Photo is what a decision needs to know of a photo.
type Photo struct {
	ID         id.Photo
	Patient    id.Patient
	Set        id.Set
	Treatment  id.Treatment
	DeclaredBy id.Account
	SetBy      id.Account // who made its set
	Ready      bool       // its renditions are stored

	Marking      id.Event // what its masked rendition was made by
	ThumbMarking id.Event `json:",omitempty"` // and that of it in small
	With         *Photo   // what its rendition compare shows beside it; nil: it has none

	PairMarking id.Event `json:",omitempty"` // what it is masked by in a masked-compare; empty: it is shown whole there
	MaskedWith  *Photo   `json:",omitempty"` // what its masked-compare shows beside it; nil: it has none
}

// beside is the other photo that the rendition shows, if it is one of two photos. It is nil where there
// should be one and is not.
func (p *Photo) beside(rendition string) (other *Photo, compares bool) {
	switch rendition {
	case Compare:
		return p.With, true
	case MaskedCompare:
		return p.MaskedWith, true
	default:
		return nil, false
	}
}

// Question is everything a release is decided on.
type Question struct {
	Now       time.Time // UTC
	Who       Principal
	Purpose   Purpose
	Photo     Photo
	Rendition string
	Recipient string    // marketing: who receives it, as named in the authorization
	Channel   string    // marketing: where it will appear
	Campaign  *Campaign // marketing: what it is for
	Record    *Record   // of the patient
	Policies  *Policies // of the practice; nil: none

	Authorization id.Authorization // marketing: the one that must allow it; empty: any
}

// Decision is the answer to a Question. The zero Decision is a refusal.
type Decision struct {
	Allowed  bool
	Basis    []string  // "authorization/ID", "rule/164.506(c)": the records and rules that allow it
	Refusals []Refusal // when not allowed: at least one

	Authorization id.Authorization // marketing: the one that allows it
}

// DecideCapture decides whether a photo of the patient may be added.
func DecideCapture(now time.Time, who Principal, r *Record) Decision {
	c := r.ActiveClinical(now)
	switch {
	case who.Practice != r.Practice:
		return refuse(notFound)
	case !who.May(CapturePhoto):
		return refuse(roleNotAllowed)
	case c == nil:
		return refuse(noClinicalConsent)
	default:
		return Decision{Allowed: true, Basis: []string{"clinical/" + string(c.ID)}}
	}
}

// inEmergency are the acts on a record that an emergency opens: what is read for
// care. It changes nothing that outlasts it, least of all who treats the
// patient, what the patient agreed to, or what is there (164.312(a)(2)(ii)).
var inEmergency = map[Act]bool{SeePhotoExists: true, ReadReceipt: true, ListConsents: true}

// DecideAccess decides whether an act on a patient's record, or on one of the
// patient's photos, is open to the principal. Providers see their own patients
// only; p is nil where the act is not about one photo.
func DecideAccess(now time.Time, who Principal, act Act, r *Record, p *Photo) Decision {
	switch {
	case r == nil, who.Practice != r.Practice, p != nil && p.Patient != r.Patient:
		return refuse(notFound)
	case !who.May(act):
		return refuse(roleNotAllowed)
	case who.Role != Provider:
		return Decision{Allowed: true, Basis: []string{"role/" + string(who.Role)}}
	}
	basis := r.treats(who.Account, p)
	if basis == "" && inEmergency[act] {
		basis = r.relation(now, who.Account, p)
	}
	if basis == "" {
		return refuse(noRelation)
	}
	return Decision{Allowed: true, Basis: []string{basis}}
}

// treats names why the patient, or the photo, is the account's own: it is
// assigned, or made the photo or its set. Empty: it is not.
func (r *Record) treats(a id.Account, p *Photo) string {
	if e := r.assigned(a); e != nil {
		return "assignment/" + string(e.ID)
	}
	if p != nil && a != "" && (p.DeclaredBy == a || p.SetBy == a) {
		return "maker/" + string(p.ID)
	}
	return ""
}

// relation names why the account sees the patient: as treats, or it declared an
// emergency. Empty: it does not.
func (r *Record) relation(now time.Time, a id.Account, p *Photo) string {
	if basis := r.treats(a, p); basis != "" {
		return basis
	}
	if e := r.emergency(a, now); e != nil {
		return "emergency/" + string(e.ID)
	}
	return ""
}

// DecideRelease decides whether one rendition may be released. It is pure and
// total: the same question has the same answer, and what is not allowed by a
// rule below is refused.
func DecideRelease(q Question) Decision {
	d := q.decide()
	if !d.Allowed {
		return d
	}
	if against := q.Policies.forbid(&q); against != nil {
		return refuse(*against)
	}
	if q.Policies != nil {
		d.Basis = append(d.Basis, "policies/"+q.Policies.Version())
	}
	if other, _ := q.Photo.beside(q.Rendition); other != nil {
		d.Basis = append(d.Basis, besideBasis+string(other.ID)) // the log knows both photos that leave
	}
	d.Basis = append(d.Basis, q.Record.Basis())
	return d
}

// besideBasis names the other photo of a comparison in what a release stands on.
const besideBasis = "beside/"

func (q *Question) decide() Decision {
	if d := q.decideGrounds(); d != nil {
		return *d
	}
	switch q.Purpose {
	case ForCare:
		return q.decideCare()
	case ForTeaching:
		return q.decideTeaching()
	default:
		return q.decideMarketing()
	}
}

// decideGrounds refuses what no record allows; nil: go on.
func (q *Question) decideGrounds() *Decision {
	var why Refusal
	switch {
	case q.Record == nil, q.Who.Practice != q.Record.Practice, !q.made(),
		!q.all(func(p *Photo) bool { return p.Patient == q.Record.Patient && !q.Record.has(Deleted, string(p.ID)) }):
		why = notFound
	case !slices.Contains(Purposes, q.Purpose):
		why = purposeUnknown
	case !q.Who.May(releaseFor[q.Purpose]):
		why = roleNotAllowed
	case !q.all(func(p *Photo) bool { return p.Ready && q.hides(p) }):
		why = photoNotReady
	default:
		return nil
	}
	d := refuse(why)
	return &d
}

// made reports that the photo has the rendition, where somebody must have made it; of a comparison, see all.
func (q *Question) made() bool {
	switch q.Rendition {
	case Masked:
		return q.Photo.Marking != ""
	case MaskedThumb:
		return q.Photo.ThumbMarking != ""
	default:
		return true
	}
}

// all asks of each photo that the rendition shows, so that the strictest counts.
func (q *Question) all(holds func(*Photo) bool) bool {
	other, compares := q.Photo.beside(q.Rendition)
	return holds(&q.Photo) && (!compares || other != nil && holds(other))
}

// hides reports that a rendition which is to hide what is marked does: regions
// that were marked since it was made are not hidden in it.
func (q *Question) hides(p *Photo) bool {
	switch q.Rendition {
	case Masked:
		return q.Record.marking(p.ID) == p.Marking
	case MaskedThumb:
		return q.Record.marking(p.ID) == p.ThumbMarking
	case MaskedCompare:
		return q.Record.marking(p.ID) == p.PairMarking
	default:
		return true
	}
}

// restricted reports a restriction of any photo that the rendition shows.
func (q *Question) restricted(purpose Purpose) bool {
	return !q.all(func(p *Photo) bool { return q.Record.restricted(p.ID, purpose) == nil })
}

var releaseFor = map[Purpose]Act{ForCare: ReleaseClinical, ForTeaching: ReleaseTeaching, ForMarketing: ReleaseMarketing}

// decideCare: treatment needs no authorization, and a withdrawn clinical
// consent stops capture but never hides the chart (164.506(c), 164.524). An
// emergency goes before a restriction (164.522(a)(1)(iii)).
func (q *Question) decideCare() Decision {
	const rule = "rule/164.506(c)"
	if q.restricted(ForCare) {
		e := q.Record.emergency(q.Who.Account, q.Now)
		if e == nil || q.Who.Role != Provider {
			return refuse(photoRestricted)
		}
		return Decision{Allowed: true, Basis: []string{rule, "emergency/" + string(e.ID)}}
	}
	if q.Who.Role != Provider { // a record system reads for whoever treats
		return Decision{Allowed: true, Basis: []string{rule}}
	}
	out := Decision{Allowed: true, Basis: []string{rule}}
	if !q.all(func(p *Photo) bool {
		basis := q.Record.relation(q.Now, q.Who.Account, p)
		out.Basis = append(out.Basis, basis)
		return basis != ""
	}) {
		return refuse(noRelation)
	}
	out.Basis = slices.Compact(out.Basis)
	return out
}

// decideTeaching: part of the practice's operations (164.501), with the consent
// that 164.506(b) leaves to the practice.
func (q *Question) decideTeaching() Decision {
	if q.restricted(ForTeaching) {
		return refuse(photoRestricted)
	}
	c := q.Record.clinical(q.Now, func(c *Clinical) bool { return c.Teaching })
	if c == nil {
		return refuse(noTeachingConsent)
	}
	return Decision{Allowed: true, Basis: []string{"rule/164.506(b)", "clinical/" + string(c.ID)}}
}

// decideMarketing looks for an authorization that allows the release whole;
// two that each allow a part do not add up. Refusals are those of the
// authorization that comes closest.
func (q *Question) decideMarketing() Decision {
	if q.restricted(ForMarketing) {
		return refuse(photoRestricted)
	}
	if against := q.againstCampaign(); len(against) > 0 {
		return refuse(against...)
	}
	var closest, against []Refusal // both change places: their memory serves all authorizations
	h := q.Record.happenings()
	for i := range q.Record.Authorizations {
		a := &q.Record.Authorizations[i]
		if q.Authorization != "" && q.Authorization != a.ID {
			continue
		}
		if against = q.against(against[:0], a, h); len(against) == 0 {
			return Decision{Allowed: true, Authorization: a.ID,
				Basis: []string{"rule/164.508(a)(3)", "authorization/" + string(a.ID), q.Campaign.Basis()}}
		}
		if len(closest) == 0 || len(against) < len(closest) {
			closest, against = against, closest
		}
	}
	if len(closest) == 0 {
		return refuse(noAuthorization)
	}
	return refuse(closest...)
}

func (q *Question) againstCampaign() []Refusal {
	if out := q.againstRunning(); len(out) > 0 {
		return out
	}
	c := q.Campaign
	var out []Refusal
	if !slices.Contains(c.Recipients, q.Recipient) {
		out = append(out, recipientNotInIt)
	}
	if !slices.Contains(c.Channels, q.Channel) {
		out = append(out, channelNotInIt)
	}
	return out
}

// againstRunning: what speaks against the campaign whatever is released in it.
func (q *Question) againstRunning() []Refusal {
	switch c := q.Campaign; {
	case c == nil || c.Practice != q.Who.Practice:
		return []Refusal{noCampaign}
	case !c.running(q.Now):
		return []Refusal{campaignNotRunning}
	}
	return nil
}

// against appends what speaks against the release under one authorization. All
// of it is looked at on each use, and not at signing only.
func (q *Question) against(out []Refusal, a *Authorization, h happenings) []Refusal {
	out = q.againstRecord(out, a, h)
	check := func(holds bool, why Refusal) {
		if !holds {
			out = append(out, why)
		}
	}
	check(slices.Contains(a.Recipients, q.Recipient), recipientNotNamed)
	check(slices.Contains(a.Channels, q.Channel), channelNotNamed)
	check(slices.Contains(a.Purposes, q.Campaign.Purpose), purposeNotNamed)
	check(!q.Campaign.ThirdPartyPayment || a.Statements.Payment, paymentNotStated)
	check(!q.Campaign.Sale || a.Statements.Sale, saleNotStated)
	return out
}

// againstRecord appends what speaks against it whoever receives the photo.
func (q *Question) againstRecord(out []Refusal, a *Authorization, h happenings) []Refusal {
	of := h.of[string(a.ID)]
	check := func(holds bool, why Refusal) {
		if !holds {
			out = append(out, why)
		}
	}
	check(len(a.with(of).Defects(q.Now)) == 0, incomplete)
	check(!of.revoked, revoked)
	check(!of.expired && !a.expired(q.Now), expired)
	check(!h.superseded(a, q.Now), superseded)
	check(!of.foundFalse, foundFalse)
	check(!q.Record.compound(a), compound)
	check(!a.Conditioned, conditioned)
	check(q.all(a.Scope.Covers), photoNotInScope)
	check(a.Scope.allows(q), renditionNotInIt)
	return out
}

func refuse(r ...Refusal) Decision { return Decision{Refusals: r} }
