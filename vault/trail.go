package vault

import (
	"context"
	"errors"
	"fmt"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/keys"
)

// Logged is an audit entry with its place in the log; Seq is 0 until it has one.
type Logged struct {
	Seq int64 `json:"seq"`
	audit.Entry
}

var errEnough = errors.New("vault: enough")

// Trail returns up to limit entries after number `after`, oldest first; the
// ones without a number come last. Errors: ErrDenied.
func (s *Service) Trail(ctx context.Context, who consent.Principal, after int64, limit int) ([]Logged, error) {
	e := entry(who, audit.AuditRead, audit.Allowed)
	if err := s.allow(ctx, who, consent.ReadAudit, e); err != nil {
		return nil, err
	}
	return s.readTrail(ctx, who, e, limit, func(f func(audit.Record) error) error {
		return s.Catalogs.ForPractice(who.Practice).AuditRecords(ctx, after, f)
	})
}

// PatientTrail answers who saw, or tried to see, what of one patient.
// Errors: ErrDenied, ErrNotFound.
func (s *Service) PatientTrail(ctx context.Context, who consent.Principal, p id.Patient) ([]Logged, error) {
	e := entry(who, audit.AuditRead, audit.Allowed)
	e.Patient = p
	if err := s.allow(ctx, who, consent.ReadAudit, e); err != nil {
		return nil, err
	}
	catalog := s.Catalogs.ForPractice(who.Practice)
	if _, err := catalog.Patient(ctx, p); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	return s.readTrail(ctx, who, e, 0, func(f func(audit.Record) error) error { return catalog.PatientAudit(ctx, p, f) })
}

func (s *Service) readTrail(ctx context.Context, who consent.Principal, e *audit.Entry, limit int, read func(func(audit.Record) error) error) ([]Logged, error) {
	if err := s.chain(ctx, who.Practice); err != nil { // what was just written has its number, too
		s.Logger.Error("audit chain", "error", err)
	}
	out := []Logged{}
	err := read(func(r audit.Record) error {
		if limit > 0 && len(out) == limit {
			return errEnough
		}
		e, err := audit.Decode(r.Encoded)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
		out = append(out, Logged{r.Seq, *e})
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, s.failed(ctx, who, e, err)
	}
	return out, s.log(ctx, who, e)
}

// VerifyTrail checks a practice's whole log against its MACs, its chain and
// the newest checkpoint outside the database; progress, which may be nil, is
// called with the number of entries checked so far. An error that wraps
// audit.ErrTampered names what is wrong.
func VerifyTrail(ctx context.Context, db Catalogs, out Checkpoints, p id.Practice, progress func(int64)) (audit.Report, error) {
	return verifyTrail(ctx, db, out, p, func(n int64, _ *audit.Entry) {
		if progress != nil {
			progress(n)
		}
	})
}

// verifyTrail calls each with every entry that was checked.
func verifyTrail(ctx context.Context, db Catalogs, out Checkpoints, p id.Practice, each func(int64, *audit.Entry)) (audit.Report, error) {
	macKey, err := db.PracticeKey(ctx, p, keys.Audit)
	if err != nil {
		return audit.Report{}, err
	}
	seeds, err := db.PracticeKeys(ctx, p, keys.Checkpoint)
	if err != nil {
		return audit.Report{}, err
	}
	newest, err := out.Newest(p)
	if err != nil {
		return audit.Report{}, err
	}
	var checkpoints []audit.Checkpoint
	if newest != nil {
		if err := verifyCheckpoint(newest, seeds); err != nil {
			return audit.Report{}, err
		}
		checkpoints = append(checkpoints, *newest)
	}
	v, err := audit.NewVerifier(p, macKey.Bytes(), checkpoints...)
	if err != nil {
		return audit.Report{}, err
	}
	var n int64
	err = db.ForPractice(p).AuditRecords(ctx, 0, func(r audit.Record) error {
		e, err := v.Add(r)
		if err == nil {
			n++
			each(n, e)
		}
		return err
	})
	if err != nil {
		return audit.Report{}, err
	}
	return v.Finish()
}
