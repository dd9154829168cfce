package envelope

import (
	"crypto/hpke"
	"fmt"
	"time"

	"photovault/vault/id"
	"photovault/vault/secret"
)

// PublicKey is the half of an upload key that tablets seal to.
type PublicKey struct {
	ID        id.UploadKey `json:"id"`
	Suite     Suite        `json:"suite"`      // a number: the HPKE KEM id
	Key       []byte       `json:"public_key"` // as RFC 9180 serializes it; base64 in JSON
	SealUntil time.Time    `json:"seal_until"` // UTC; sealed to no more from then on
}

// PrivateKey opens what was sealed to its public half. It is immutable and
// safe for concurrent use. It cannot be overwritten, as crypto/hpke gives no
// access to what it holds; whoever makes one drops it after use.
type PrivateKey struct {
	id    id.UploadKey
	suite Suite
	key   hpke.PrivateKey
}

// NewPrivateKey derives the key pair of a seed, always the same one. The seed
// is borrowed.
func NewPrivateKey(s Suite, key id.UploadKey, seed *secret.Key) (*PrivateKey, error) {
	if !s.Known() {
		return nil, fmt.Errorf("envelope: upload key: %s is not known", s)
	}
	if !id.Valid(string(key)) {
		return nil, fmt.Errorf("envelope: upload key: %w", id.ErrMalformed)
	}
	k, err := s.kem().DeriveKeyPair(seed.Bytes())
	if err != nil {
		return nil, fmt.Errorf("envelope: upload key: %w", err)
	}
	return &PrivateKey{id: key, suite: s, key: k}, nil
}

// ID returns the id that envelopes name the key by.
func (k *PrivateKey) ID() id.UploadKey { return k.id }

// Suite returns the suite of the envelopes that the key opens.
func (k *PrivateKey) Suite() Suite { return k.suite }

// Public returns the public half, as PublicKey.Key wants it.
func (k *PrivateKey) Public() []byte { return k.key.PublicKey().Bytes() }

// String never shows the key.
func (k *PrivateKey) String() string { return "[upload key " + string(k.id) + "]" }

// GoString never shows the key.
func (k *PrivateKey) GoString() string { return k.String() }

// check returns the key ready for use.
func (p PublicKey) check() (hpke.PublicKey, error) {
	if !p.Suite.Known() {
		return nil, fmt.Errorf("envelope: upload key: %s is not known", p.Suite)
	}
	if !id.Valid(string(p.ID)) {
		return nil, fmt.Errorf("envelope: upload key: %w", id.ErrMalformed)
	}
	k, err := p.Suite.kem().NewPublicKey(p.Key)
	if err != nil {
		return nil, fmt.Errorf("envelope: upload key %s: %w", p.ID, err)
	}
	return k, nil
}
