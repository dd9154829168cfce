// Package localkek is the embedded key service: key-encryption keys in one
// file that lies outside the data folder. Whoever has both the file and the
// data can open everything: it protects against theft of the data folder or
// of a backup of it, not against theft of the machine. With a passphrase the
// file alone opens nothing either.
//
// A wrapped key is
//
//	format 0x01 || version of the key-encryption key, uint32 big-endian ||
//	seal container(key-encryption key, context = keys.Context.Encode(), data key)
//
// 109 bytes. The container derives a fresh AES-256-GCM key from the
// key-encryption key, a random salt and the context by HKDF-SHA512, so that
// contexts are separated by key, any number of keys can be wrapped, and the
// wrapped key commits to what it was wrapped under.
package localkek

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"photovault/vault/keys"
	"photovault/vault/seal"
	"photovault/vault/secret"
)

const (
	wrappedFormat = 0x01
	prefixSize    = 1 + 4
)

var wrappedSize = prefixSize + int(seal.SealedSize(secret.KeySize))

// Service wraps under the newest key-encryption key of its file and unwraps
// under any that the file holds. It has read the file: a rotation takes
// effect when the service is opened again.
type Service struct {
	mu     sync.RWMutex
	keks   map[uint32]*secret.Key // nil: closed
	newest uint32
}

var _ keys.Service = (*Service)(nil)

// NewDataKey implements keys.Service.
func (s *Service) NewDataKey(ctx context.Context, c keys.Context) (*secret.Key, []byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, nil, err
	}
	wrapped := binary.BigEndian.AppendUint32([]byte{wrappedFormat}, s.newest)
	key := secret.New()
	wrapped, err := seal.Seal(wrapped, s.keks[s.newest].Bytes(), c.Encode(), key.Bytes())
	if err != nil {
		key.Destroy()
		return nil, nil, fmt.Errorf("%w: localkek: %w", keys.ErrUnavailable, err)
	}
	return key, wrapped, nil
}

// UnwrapDataKey implements keys.Service.
func (s *Service) UnwrapDataKey(ctx context.Context, c keys.Context, wrapped []byte) (*secret.Key, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if len(wrapped) != wrappedSize || wrapped[0] != wrappedFormat {
		return nil, keys.ErrRefused
	}
	kek, ok := s.keks[binary.BigEndian.Uint32(wrapped[1:])]
	if !ok {
		return nil, keys.ErrRefused
	}
	raw, err := seal.Open(make([]byte, 0, secret.KeySize), kek.Bytes(), c.Encode(), wrapped[prefixSize:])
	if errors.Is(err, seal.ErrAuth) {
		return nil, keys.ErrRefused
	}
	if err != nil {
		return nil, fmt.Errorf("%w: localkek: %w", keys.ErrUnavailable, err)
	}
	return secret.FromBytes(raw)
}

// Ready implements keys.Service.
func (s *Service) Ready(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ready(ctx)
}

// ready is called with the lock held.
func (s *Service) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", keys.ErrUnavailable, err)
	}
	if s.keks == nil {
		return fmt.Errorf("%w: localkek: closed", keys.ErrUnavailable)
	}
	return nil
}

// Version returns the version of the key-encryption key that wraps.
func (s *Service) Version() uint32 { return s.newest }

// Close overwrites the key-encryption keys, after calls that are running.
// Calls after it are ErrUnavailable. It may be called twice.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keks {
		k.Destroy()
	}
	s.keks = nil
	return nil
}
