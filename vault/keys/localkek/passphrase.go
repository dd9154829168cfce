package localkek

import (
	stdpbkdf2 "crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"

	"photovault/vault/canon"
	"photovault/vault/seal"
	"photovault/vault/secret"
)

// pbkdf2 is how the file's key is derived from a passphrase:
// PBKDF2-HMAC-SHA256 (RFC 8018, SP 800-132). A memory-hard function would cost
// a thief more, but none is approved for FIPS 140.
type pbkdf2 struct {
	Hash       string `json:"hash"`
	Iterations int    `json:"iterations"`
	Salt       []byte `json:"salt"`
}

const (
	hashName      = "SHA-256"
	iterations    = 600_000    // OWASP's figure for PBKDF2-HMAC-SHA256; about 0.2 s
	maxIterations = 10_000_000 // so that a forged file cannot stall the start
	saltSize      = 16
	minPassphrase = 12 // bytes
)

func (p *pbkdf2) check() error {
	switch {
	case p == nil:
		return nil
	case p.Hash != hashName:
		return errors.New("unknown hash of the passphrase")
	case p.Iterations < iterations || p.Iterations > maxIterations:
		return errors.New("iterations out of bounds")
	case len(p.Salt) != saltSize:
		return errors.New("salt of the wrong size")
	}
	return nil
}

// protect sets how the file's keys are sealed and returns the key for that;
// nil where there is no passphrase.
func (f *file) protect(passphrase []byte) (*secret.Key, error) {
	if len(passphrase) == 0 {
		return nil, nil
	}
	if len(passphrase) < minPassphrase {
		return nil, fmt.Errorf("%w too short: use at least %d characters, or better several words", ErrPassphrase, minPassphrase)
	}
	f.Pbkdf2 = &pbkdf2{Hash: hashName, Iterations: iterations, Salt: make([]byte, saltSize)}
	rand.Read(f.Pbkdf2.Salt)
	return f.Pbkdf2.key(passphrase)
}

// unlock returns the key that the file's keys are sealed under; nil where
// there is no passphrase. Whether it is the right one shows when it opens.
func (f *file) unlock(passphrase []byte) (*secret.Key, error) {
	switch {
	case f.Pbkdf2 == nil && len(passphrase) == 0:
		return nil, nil
	case f.Pbkdf2 == nil:
		return nil, fmt.Errorf("%w given, but the key file has none: it lies there unprotected; start without one, or protect it first", ErrPassphrase)
	case len(passphrase) == 0:
		return nil, fmt.Errorf("%w needed: the key file is sealed with one", ErrPassphrase)
	}
	return f.Pbkdf2.key(passphrase)
}

func (p *pbkdf2) key(passphrase []byte) (*secret.Key, error) {
	// The copy that string makes cannot be overwritten; the function takes no bytes.
	raw, err := stdpbkdf2.Key(sha256.New, string(passphrase), p.Salt, p.Iterations, secret.KeySize)
	if err != nil {
		return nil, fmt.Errorf("localkek: passphrase: %w", err)
	}
	return secret.FromBytes(raw)
}

// keySize is the size in bytes of a key as it stands in the file.
func (f *file) keySize() int {
	if f.Pbkdf2 == nil {
		return secret.KeySize
	}
	return int(seal.SealedSize(secret.KeySize))
}

// seal returns a key as it stands in the file. Both keys are borrowed.
func (f *file) seal(version uint32, key, unlock *secret.Key) (kek, error) {
	if unlock == nil {
		return kek{version, append([]byte(nil), key.Bytes()...)}, nil
	}
	sealed, err := seal.Seal(nil, unlock.Bytes(), kekContext(version), key.Bytes())
	if err != nil {
		return kek{}, fmt.Errorf("localkek: %w", err)
	}
	return kek{version, sealed}, nil
}

// open undoes seal; the caller owns the key.
func (f *file) open(k kek, unlock *secret.Key) (*secret.Key, error) {
	if unlock == nil {
		return secret.FromBytes(append([]byte(nil), k.Key...))
	}
	raw, err := seal.Open(nil, unlock.Bytes(), kekContext(k.Version), k.Key)
	if errors.Is(err, seal.ErrAuth) {
		return nil, fmt.Errorf("%w wrong, or the key file is damaged", ErrPassphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("localkek: %w", err)
	}
	return secret.FromBytes(raw)
}

func kekContext(version uint32) []byte {
	return canon.Encode(format, strconv.FormatUint(uint64(version), 10))
}
