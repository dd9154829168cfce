package vault

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/envelope"
	"photovault/vault/id"
	"photovault/vault/keys"
)

// Lifetimes of upload keys. What was sealed on the last day can still be
// opened for 30 days: a tablet that was offline loses nothing.
const (
	UploadKeySeals = 30 * 24 * time.Hour
	UploadKeyOpens = UploadKeySeals + 30*24*time.Hour
	renewBefore    = 10 * 24 * time.Hour // a new pair is made when the newest has less to go
)

// UploadKeys returns the signed list of public keys that tablets seal to.
// Anyone who may add a photo may read it. Errors: ErrDenied.
func (s *Service) UploadKeys(ctx context.Context, who consent.Principal) (*envelope.SignedKeys, error) {
	if who.Role != consent.Tablet && who.Role != consent.Admin {
		if err := s.allow(ctx, who, consent.CapturePhoto, entry(who, audit.PhotoUpload, audit.Denied)); err != nil {
			return nil, err
		}
	}
	rows, err := s.Catalogs.ForPractice(who.Practice).UploadKeys(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now()
	var list []envelope.PublicKey
	for _, k := range rows {
		if now.Before(k.SealUntil) {
			list = append(list, envelope.PublicKey{ID: k.ID, Suite: envelope.Suite(k.Suite), Key: k.Public, SealUntil: k.SealUntil})
		}
	}
	signer, err := s.signingKey(ctx, who.Practice, keys.UploadSigning)
	if err != nil {
		return nil, err
	}
	return envelope.Sign(signer, who.Practice, list, now)
}

// RotateUploadKeys makes a new pair of each suite and ends sealing to the
// older ones; they can still be opened for their time. Errors: ErrDenied.
func (s *Service) RotateUploadKeys(ctx context.Context, who consent.Principal) error {
	e := entry(who, audit.UploadKeysRotate, audit.Allowed)
	if err := s.allow(ctx, who, consent.ManageKeys, e); err != nil {
		return err
	}
	return s.rotateUploadKeys(ctx, who.Practice, e)
}

func (s *Service) rotateUploadKeys(ctx context.Context, p id.Practice, e *audit.Entry) error {
	now := s.now()
	var pairs []*UploadKey
	for _, suite := range []envelope.Suite{envelope.MLKEM768X25519, envelope.P256} {
		k, err := s.newUploadKey(ctx, p, suite, now)
		if err != nil {
			return err
		}
		pairs = append(pairs, k)
	}
	return s.Catalogs.ForPractice(p).RotateUploadKeys(ctx, pairs, now, e)
}

// renewUploadKeys rotates when the newest key nears its end, so that a practice
// never runs out of keys because nobody thought of it.
func (s *Service) renewUploadKeys(ctx context.Context, p id.Practice) error {
	rows, err := s.Catalogs.ForPractice(p).UploadKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range rows {
		if k.SealUntil.Sub(s.now()) > renewBefore {
			return nil
		}
	}
	return s.rotateUploadKeys(ctx, p, &audit.Entry{Action: audit.UploadKeysRotate, Outcome: audit.Allowed, Reason: "scheduled"})
}

func (s *Service) newUploadKey(ctx context.Context, p id.Practice, suite envelope.Suite, now time.Time) (*UploadKey, error) {
	k := &UploadKey{ID: id.New[id.UploadKey](), Practice: p, Suite: uint16(suite), CreatedAt: now,
		SealUntil: now.Add(UploadKeySeals), OpenUntil: now.Add(UploadKeyOpens)}
	seed, wrapped, err := s.Keys.NewDataKey(ctx, UploadKeyContext(p, k.ID))
	if err != nil {
		return nil, translate(err)
	}
	defer seed.Destroy()
	private, err := envelope.NewPrivateKey(suite, k.ID, seed)
	if err != nil {
		return nil, err
	}
	k.Wrapped, k.Public = wrapped, private.Public()
	return k, nil
}

// errKeyExpired: the key was ours, and its time is over.
var errKeyExpired = fmt.Errorf("vault: past its time: %w", envelope.ErrUnknownKey)

// uploadPrivateKey unwraps the key that an envelope names.
// Errors: envelope.ErrUnknownKey (also when past OpenUntil), ErrUnavailable.
func (s *Service) uploadPrivateKey(ctx context.Context, p id.Practice, k id.UploadKey) (*envelope.PrivateKey, error) {
	rows, err := s.Catalogs.ForPractice(p).UploadKeys(ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.ID != k {
			continue
		}
		if !s.now().Before(row.OpenUntil) {
			return nil, errKeyExpired
		}
		seed, err := s.Keys.UnwrapDataKey(ctx, UploadKeyContext(p, k), row.Wrapped)
		if err != nil {
			return nil, translate(err)
		}
		defer seed.Destroy()
		return envelope.NewPrivateKey(envelope.Suite(row.Suite), row.ID, seed)
	}
	return nil, fmt.Errorf("vault: %w", envelope.ErrUnknownKey)
}

// EvidenceKey returns the public key that receipts and checkpoints are
// verified with, and the one that pins upload keys.
func (s *Service) EvidenceKeys(ctx context.Context, p id.Practice) (evidence, uploadSigning ed25519.PublicKey, err error) {
	a, err := s.signingKey(ctx, p, keys.Checkpoint)
	if err != nil {
		return nil, nil, err
	}
	b, err := s.signingKey(ctx, p, keys.UploadSigning)
	if err != nil {
		return nil, nil, err
	}
	return a.Public().(ed25519.PublicKey), b.Public().(ed25519.PublicKey), nil
}
