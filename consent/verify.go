package consent

import (
	"context"
	"sync"

	"photovault/vault/audit"
	"photovault/vault/id"
)

// AuditWriter writes an entry of its own, durably.
type AuditWriter interface {
	WriteAudit(ctx context.Context, e *audit.Entry) error
}

// VerifyPermit is the right to authenticate the renditions of one photo, each
// once, and to learn their digests: never their bytes. Only CommitVerify makes
// one; its zero value is refused.
type VerifyPermit struct {
	practice id.Practice
	photo    id.Photo
	minted   bool

	mu    sync.Mutex
	spent map[string]bool
}

// CommitVerify makes the audit entry of a verification durable and, only then,
// mints its permit. 45 CFR 164.312(c)(2): a mechanism to corroborate that
// photos were not altered.
func CommitVerify(ctx context.Context, w AuditWriter, practice id.Practice, patient id.Patient, photo id.Photo) (*VerifyPermit, error) {
	e := &audit.Entry{Action: audit.PhotoVerify, Outcome: audit.Intent, Patient: patient, Photo: photo, Purpose: "verify"}
	if err := w.WriteAudit(ctx, e); err != nil {
		return nil, err
	}
	return &VerifyPermit{practice: practice, photo: photo, minted: true, spent: map[string]bool{}}, nil
}

// Spend uses the permit up for one rendition. A nil, zero or foreign permit,
// or one spent for this rendition, is refused with ErrNoPermit.
func (p *VerifyPermit) Spend(practice id.Practice, photo id.Photo, rendition string) error {
	if p == nil || !p.minted || p.practice != practice || p.photo != photo {
		return ErrNoPermit
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spent[rendition] {
		return ErrNoPermit
	}
	p.spent[rendition] = true
	return nil
}
