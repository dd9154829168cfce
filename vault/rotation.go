package vault

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/canon"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
)

// KeyVersion is one version of one of a practice's own keys.
type KeyVersion struct {
	Purpose   keys.Purpose `json:"purpose"`
	Version   int64        `json:"version"`
	CreatedAt time.Time    `json:"created_at"`
	InUse     bool         `json:"in_use"` // what is written now is under it
}

// KeyErasure is the destruction of old versions of the key-encryption key.
type KeyErasure struct {
	Below   uint32    `json:"below"` // every version below
	BeganAt time.Time `json:"began_at"`
	DoneAt  time.Time `json:"done_at,omitzero"` // as reported, and seen at the key service
}

// KeyState is what the practice's keys are under.
type KeyState struct {
	Wrapping keys.Versions `json:"wrapping"` // versions of the key-encryption key that still open
	Practice []KeyVersion  `json:"practice"`
	Erasures []KeyErasure  `json:"erasures"`
}

// Rewrapped is what one batch of Rewrap did.
type Rewrapped struct {
	Next    string   `json:"next"`    // where to go on; empty: the end was reached
	Version uint32   `json:"version"` // of the key-encryption key; all looked at are under it now, but for Refused
	Looked  int      `json:"looked"`
	Moved   int      `json:"moved"`
	Older   int      `json:"older"`   // with check: not moved, but to be
	Refused []string `json:"refused"` // "table/key": rows whose key cannot be opened under any version
}

// KeyCatalog is what a catalog does for rotation.
type KeyCatalog interface {
	KeyVersions(ctx context.Context) ([]KeyVersion, error)
	// RotateKey adds a version of a practice's catalog, index or checkpoint
	// key and returns its number. ConflictError key_rotating.
	RotateKey(ctx context.Context, purpose keys.Purpose, e *audit.Entry) (int64, error)
	// Rewrap moves up to limit wrapped keys after a place to the newest
	// version of the key-encryption key, or with check counts them. The entry
	// is written when something moved.
	Rewrap(ctx context.Context, after string, limit int, check bool, e *audit.Entry) (*Rewrapped, error)
	// RaiseKeyFloor: from its return on no key wrapped under a version below
	// is written.
	RaiseKeyFloor(ctx context.Context, below uint32, e *audit.Entry) error
	// KeysErased completes an erasure. ErrNotFound: none was begun.
	KeysErased(ctx context.Context, below uint32, e *audit.Entry) error
	KeyErasures(ctx context.Context) ([]KeyErasure, error)
}

// PhotoKeyContext is what a photo's data key is bound to.
func PhotoKeyContext(p id.Practice, photo id.Photo, a id.Authorization) keys.Context {
	return keys.Context{Purpose: keys.Photo, Practice: p, Subject: string(photo), Authorization: a}
}

// UploadKeyContext is what an upload key's seed is bound to.
func UploadKeyContext(p id.Practice, k id.UploadKey) keys.Context {
	return keys.Context{Purpose: keys.Upload, Practice: p, Subject: string(k)}
}

// KeyState tells what the keys are under. Errors: ErrDenied.
func (s *Service) KeyState(ctx context.Context, who consent.Principal) (*KeyState, error) {
	e := entry(who, audit.KeysRead, audit.Allowed)
	if err := s.allow(ctx, who, consent.ManageKeys, e); err != nil {
		return nil, err
	}
	out := &KeyState{Practice: []KeyVersion{}, Erasures: []KeyErasure{}}
	var err error
	if out.Wrapping, err = s.Keys.Versions(ctx); err != nil {
		return nil, translate(err)
	}
	db := s.Catalogs.ForPractice(who.Practice)
	versions, err := db.KeyVersions(ctx)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	erasures, err := db.KeyErasures(ctx)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	out.Practice, out.Erasures = append(out.Practice, versions...), append(out.Erasures, erasures...)
	return out, s.log(ctx, who, e)
}

// RotateKey makes a new version of one of the practice's keys: catalog (seals
// rows), index (finds record numbers) or checkpoint (signs evidence). What was
// made under older versions still opens and verifies. Errors: ErrDenied,
// InvalidError, ConflictError key_rotating.
func (s *Service) RotateKey(ctx context.Context, who consent.Principal, purpose keys.Purpose) (int64, error) {
	e := entry(who, audit.KeyRotate, audit.Allowed)
	e.Subject = string(purpose)
	if err := s.allow(ctx, who, consent.ManageKeys, e); err != nil {
		return 0, err
	}
	switch purpose {
	case keys.Catalog, keys.Index, keys.Checkpoint:
	default:
		return 0, s.failed(ctx, who, e, invalid("purpose", "Choose one of: catalog, index, checkpoint."))
	}
	version, err := s.Catalogs.ForPractice(who.Practice).RotateKey(ctx, purpose, e)
	if err != nil {
		return 0, s.failed(ctx, who, e, err)
	}
	return version, nil
}

// Rewrap moves one batch of wrapped keys to the newest version of the
// key-encryption key, beside running releases; the caller goes on from Next
// until it is empty. It may be stopped and begun again at any time. No key is
// seen in clear (SP 800-57 part 1, 5.3.4). Errors: ErrDenied.
func (s *Service) Rewrap(ctx context.Context, who consent.Principal, after string, limit int) (*Rewrapped, error) {
	e := entry(who, audit.KeysRewrap, audit.Allowed)
	if err := s.allow(ctx, who, consent.ManageKeys, e); err != nil {
		return nil, err
	}
	if limit <= 0 || limit > keys.MaxRewrap {
		limit = keys.MaxRewrap
	}
	if after == "" {
		if _, err := s.Catalogs.RewrapFile(ctx); err != nil {
			return nil, s.failed(ctx, who, e, err)
		}
	}
	out, err := s.Catalogs.ForPractice(who.Practice).Rewrap(ctx, after, limit, false, e)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	return out, nil
}

// BeginErase prepares the destruction of every version of the key-encryption
// key below `below`, which only the operator of the key service can do: from
// now on nothing is wrapped under one, and nothing that lives is. lost is how
// many wrapped keys the caller knows to be unreadable already.
// Errors: ErrDenied, ConflictError keys_left (rewrap first), InvalidError.
func (s *Service) BeginErase(ctx context.Context, who consent.Principal, below uint32, lost int) error {
	e := entry(who, audit.KeysErase, audit.Intent)
	e.Subject = strconv.FormatUint(uint64(below), 10)
	if err := s.allow(ctx, who, consent.ManageKeys, e); err != nil {
		return err
	}
	versions, err := s.Keys.Versions(ctx)
	if err != nil {
		return s.failed(ctx, who, e, translate(err))
	}
	if below <= 1 || below > versions.Newest {
		return s.failed(ctx, who, e, invalid("below", fmt.Sprintf("Choose a version from 2 to %d, the newest.", versions.Newest)))
	}
	if below != versions.Newest {
		return s.failed(ctx, who, e, invalid("below", fmt.Sprintf("Keys are rewrapped to the newest version: choose %d.", versions.Newest)))
	}
	practices, err := s.Catalogs.Practices(ctx) // the key-encryption key is theirs together
	if err != nil {
		return s.failed(ctx, who, e, err)
	}
	for _, p := range practices {
		if err := s.Catalogs.ForPractice(p).RaiseKeyFloor(ctx, below, e); err != nil {
			return s.failed(ctx, who, e, err)
		}
	}
	older, refused, err := s.older(ctx, practices)
	if err != nil {
		return s.failed(ctx, who, e, err)
	}
	if older > 0 || refused > lost {
		return s.failed(ctx, who, e, &ConflictError{Code: "keys_left", Sentence: fmt.Sprintf(
			"%d keys are under older versions and %d cannot be opened at all; rewrap first, and look into those that cannot be opened (fsck).", older, refused)})
	}
	return nil
}

// older counts keys under older versions, and keys that no version opens.
func (s *Service) older(ctx context.Context, practices []id.Practice) (older, refused int, err error) {
	if _, err := s.Catalogs.RewrapFile(ctx); err != nil {
		return 0, 0, err
	}
	for _, p := range practices {
		for after := ""; ; {
			out, err := s.Catalogs.ForPractice(p).Rewrap(ctx, after, keys.MaxRewrap, true, &audit.Entry{})
			if err != nil {
				return 0, 0, err
			}
			older += out.Older
			refused += len(out.Refused)
			if after = out.Next; after == "" {
				break
			}
		}
	}
	return older, refused, nil
}

// EndErase records that the operator has erased the versions; the key service
// itself must say so. Errors: ErrDenied, ErrNotFound, ConflictError not_erased.
func (s *Service) EndErase(ctx context.Context, who consent.Principal, below uint32) error {
	e := entry(who, audit.KeysErase, audit.Allowed)
	e.Subject = strconv.FormatUint(uint64(below), 10)
	if err := s.allow(ctx, who, consent.ManageKeys, e); err != nil {
		return err
	}
	versions, err := s.Keys.Versions(ctx)
	if err != nil {
		return s.failed(ctx, who, e, translate(err))
	}
	if versions.Oldest < below {
		return s.failed(ctx, who, e, &ConflictError{Code: "not_erased", Sentence: fmt.Sprintf(
			"Version %d of the key-encryption key still opens.", versions.Oldest)})
	}
	practices, err := s.Catalogs.Practices(ctx)
	if err != nil {
		return s.failed(ctx, who, e, err)
	}
	for _, p := range practices {
		if err := s.Catalogs.ForPractice(p).KeysErased(ctx, below, e); err != nil {
			return s.failed(ctx, who, e, err)
		}
	}
	return nil
}

// EvidenceKey is one public key that receipts and checkpoints verify under.
// Each but the first carries its predecessor's signature, so that whoever has
// pinned one can follow the rotation.
type EvidenceKey struct {
	Practice    id.Practice       `json:"practice"`
	Version     int               `json:"version"`
	Key         ed25519.PublicKey `json:"key"`
	Predecessor []byte            `json:"predecessor_signature,omitempty"`
}

func (k *EvidenceKey) statement() []byte {
	return canon.Encode("photovault/evidence-key/v1", string(k.Practice), strconv.Itoa(k.Version), string(k.Key))
}

// EvidenceChain returns the practice's evidence keys, oldest first. They are
// public; anyone who may authenticate may read them.
func (s *Service) EvidenceChain(ctx context.Context, p id.Practice) ([]EvidenceKey, error) {
	seeds, err := s.Catalogs.PracticeKeys(ctx, p, keys.Checkpoint)
	if err != nil {
		return nil, err
	}
	var (
		list   []EvidenceKey
		before ed25519.PrivateKey
	)
	for i, seed := range seeds {
		private := ed25519.NewKeyFromSeed(seed.Bytes())
		k := EvidenceKey{Practice: p, Version: i + 1, Key: private.Public().(ed25519.PublicKey)}
		if before != nil {
			k.Predecessor = ed25519.Sign(before, k.statement())
		}
		list, before = append(list, k), private
	}
	return list, nil
}

// ErrEvidence reports a list of evidence keys that does not follow from the
// pinned one.
var ErrEvidence = errors.New("vault: the evidence keys do not follow from the one that is pinned")

// FollowEvidence returns the keys that follow from the pinned one, it first.
func FollowEvidence(pinned ed25519.PublicKey, chain []EvidenceKey) ([]ed25519.PublicKey, error) {
	var out []ed25519.PublicKey
	for _, k := range chain {
		switch {
		case len(out) == 0 && k.Key.Equal(pinned):
			out = append(out, pinned)
		case len(out) > 0:
			if len(k.Key) != ed25519.PublicKeySize || !ed25519.Verify(out[len(out)-1], k.statement(), k.Predecessor) {
				return nil, ErrEvidence
			}
			out = append(out, k.Key)
		}
	}
	if len(out) == 0 {
		return nil, ErrEvidence
	}
	return out, nil
}

// verifyCheckpoint checks the signature against every version of the
// practice's evidence key: the newest checkpoint may be older than a rotation.
func verifyCheckpoint(c *audit.Checkpoint, seeds []*secret.Key) (err error) {
	for _, seed := range seeds {
		if err = c.Verify(ed25519.NewKeyFromSeed(seed.Bytes()).Public().(ed25519.PublicKey)); err == nil {
			return nil
		}
	}
	return err
}
