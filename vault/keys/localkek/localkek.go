// Package localkek is the embedded key service: key-encryption keys in one
// file that lies outside the data folder. Whoever has both file and data can
// open everything; it protects a stolen data folder or backup, not a stolen
// machine. With a passphrase the file alone opens nothing either.
package localkek

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"photovault/vault/keys"
	"photovault/vault/seal"
	"photovault/vault/secret"
)

// Service wraps data keys under the newest key-encryption key and unwraps
// under any that the file holds. A wrapped key is
//
//	version uint32 big-endian || container(KEK, context, data key)
//
// where the container is package seal's: it commits to its key and context.
type Service struct {
	mu     sync.RWMutex
	keks   map[uint32]*secret.Key
	newest uint32
}

var _ keys.Service = (*Service)(nil)

// NewDataKey implements keys.Service.
func (s *Service) NewDataKey(ctx context.Context, c keys.Context) (*secret.Key, []byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	kek, err := s.kek(ctx, s.newest)
	if err != nil {
		return nil, nil, err
	}
	key := secret.New()
	wrapped, err := seal.Seal(binary.BigEndian.AppendUint32(nil, s.newest), kek.Bytes(), c.Encode(), key.Bytes())
	if err != nil {
		key.Destroy()
		return nil, nil, err
	}
	return key, wrapped, nil
}

// UnwrapDataKey implements keys.Service.
func (s *Service) UnwrapDataKey(ctx context.Context, c keys.Context, wrapped []byte) (*secret.Key, error) {
	if len(wrapped) < 4 || len(wrapped) > keys.MaxWrapped {
		return nil, keys.ErrRefused
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	kek, err := s.kek(ctx, binary.BigEndian.Uint32(wrapped))
	if err != nil {
		return nil, err
	}
	raw, err := seal.Open(nil, kek.Bytes(), c.Encode(), wrapped[4:])
	if errors.Is(err, seal.ErrAuth) {
		return nil, keys.ErrRefused
	}
	if err != nil {
		return nil, err
	}
	key, err := secret.FromBytes(raw)
	if err != nil {
		return nil, keys.ErrRefused
	}
	return key, nil
}

// Ready implements keys.Service.
func (s *Service) Ready(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, err := s.kek(ctx, s.newest)
	return err
}

// kek lends a key-encryption key; the caller holds the lock.
func (s *Service) kek(ctx context.Context, version uint32) (*secret.Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.keks == nil {
		return nil, keys.ErrUnavailable // closed
	}
	k, ok := s.keks[version]
	if !ok {
		return nil, keys.ErrRefused
	}
	return k, nil
}

// Close overwrites the key-encryption keys. Calls after it are ErrUnavailable.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keks {
		k.Destroy()
	}
	s.keks = nil
	return nil
}
