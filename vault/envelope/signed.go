package envelope

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"photovault/vault/canon"
	"photovault/vault/id"
)

// SignedKeys is the list of upload keys that a practice's tablets may seal to,
// signed with the upload-signing key that each tablet pins when it is
// enrolled: whoever answers in the vault's place cannot slip in a key of
// their own. What is signed is
//
//	canon.Encode("photovault/upload-keys/v1", practice, issued_at,
//	             (id, suite, public_key, seal_until) of each key in order)
//
// with every field as it stands in the JSON that Sign's result encodes to:
// suite in decimal, public_key in padded base64, times in RFC 3339, UTC.
// So a client verifies it over the strings it was given. An older list can be
// replayed, for as long as its keys may be sealed to.
type SignedKeys struct {
	Practice  id.Practice `json:"practice"`
	IssuedAt  time.Time   `json:"issued_at"` // UTC
	Keys      []PublicKey `json:"keys"`
	Signature []byte      `json:"signature"` // Ed25519 (RFC 8032); base64 in JSON
}

const listDomain = "photovault/upload-keys/v1"

// maxListed keeps a hostile list from costing a client much.
const maxListed = 64

// Sign makes the list. Keys are checked: what tablets cannot use is not signed.
func Sign(signer ed25519.PrivateKey, practice id.Practice, keys []PublicKey, now time.Time) (*SignedKeys, error) {
	if !id.Valid(string(practice)) {
		return nil, fmt.Errorf("envelope: practice: %w", id.ErrMalformed)
	}
	if len(keys) > maxListed {
		return nil, fmt.Errorf("envelope: a list of %d upload keys; at most %d are served", len(keys), maxListed)
	}
	l := &SignedKeys{Practice: practice, IssuedAt: now.UTC().Truncate(time.Millisecond), Keys: make([]PublicKey, 0, len(keys))}
	for _, k := range keys {
		if _, err := k.check(); err != nil {
			return nil, err
		}
		k.SealUntil = k.SealUntil.UTC().Truncate(time.Millisecond)
		l.Keys = append(l.Keys, k)
	}
	signed, err := l.signed()
	if err != nil {
		return nil, err
	}
	l.Signature = ed25519.Sign(signer, signed)
	return l, nil
}

// Verify checks that the list is, bit for bit, what the holder of the pinned
// key signed. The caller compares Practice to its own, and dates are up to
// Pick. Errors: ErrSignature.
func (l *SignedKeys) Verify(pinned ed25519.PublicKey) error {
	signed, err := l.signed()
	if err != nil || len(pinned) != ed25519.PublicKeySize || !ed25519.Verify(pinned, signed, l.Signature) {
		return ErrSignature
	}
	return nil
}

// Pick verifies the list and returns the key of the suite that can be sealed
// to longest from now. Suite 0 means Default: there is no falling back to
// another suite. Errors: ErrSignature, ErrNoKey.
func (l *SignedKeys) Pick(pinned ed25519.PublicKey, suite Suite, now time.Time) (PublicKey, error) {
	if err := l.Verify(pinned); err != nil {
		return PublicKey{}, err
	}
	if suite == 0 {
		suite = Default
	}
	var best PublicKey
	for _, k := range l.Keys {
		if k.Suite == suite && now.Before(k.SealUntil) && k.SealUntil.After(best.SealUntil) {
			best = k
		}
	}
	if best.ID == "" {
		return PublicKey{}, fmt.Errorf("%w (%s)", ErrNoKey, suite)
	}
	return best, nil
}

// signed returns the bytes under the signature. Outside input ends here, so
// its bounds are checked here.
func (l *SignedKeys) signed() ([]byte, error) {
	if !id.Valid(string(l.Practice)) || len(l.Keys) > maxListed {
		return nil, ErrSignature
	}
	fields := []string{string(l.Practice), timestamp(l.IssuedAt)}
	for _, k := range l.Keys {
		public := base64.StdEncoding.EncodeToString(k.Key)
		if !id.Valid(string(k.ID)) || len(public) > canon.MaxField {
			return nil, ErrSignature
		}
		fields = append(fields, string(k.ID), strconv.Itoa(int(k.Suite)), public, timestamp(k.SealUntil))
	}
	return canon.Encode(listDomain, fields...), nil
}

// timestamp formats as encoding/json does.
func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
