package consent

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"photovault/vault/audit"
	"photovault/vault/id"
)

// Redemption is the current state a use of a token is decided on, read in one
// query from the primary.
type Redemption struct {
	Now           time.Time // the database's clock, UTC
	Token         Token
	Holder        Principal // the account the token was issued to, as it is now
	HolderActive  bool
	HolderVersion int64 // of the account
	Record        *Record
	Photo         Photo
	Campaign      *Campaign // of the token; nil: none, or not there any more
	Policies      *Policies // of the practice; nil: none
	Uses          []Use
}

// Approval is a decision that a use may go ahead on the state it was made on.
// It opens nothing: only committing it mints a Permit. Its zero value is refused.
type Approval struct {
	token   Token
	epoch   int64
	use     Use
	basis   []string
	holder  Principal
	version int64 // of the holder's account
}

// DecideUse decides a use of a token. Exactly one of the results is set.
func DecideUse(r *Redemption) (*Approval, *Refusal) {
	n, why := r.Token.next(r.Now, r.Uses)
	if why != "" {
		return nil, &Refusal{Code: why, Sentence: "The link has expired or was used; ask for a new one."}
	}
	if !r.HolderActive || r.Holder.Account != r.Token.Account || r.Holder.Practice != r.Token.Practice {
		return nil, &Refusal{Code: "holder_not_active", Paragraph: "164.312(a)(1)", Sentence: "The account is no longer active."}
	}
	if (r.Token.Purpose == ForMarketing) != (r.Token.Authorization != "") {
		return nil, &noAuthorization
	}
	d := DecideRelease(r.question())
	if !d.Allowed {
		return nil, &d.Refusals[0]
	}
	return &Approval{
		token: r.Token, epoch: r.Record.Epoch, basis: d.Basis, holder: r.Holder, version: r.HolderVersion,
		use: Use{Practice: r.Token.Practice, Token: r.Token.ID, N: n, Outcome: UseBegun},
	}, nil
}

// StillAllowed decides again for a delivery under way, whose use is spent.
func StillAllowed(r *Redemption) bool {
	return r.HolderActive && DecideRelease(r.question()).Allowed
}

func (r *Redemption) question() Question {
	return Question{
		Now: r.Now, Who: r.Holder, Purpose: r.Token.Purpose, Photo: r.Photo, Rendition: r.Token.Rendition,
		Recipient: r.Token.Recipient, Channel: r.Token.Channel, Campaign: r.Campaign, Authorization: r.Token.Authorization,
		Record: r.Record, Policies: r.Policies,
	}
}

// Fence is the state that a use was approved on.
type Fence struct {
	Patient id.Patient
	Epoch   int64 // of the patient's record
	Account id.Account
	Version int64 // of the account
}

// UseCommitter writes a use and its audit entry in one durable statement,
// fenced on the patient's epoch and the account's version.
type UseCommitter interface {
	// CommitUse returns true only when both rows are durable and nothing in
	// the fence had moved; false when something had, or another use took the
	// number. After an error the caller must assume nothing.
	CommitUse(ctx context.Context, f Fence, u Use, e *audit.Entry) (bool, error)
}

// ErrSuperseded reports that the state changed between decision and commit;
// nothing was released, and the caller decides once more.
var ErrSuperseded = errors.New("consent: the record changed while deciding")

// Commit makes the approved use and its audit intent durable and, only then,
// mints the Permit.
func Commit(ctx context.Context, c UseCommitter, a *Approval, source string) (*Permit, error) {
	if a == nil || a.use.N == 0 {
		return nil, errors.New("consent: commit without approval")
	}
	e := a.entry(audit.Intent, source)
	ok, err := c.CommitUse(ctx, Fence{a.token.Patient, a.epoch, a.holder.Account, a.version}, a.use, e)
	if err != nil {
		return nil, fmt.Errorf("consent: commit use: %w", err)
	}
	if !ok {
		return nil, ErrSuperseded
	}
	return &Permit{purpose: a.token.Purpose, practice: a.token.Practice, photo: a.token.Photo, rendition: a.token.Rendition, authorization: a.token.Authorization,
		minted: true, Use: a.use, outcome: a.entry(audit.Complete, source)}, nil
}

func (a *Approval) entry(o audit.Outcome, source string) *audit.Entry {
	return &audit.Entry{
		Practice: a.token.Practice, Actor: a.holder.Account, Role: string(a.holder.Role),
		Action: audit.Release, Outcome: o, Patient: a.token.Patient, Photo: a.token.Photo,
		Rendition: a.token.Rendition, Purpose: string(a.token.Purpose), Recipient: a.token.Recipient, Channel: a.token.Channel,
		Subject: string(a.token.ID), Use: a.use.N, Source: source, Records: a.basis,
	}
}

// Permit is the right to open one rendition once. Only Commit makes one.
type Permit struct {
	purpose   Purpose
	practice  id.Practice
	photo     id.Photo
	rendition string
	minted    bool
	spent     atomic.Bool

	authorization id.Authorization // marketing: of the copy

	outcome *audit.Entry

	Use Use // which use of which token it belongs to
}

// ErrNoPermit reports a photo that was about to be opened without the right to.
var ErrNoPermit = errors.New("consent: no permit to open this photo")

// Spend uses the permit up for exactly this rendition: the photo's own, or the
// copy under that authorization. A nil, zero, spent or foreign Permit is refused.
func (p *Permit) Spend(practice id.Practice, photo id.Photo, a id.Authorization, rendition string) error {
	if p == nil || !p.minted || p.practice != practice || p.photo != photo || p.authorization != a || p.rendition != rendition {
		return ErrNoPermit
	}
	if p.spent.Swap(true) {
		return ErrNoPermit
	}
	return nil
}

// Outcome returns the audit entry that reports how the delivery ended.
func (p *Permit) Outcome(o UseOutcome) *audit.Entry {
	e := *p.outcome
	if o != UseComplete {
		e.Outcome = audit.Incomplete
	}
	return &e
}
