package consent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"photovault/vault/audit"
	"photovault/vault/id"
)

// Source is a stored rendition that another is made from.
type Source struct {
	Photo     Photo
	Rendition string
}

// Derivation is everything that making a rendition from stored ones is decided
// on. Nothing leaves the practice by it; what is made is released, or not, by
// decisions of its own.
type Derivation struct {
	Question // Photo and Rendition: what is made, and of which photo it becomes a rendition
	Sources  []Source
}

// DeriveApproval is a decision that a derivation may go ahead on the record it
// was made on. It opens nothing: only committing it mints a DerivePermit. Its
// zero value is refused.
type DeriveApproval struct {
	of    Derivation
	basis []string
}

// DecideDerive decides a derivation: every source must be open to who asks for
// the purpose, so that the strictest of them counts. For marketing, one
// authorization, the question's, must cover all of them as they are.
func DecideDerive(d Derivation) (*DeriveApproval, Decision) {
	decision := d.decide()
	if !decision.Allowed {
		return nil, decision
	}
	decision.Basis = append(decision.Basis, "record/"+string(d.Photo.Patient)+"/"+strconv.FormatInt(d.Record.Epoch, 10))
	return &DeriveApproval{of: d, basis: decision.Basis}, decision
}

func (d *Derivation) decide() Decision {
	switch {
	case len(d.Sources) == 0, d.Rendition == "", !slices.ContainsFunc(d.Sources, func(s Source) bool { return s.Photo.ID == d.Photo.ID }):
		return refuse(notFound)
	case d.Purpose != ForCare && d.Purpose != ForMarketing:
		return refuse(purposeUnknown)
	case d.Purpose == ForCare && !d.Who.May(DeriveRendition):
		return refuse(roleNotAllowed)
	}
	out := Decision{Allowed: true}
	for _, s := range d.Sources {
		q := d.Question
		q.Photo, q.Rendition = s.Photo, s.Rendition
		decision := q.decideSource()
		if !decision.Allowed {
			return decision
		}
		for _, b := range decision.Basis {
			if !slices.Contains(out.Basis, b) {
				out.Basis = append(out.Basis, b)
			}
		}
	}
	if d.Purpose == ForCare && d.Rendition == MaskedCompare && !d.masks() {
		return refuse(photoNotReady)
	}
	return out
}

// masks reports that at least one of the sources is masked, and that those
// which are not are of photos that nobody marked.
func (d *Derivation) masks() bool {
	masked := false
	for _, s := range d.Sources {
		if s.Rendition != Masked && d.Record.marking(s.Photo.ID) != "" {
			return false
		}
		masked = masked || s.Rendition == Masked
	}
	return masked
}

// decideSource: for care it is as if the source were released. A policy of the
// practice that speaks of recipients or campaigns is asked when what was made
// is released.
func (q *Question) decideSource() Decision {
	if q.Purpose == ForMarketing {
		return q.decideCopy()
	}
	d := q.decide()
	if against := q.Policies.forbid(q); d.Allowed && against != nil {
		return refuse(*against)
	}
	return d
}

// decideCopy asks what one authorization says of a rendition, whoever it will
// be given to: marketing's copies are made while it is in force (164.508(a)(3)).
func (q *Question) decideCopy() Decision {
	if d := q.decideGrounds(); d != nil {
		return *d
	}
	if q.restricted(ForMarketing) {
		return refuse(photoRestricted)
	}
	a := q.Record.authorization(string(q.Authorization))
	if a == nil {
		return refuse(noAuthorization)
	}
	if against := q.againstRecord(nil, a, q.Record.happenings()); len(against) > 0 {
		return refuse(against...)
	}
	return Decision{Allowed: true, Basis: []string{"rule/164.508(a)(3)", "authorization/" + string(a.ID)}}
}

// DeriveCommitter writes the audit entry of a derivation, fenced on the
// patient's epoch.
type DeriveCommitter interface {
	// CommitDerive returns true only when the entry is durable and the record
	// had not moved; false when it had. After an error the caller must assume
	// nothing.
	CommitDerive(ctx context.Context, p id.Patient, epoch int64, e *audit.Entry) (bool, error)
}

// CommitDerive makes the audit intent of an approved derivation durable and,
// only then, mints its permit. Errors: ErrSuperseded, and the committer's.
func CommitDerive(ctx context.Context, c DeriveCommitter, a *DeriveApproval) (*DerivePermit, error) {
	if a == nil || len(a.of.Sources) == 0 {
		return nil, errors.New("consent: commit without approval")
	}
	d := &a.of
	e := a.entry()
	ok, err := c.CommitDerive(ctx, d.Photo.Patient, d.Record.Epoch, e)
	if err != nil {
		return nil, fmt.Errorf("consent: commit derivation: %w", err)
	}
	if !ok {
		return nil, ErrSuperseded
	}
	p := &DerivePermit{practice: d.Who.Practice, minted: true, open: map[string]bool{}, outcome: e}
	for _, s := range d.Sources {
		p.open[place(s.Photo.ID, s.Rendition)] = true
	}
	p.into = place(d.Photo.ID, d.Rendition) + "/" + string(d.Authorization)
	return p, nil
}

func (a *DeriveApproval) entry() *audit.Entry {
	d := &a.of
	e := &audit.Entry{Practice: d.Who.Practice, Actor: d.Who.Account, Role: string(d.Who.Role), Action: audit.PhotoDerive, Outcome: audit.Intent,
		Patient: d.Photo.Patient, Photo: d.Photo.ID, Rendition: d.Rendition, Purpose: string(d.Purpose), Subject: string(d.Authorization),
		Source: d.Who.Source, Records: slices.Clone(a.basis)}
	for _, s := range d.Sources {
		e.Records = append(e.Records, "source/"+place(s.Photo.ID, s.Rendition))
	}
	return e
}

func place(p id.Photo, rendition string) string { return string(p) + "/" + rendition }

// DerivePermit is the right to open the sources of one derivation, each once,
// and to store once what was made of them, as what was approved. Only
// CommitDerive makes one; its zero value is refused.
type DerivePermit struct {
	practice id.Practice
	minted   bool
	into     string
	outcome  *audit.Entry

	mu     sync.Mutex
	open   map[string]bool // sources that were not opened yet
	stored bool
}

// Spend uses the permit up for one source. A nil, zero or foreign permit, or
// one spent for this source, is refused with ErrNoPermit.
func (p *DerivePermit) Spend(practice id.Practice, photo id.Photo, rendition string) error {
	if p == nil || !p.minted || p.practice != practice {
		return ErrNoPermit
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open[place(photo, rendition)] {
		return ErrNoPermit
	}
	p.open[place(photo, rendition)] = false
	return nil
}

// Store uses the permit up for storing what was made: as that rendition of
// that photo, under the authorization or, without one, for care. It asks that
// every source was opened. Otherwise ErrNoPermit.
func (p *DerivePermit) Store(practice id.Practice, photo id.Photo, rendition string, a id.Authorization) error {
	if p == nil || !p.minted || p.practice != practice || p.into != place(photo, rendition)+"/"+string(a) {
		return ErrNoPermit
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, unopened := range p.open {
		if unopened {
			return ErrNoPermit
		}
	}
	if p.stored {
		return ErrNoPermit
	}
	p.stored = true
	return nil
}

// Outcome returns the audit entry that reports how the derivation ended; code
// is the reason why it did not.
func (p *DerivePermit) Outcome(o audit.Outcome, code string) *audit.Entry {
	e := *p.outcome
	e.Outcome, e.Reason = o, code
	return &e
}
